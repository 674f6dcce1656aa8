//! Whether the server and its database are there, and whether WebSocket gets through.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use actors::{Code, Refusal};
use futures::stream;
use serde_json::json;

use crate::socket_io::incoming::Reading;

use super::{ApiError, App, handshake};

/// The process answers, and will for a while: a balancer sends nobody any more where it does not.
pub(super) async fn live(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    if app.chat.is_draining() {
        return Err(Refusal::new(Code::Overloaded, "The server is stopping").into());
    }
    let risks = app.chat.risks();
    Ok(HttpResponse::Ok().json(match risks[..] {
        [] => json!({"success": true, "status": "ok"}),
        _ => json!({"success": true, "status": "ok", "warnings": risks}),
    }))
}

/// Postgres answers.
pub(super) async fn database(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    app.chat.store().ping().await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "status": "ok"})))
}

/// A plain WebSocket that says back what it is told: shows whether proxies on the way let upgrades through.
pub(super) async fn websocket(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, ApiError> {
    let mut answer = handshake::answer(&request)?;
    let echo = Echo { heard: false, body: Some(body) };
    // What the package itself reads with takes in all of a frame before it asks how large it is.
    Ok(answer.streaming(ws::WebsocketContext::create(echo, stream::pending())))
}

struct Echo {
    /// Since the last look.
    heard: bool,
    /// Until it starts.
    body: Option<web::Payload>,
}

impl Echo {
    /// A connection that says nothing for one to two of these is closed.
    const IDLE: Duration = Duration::from_secs(30);
    /// Largest frame. Larger: the connection is closed.
    const MAX_BYTES: usize = 4096;
}

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(body) = self.body.take() {
            ctx.add_stream(Reading::of_at_most(body, Self::MAX_BYTES));
        }
        ctx.run_interval(Self::IDLE, |echo, ctx| {
            if !std::mem::take(&mut echo.heard) {
                ctx.stop();
            }
        });
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, frame: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        self.heard = true;
        match frame {
            Ok(ws::Message::Text(text)) => ctx.text(text),
            Ok(ws::Message::Ping(bytes)) => ctx.pong(&bytes),
            Ok(ws::Message::Pong(_)) => (),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(ws::Message::Binary(_) | ws::Message::Continuation(_) | ws::Message::Nop) | Err(_) => {
                ctx.stop();
            }
        }
    }
}
