//! The port: REST and health by actix-web, Socket.IO and plain WebSocket on the same listener.

mod admin;
mod caller;
mod conversations;
pub(crate) mod door;
mod error;
mod health;
mod json_object;
mod messages;
mod origins;
pub(crate) mod places;
mod server;
mod users;

use actix_cors::Cors;
use actix_web::{
    HttpResponse, Resource,
    http::header::{self, HeaderMap, HeaderName},
    web::{self, ServiceConfig},
};
use actors::{Chat, Code, Refusal};
use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{auth::Auth, rates::Rates, socket_io::SocketIo};

use messages::IDEMPOTENCY_KEY;
use places::{Full, Place, Places, Proxies};

pub use error::ApiError;
pub use origins::Origins;
pub use places::PlaceSettings;
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
    /// TCP connections, and Engine.IO's.
    pub(crate) places: [Places; 2],
    /// Whose word counts about whom they speak for.
    pub(crate) proxies: Proxies,
}

impl App {
    /// With as many places for Engine.IO's connections as for TCP's.
    pub(crate) fn new(
        chat: Chat,
        auth: Arc<Auth>,
        origins: Arc<Origins>,
        socket_io: SocketIo,
        rates: Arc<Rates>,
        places: PlaceSettings,
        trusted_proxies: &str,
    ) -> Self {
        let places = [(); 2].map(|()| Places::new(places));
        let proxies = Proxies::parse(trusted_proxies).unwrap_or_default();
        Self { chat, auth, origins, socket_io, rates, places, proxies }
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

/// All routes.
fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/health").route(web::get().to(health::live)).route(web::head().to(health::live)))
        .service(resource("/health/db").route(web::get().to(health::database)))
        .service(resource("/health/ws").route(web::get().to(health::websocket)))
        .service(
            resource("/api/chat/conversations")
                .route(web::get().to(conversations::list))
                .route(web::post().to(conversations::open)),
        )
        .service(
            resource("/api/chat/conversations/{id}/messages")
                .route(web::get().to(messages::history))
                .route(web::post().to(messages::send)),
        )
        .service(resource("/api/chat/messages/{id}").route(web::delete().to(messages::delete)))
        .service(resource("/api/chat/unread-count").route(web::get().to(conversations::unread_count)))
        .service(resource("/api/chat/users/{id}").route(web::put().to(users::put)))
        .service(resource("/api/chat/admin/stats").route(web::get().to(admin::stats)))
        .service(resource("/api/chat/admin/revoke").route(web::post().to(admin::revoke)))
        .configure(crate::socket_io::routes)
        .default_service(web::to(|| async {
            HttpResponse::NotFound().json(serde_json::json!({
                "success": false, "message": "Route not found", "code": Code::NotFound.as_str(),
            }))
        }));
}

/// A route that says so when it does not have a method.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|| async {
        HttpResponse::MethodNotAllowed().json(Refusal::invalid("Method not allowed"))
    }))
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
            .configure($crate::http::routes)
    }};
}
use application;
