//! The port: REST and health by actix-web, Socket.IO and plain WebSocket on the same listener.

mod admin;
mod caller;
mod conversations;
pub(crate) mod door;
mod error;
pub(crate) mod files;
pub(crate) mod handshake;
mod health;
mod json_object;
mod messages;
mod metrics;
mod origins;
mod page;
pub(crate) mod patience;
pub(crate) mod places;
mod reference;
pub(crate) mod routes;
mod server;
mod users;

use actix_cors::Cors;
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap, HeaderName},
};
use actors::Chat;
use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{auth::Auth, console, rates::Rates, socket_io::SocketIo, ways::Ways};

use messages::IDEMPOTENCY_KEY;
use metrics::HttpMetrics;
use places::{Full, Place, Places, Proxies};

pub use error::ApiError;
pub use origins::Origins;
pub use page::Page;
pub use places::PlaceSettings;
pub use routes::Route;
pub use server::{Listening, bind, listen};

/// How long a request's body may take to come.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct App {
    /// The chat.
    pub chat: Chat,
    /// Checks tokens.
    pub auth: Arc<Auth>,
    /// Where browsers may call from.
    pub origins: Arc<Origins>,
    /// Engine.IO and what is connected by it.
    pub socket_io: SocketIo,
    /// How much a user may ask for.
    pub rates: Arc<Rates>,
    /// What is counted of requests.
    pub(crate) metrics: HttpMetrics,
    /// The ways of messages that operators watch.
    pub(crate) ways: Ways,
    /// What their consoles are told each second.
    pub(crate) console: console::Latest,
    /// TCP connections, and Engine.IO's.
    pub(crate) places: [Places; 2],
    /// Whose word counts about whom they speak for.
    pub(crate) proxies: Proxies,
    /// The chat page, where it is wanted.
    page: Option<Arc<Page>>,
}

impl App {
    /// With so many places for sessions' connections, and some more for TCP's.
    pub(crate) fn new(
        chat: Chat,
        auth: Arc<Auth>,
        origins: Arc<Origins>,
        socket_io: SocketIo,
        rates: Arc<Rates>,
        places: PlaceSettings,
        trusted_proxies: &str,
    ) -> Self {
        let places = [places.with_calls(), places].map(Places::new);
        let proxies = Proxies::parse(trusted_proxies).unwrap_or_default();
        Self {
            chat,
            auth,
            origins,
            socket_io,
            rates,
            metrics: HttpMetrics::default(),
            ways: Ways::default(),
            console: console::Latest::default(),
            places,
            proxies,
            page: None,
        }
    }

    /// With the ways of messages that a layer of tracing puts together.
    pub(crate) fn with_ways(self, ways: Ways) -> Self {
        Self { ways, ..self }
    }

    /// With the chat page, or without it.
    pub(crate) fn with_page(self, page: Option<Page>) -> Self {
        Self { page: page.map(Arc::new), ..self }
    }

    /// A place for an Engine.IO connection that a request opens.
    pub(crate) fn place(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<Place, Full> {
        self.places[1].take(self.proxies.client(peer, headers))
    }
}

/// The body of a call that succeeded.
#[derive(serde::Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

impl<T: serde::Serialize> Success<T> {
    fn ok(data: T) -> HttpResponse {
        HttpResponse::Ok().json(Self { success: true, data })
    }

    fn created(data: T) -> HttpResponse {
        HttpResponse::Created().json(Self { success: true, data })
    }
}

/// CORS headers for the configured origins. The package refuses a preflight from others; the contract wants no error,
/// only no permission: see [`origins::permit_listed_only`].
fn cors(origins: &Origins) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static(IDEMPOTENCY_KEY)])
        .expose_headers([header::RETRY_AFTER])
        .max_age(600);
    match origins {
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::Listed(listed) => {
            listed.iter().fold(cors.supports_credentials(), |cors, origin| cors.allowed_origin(origin))
        }
    }
}

/// The whole application, for one worker.
macro_rules! application {
    ($app:expr) => {{
        let app: $crate::http::App = $app;
        actix_web::App::new()
            .app_data(actix_web::web::Data::new(app.clone()))
            .wrap($crate::http::cors(&app.origins))
            .wrap(actix_web::middleware::from_fn($crate::http::origins::permit_listed_only))
            .wrap(actix_web::middleware::from_fn($crate::http::metrics::count))
            .wrap(actix_web::middleware::from_fn($crate::http::patience::keep_turn))
            .configure($crate::http::page::routes(app.page.clone()))
            .configure($crate::console::page::routes)
            .configure($crate::http::reference::page(app.page.is_some()))
            .configure($crate::http::routes::all)
    }};
}
use application;
