//! The chat page: files that are part of the binary, and with the demo its users' tokens.
//!
//! Its routes are there only where the page is wanted, and answer everybody alike; so they are not in the table of
//! [`super::Route`], which is of what is always there and asks who calls.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        header::{CACHE_CONTROL, HeaderValue},
        uri::Authority,
    },
    web::{self, Bytes, ServiceConfig},
};

use actors::{Code, Refusal};

use crate::demo;

use super::{
    ApiError, Success,
    files::{CSS, File, HTML, JAVASCRIPT, SVG, TEXT},
    routes::resource,
};

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
    "dialog.css": CSS,
    "icon.svg": SVG,
    "main.js": JAVASCRIPT,
    "address.js": JAVASCRIPT,
    "sign_in.js": JAVASCRIPT,
    "user_list.js": JAVASCRIPT,
    "api.js": JAVASCRIPT,
    "connection.js": JAVASCRIPT,
    "connection_view.js": JAVASCRIPT,
    "conversations.js": JAVASCRIPT,
    "list_view.js": JAVASCRIPT,
    "new_conversation.js": JAVASCRIPT,
    "thread.js": JAVASCRIPT,
    "thread_view.js": JAVASCRIPT,
    "message_rows.js": JAVASCRIPT,
    "deletion.js": JAVASCRIPT,
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
            let with_demo = kind == HTML && page.demo_secret.is_some();
            let content = if with_demo {
                content.replace(SIGN_IN[0], SIGN_IN[1]).into()
            } else {
                Bytes::from_static(content.as_bytes())
            };
            config.configure(File::new(kind, content).at(path));
        }
        if let Some(secret) = page.demo_secret.clone() {
            let answer = move |request: HttpRequest| {
                let answer = if is_own(&request) { Ok(demo_users(&secret)) } else { Err(not_own()) };
                async { answer }
            };
            config.service(resource("/demo/users", "GET").route(web::get().to(answer)));
        }
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
