//! Where browsers may call from: for CORS headers, and as the guard of the Socket.IO handshake.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST,
            HeaderMap, ORIGIN,
        },
    },
    middleware::Next,
    web::Data,
};

use crate::config::ConfigError;

use super::App;

/// The configured origins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origins {
    /// `*`: all, without credentials.
    Any,
    /// These, with credentials.
    Listed(Vec<String>),
}

impl Origins {
    /// From a comma list; empty means none but the server's own.
    ///
    /// # Errors
    /// An entry is not an origin.
    pub fn parse(list: &str) -> Result<Self, ConfigError> {
        if list.trim() == "*" {
            return Ok(Self::Any);
        }
        let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(origin).collect::<Result<_, _>>().map(Self::Listed)
    }

    /// Whether a Socket.IO handshake is let through: no browser, a listed origin, or a page of this very server.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let own = || {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, authority)| authority == host))
        };
        self.is_listed(origin) || own()
    }

    fn is_listed(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.iter().any(|one| one == origin),
        }
    }
}

fn origin(text: &str) -> Result<String, ConfigError> {
    let sound = text.parse::<http::Uri>().ok().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && !text.ends_with('/')
    });
    if sound {
        return Ok(text.to_owned());
    }
    let rule = "each origin must be like https://www.example.com, without a path";
    Err(ConfigError::Impossible { name: "CORS_ORIGINS", value: text.to_owned(), rule })
}

/// What the CORS package does not do as the contract wants it: the preflight of an origin that is not listed gets no
/// error, and no answer to such an origin has a header that allows something.
pub(super) async fn permit_listed_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<Data<App>>().expect("every App of ours has it");
    let headers = request.headers();
    let listed = headers.get(ORIGIN).map(|origin| origin.to_str().is_ok_and(|origin| app.origins.is_listed(origin)));
    let preflight = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if preflight && listed == Some(false) {
        return Ok(request.into_response(HttpResponse::NoContent().finish()));
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if listed != Some(true) {
        response.headers_mut().remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        response.headers_mut().remove(ACCESS_CONTROL_EXPOSE_HEADERS);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, actix_web::http::header::HeaderValue::from_static(origin));
        headers.insert(HOST, actix_web::http::header::HeaderValue::from_static("chat.example.com:3000"));
        headers
    }

    #[test]
    fn listed_origins_and_the_server_s_own_are_admitted() {
        let origins = Origins::parse("https://a.example.com, http://localhost:5173").expect("origins");
        for good in ["https://a.example.com", "http://localhost:5173", "http://chat.example.com:3000"] {
            assert!(origins.admit(&headers(good)), "{good}");
        }
        for bad in ["https://b.example.com", "https://a.example.com.evil.com", "http://chat.example.com", "null"] {
            assert!(!origins.admit(&headers(bad)), "{bad}");
        }
        assert!(origins.admit(&HeaderMap::new()));
        assert!(Origins::parse("*").expect("any").admit(&headers("null")));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in ["example.com", "https://example.com/", "https://example.com/a", "ftp://example.com"] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
    }
}
