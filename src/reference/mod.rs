//! The API reference, made of the code: the REST calls for OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.0>), the events of
//! sockets for AsyncAPI 3.0 (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>).
//!
//! | file | |
//! | --- | --- |
//! | `schemas.rs` | bodies and payloads, the same for both |
//! | `operations.rs` | each route in words; its path and method are the route's own |
//! | `events.rs` | each event in words |
//!
//! `horsetrust-chat reference` prints them; a server serves them, and a page to try the calls on where the chat page is.

mod events;
mod operations;
mod schemas;

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
        path::{HttpMethod, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::http::Route;

use operations::BEARER;

const TITLE: &str = "Horse Trust chat";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The REST calls.
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new().title(TITLE).version(VERSION).description(Some(
        "Conversations of two, over REST. The events of sockets are in an AsyncAPI document of their own.",
    ));
    let paths = Route::ALL.iter().fold(PathsBuilder::new(), |paths, route| {
        let method = match route.method().as_str() {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            "HEAD" => HttpMethod::Head,
            _ => HttpMethod::Get,
        };
        paths.path(route.path(), PathItem::new(method, operations::operation(*route)))
    });
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let tags = [
        ("conversations", "Who talks with whom"),
        ("messages", "What is said"),
        ("sockets", "Events"),
        ("reference", "What this is made of"),
        ("administration", "For callers with the role `admin`"),
        ("health", "For balancers and people"),
    ];
    let tags = tags.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components().security_scheme(BEARER, SecurityScheme::Http(bearer)).build()))
        .tags(Some(tags))
        .build()
}

/// The events of sockets.
pub fn asyncapi() -> Value {
    events::document()
}

fn components() -> ComponentsBuilder {
    fn with<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
        components.schema_from::<T>()
    }
    let all = [
        with::<schemas::ObjectId>,
        with::<schemas::Timestamp>,
        with::<schemas::Text>,
        with::<schemas::ClientMessageId>,
        with::<schemas::ErrorCode>,
        with::<schemas::Offset>,
        with::<schemas::Profile>,
        with::<schemas::Message>,
        with::<schemas::SentMessage>,
        with::<schemas::NewMessage>,
        with::<schemas::LastMessage>,
        with::<schemas::Conversation>,
        with::<schemas::ListedConversation>,
        with::<schemas::OpenConversation>,
        with::<schemas::NewProfile>,
        with::<schemas::Revoke>,
        with::<schemas::Revoked>,
        with::<schemas::Failure>,
        with::<schemas::SendMessage>,
        with::<schemas::MarkRead>,
        with::<schemas::RefreshToken>,
        with::<schemas::ResumeOptions>,
        with::<schemas::Joined>,
        with::<schemas::MessageNotification>,
        with::<schemas::Typist>,
        with::<schemas::MessageRead>,
        with::<schemas::MessageDeleted>,
        with::<schemas::UnreadUpdate>,
        with::<schemas::TokenTimes>,
        with::<schemas::ServerDraining>,
    ];
    all.into_iter().fold(ComponentsBuilder::new(), |components, with| with(components))
}
