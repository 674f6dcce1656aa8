//! The routes: which there are, and who answers them.

use actix_web::{
    HttpResponse, Resource,
    http::{Method, header::ALLOW},
    web::{self, ServiceConfig},
};
use actors::{Code, Refusal};
use serde_json::json;

use crate::{console, socket_io::plain};

use super::{admin, conversations, health, messages, metrics, reference, users};

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident = $method:ident $path:literal => $handler:path,)*) => {
        /// A route. A new one has to be in the matrix of who may do what (`tests/authorization.rs`).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Route { $($(#[$doc])* $name,)* }

        impl Route {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its method.
            pub fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)* }
            }

            /// Its path; a part in braces stands for any text.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            fn answered(self) -> actix_web::Route {
                let route = web::method(self.method());
                match self { $(Self::$name => route.to($handler),)* }
            }
        }
    };
}

routes! {
    /// Whether the process answers, and will.
    Health = GET "/health" => health::live,
    /// The same without a body.
    HealthHead = HEAD "/health" => health::live,
    /// Whether Postgres answers.
    HealthDatabase = GET "/health/db" => health::database,
    /// Whether WebSocket gets through.
    HealthWebSocket = GET "/health/ws" => health::websocket,
    /// The caller's conversations.
    Conversations = GET "/api/chat/conversations" => conversations::list,
    /// The conversation with somebody.
    OpenConversation = POST "/api/chat/conversations" => conversations::open,
    /// A page of messages.
    History = GET "/api/chat/conversations/{id}/messages" => messages::history,
    /// A new message.
    Send = POST "/api/chat/conversations/{id}/messages" => messages::send,
    /// Deletes a message.
    Delete = DELETE "/api/chat/messages/{id}" => messages::delete,
    /// How much is not read.
    UnreadCount = GET "/api/chat/unread-count" => conversations::unread_count,
    /// The chat over a plain WebSocket.
    PlainWebSocket = GET "/api/chat/ws" => plain::open,
    /// The REST calls as OpenAPI has them.
    OpenApi = GET "/api/chat/openapi.json" => reference::openapi,
    /// The events as AsyncAPI has them.
    AsyncApi = GET "/api/chat/asyncapi.json" => reference::asyncapi,
    /// A profile.
    PutUser = PUT "/api/chat/users/{id}" => users::put,
    /// What is there and what has happened.
    Stats = GET "/api/chat/admin/stats" => admin::stats,
    /// The same and more, for Prometheus.
    Metrics = GET "/metrics" => metrics::scrape,
    /// What the console of operators is fed by.
    Console = GET "/api/chat/admin/ws" => console::open,
    /// Ends a user's tokens.
    Revoke = POST "/api/chat/admin/revoke" => admin::revoke,
}

/// Puts all routes into an application.
pub(super) fn all(config: &mut ServiceConfig) {
    let mut paths: Vec<_> = Route::ALL.iter().map(|route| route.path()).collect();
    paths.dedup();
    for path in paths {
        let routes: Vec<_> = Route::ALL.iter().filter(|route| route.path() == path).collect();
        let allowed: Vec<_> = routes.iter().map(|route| route.method().to_string()).collect();
        let resource = resource(path, allowed.join(", "));
        config.service(routes.into_iter().fold(resource, |resource, route| resource.route(route.answered())));
    }
    config.configure(crate::socket_io::routes).default_service(web::to(|| async {
        let code = Code::NotFound.as_str();
        HttpResponse::NotFound().json(json!({ "success": false, "message": "Route not found", "code": code }))
    }));
}

/// A path as it is declared, among the data of its requests: to look it up again would take as long as to find it.
pub(crate) struct Declared(pub(crate) &'static str);

/// A path that says so when it does not have a method, and which it has: a comma list.
pub(super) fn resource(path: &'static str, allowed: impl Into<String>) -> Resource {
    let allowed = allowed.into();
    web::resource(path).app_data(Declared(path)).default_service(web::to(move || {
        let mut answer = HttpResponse::MethodNotAllowed();
        let answer = answer.insert_header((ALLOW, allowed.clone())).json(Refusal::invalid("Method not allowed"));
        async { answer }
    }))
}
