//! The chat page: files that are part of the binary, and with the demo its users' tokens.
//!
//! Its routes are there only where the page is wanted, and answer everybody alike; so they are not in the table of
//! [`super::Route`], which is of what is always there and asks who calls.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH},
        uri::Authority,
    },
    web::{self, Bytes, ServiceConfig},
};

use actors::{Code, Refusal};

use crate::demo;

use super::{ApiError, Success, routes::resource};

/// Nothing but this server's own files and calls: no script or style within the page, no frame around it, and no text that
/// becomes markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Looked after at each use, which costs a small answer: after an upgrade the next page is of the new version.
const CACHING: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// How the page asks who one is, as its file says it, and as it is where there are demo users.
const SIGN_IN: [&str; 2] = [r#"data-sign-in="token""#, r#"data-sign-in="demo""#];

macro_rules! files {
    ($($file:literal: $kind:ident,)*) => {
        &[("/", HTML, include_str!("../page/index.html")),
          $((concat!("/page/", $file), $kind, include_str!(concat!("../page/", $file))),)*]
    };
}

/// Path, content type, content.
const FILES: &[(&str, &str, &str)] = files![
    "base.css": CSS,
    "sign_in.css": CSS,
    "chat.css": CSS,
    "thread.css": CSS,
    "icon.svg": SVG,
    "main.js": JAVASCRIPT,
    "sign_in.js": JAVASCRIPT,
    "api.js": JAVASCRIPT,
    "connection.js": JAVASCRIPT,
    "connection_view.js": JAVASCRIPT,
    "conversations.js": JAVASCRIPT,
    "list_view.js": JAVASCRIPT,
    "thread.js": JAVASCRIPT,
    "thread_view.js": JAVASCRIPT,
    "message_rows.js": JAVASCRIPT,
    "composer.js": JAVASCRIPT,
    "outbox.js": JAVASCRIPT,
    "typing.js": JAVASCRIPT,
    "notices.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "vendor/socket.io.esm.min.js": JAVASCRIPT,
    "vendor/LICENSE": TEXT,
];

/// The page, where it is wanted.
pub struct Page {
    demo_secret: Option<Vec<u8>>,
}

/// Without the secret, which is not for logs.
impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Page").finish_non_exhaustive()
    }
}

impl Page {
    /// With the demo, whose tokens are signed with the secret; or because it was asked for.
    pub(crate) fn wanted(asked_for: bool, demo_secret: Option<Vec<u8>>) -> Option<Self> {
        (asked_for || demo_secret.is_some()).then_some(Self { demo_secret })
    }
}

/// Puts the page's routes into an application, if it has the page.
pub(super) fn routes(page: Option<Arc<Page>>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let Some(page) = page else { return };
        for &(path, kind, content) in FILES {
            let file = File::new(kind, content, page.demo_secret.is_some());
            let answer = move |request: HttpRequest| {
                let answer = file.answer(&request);
                async { answer }
            };
            config.service(resource(path).route(web::get().to(answer.clone())).route(web::head().to(answer)));
        }
        if let Some(secret) = page.demo_secret.clone() {
            let answer = move |request: HttpRequest| {
                let answer = if is_own(&request) { Ok(demo_users(&secret)) } else { Err(not_own()) };
                async { answer }
            };
            config.service(resource("/demo/users").route(web::get().to(answer)));
        }
    }
}

/// A file as it is sent.
#[derive(Clone)]
struct File {
    kind: &'static str,
    content: Bytes,
    tag: String,
}

impl File {
    fn new(kind: &'static str, content: &'static str, with_demo: bool) -> Self {
        let content = if kind == HTML && with_demo {
            content.replace(SIGN_IN[0], SIGN_IN[1]).into()
        } else {
            Bytes::from_static(content.as_bytes())
        };
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { kind, content, tag: format!("\"{:016x}\"", hasher.finish()) }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == self.tag));
        let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer
            .insert_header((ETAG, self.tag.as_str()))
            .insert_header((CACHE_CONTROL, CACHING))
            .insert_header(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .insert_header(("Referrer-Policy", "no-referrer"))
            .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
        if known { answer.finish() } else { answer.content_type(self.kind).body(self.content.clone()) }
    }
}

/// Whether a request is the page's own, as far as a browser tells. A name that somebody else's site has given this address
/// (DNS rebinding) makes that site's scripts seem to be of this server: so only an address and `localhost` count. And no
/// list of origins lets another site in here.
fn is_own(request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text("host").and_then(|host| host.parse::<Authority>().ok());
    let is_plain = host.is_some_and(|host| {
        let host = host.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    });
    is_plain
        && text("origin").is_none()
        && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}

fn not_own() -> ApiError {
    Refusal::new(Code::Forbidden, "The demo's tokens are for its own page, at an address or localhost").into()
}

/// The demo's users, each with a token for a few minutes.
fn demo_users(secret: &[u8]) -> HttpResponse {
    let mut answer = Success::ok(demo::users(secret));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
