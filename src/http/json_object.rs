//! A request's body: a JSON object of at most [`MAX_BYTES`].

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use actors::{Code, Refusal};
use futures::StreamExt;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{ApiError, BODY_TIMEOUT, caller::still_holds};

/// Largest body. Larger: refused.
const MAX_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is read and thrown away, so that its sender gets to read the refusal.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;

/// The body's fields.
pub(super) struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// A string; `None` if the field is absent or null.
    pub(super) fn string(&mut self, name: &str, refusal: &'static str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::invalid(refusal)),
        }
    }
}

impl FromRequest for JsonObject {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let collected = timeout(BODY_TIMEOUT, collect(payload)).await;
            let body = collected.unwrap_or_else(|_| Err(Refusal::invalid("the body took too long")))?;
            still_holds(&request)?;
            Ok(Self(parse(&body)?))
        })
    }
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::invalid("the body must be a JSON object")),
        Err(_) => Err(Refusal::invalid("the body is not valid JSON")),
    }
}

async fn collect(mut payload: Payload) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let mut read = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::invalid("the body broke off"))?;
        read += chunk.len();
        if read > DRAIN_BYTES {
            break;
        }
        if read <= MAX_BYTES {
            body.extend_from_slice(&chunk);
        }
    }
    if read > MAX_BYTES {
        return Err(Refusal::new(Code::TooLarge, "the body is larger than 64 KiB"));
    }
    Ok(body)
}
