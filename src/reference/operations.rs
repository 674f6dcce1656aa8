//! The REST calls: each route as OpenAPI has it. A new route without its words here does not compile.

use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::{
        Content, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement, Type,
        header::HeaderBuilder,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::{RequestBody, RequestBodyBuilder},
        schema::ArrayBuilder,
    },
};

use crate::http::Route;

use super::schemas::{
    ClientMessageId, Conversation, Failure, ListedConversation, Message, MessageDeleted, NewMessage, NewProfile,
    ObjectId, OpenConversation, Profile, Revoke, Revoked, SentMessage, always_true,
};

/// The security scheme of callers' tokens.
pub(super) const BEARER: &str = "bearer";

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anybody,
    User,
    Admin,
}

/// What a route does, in words.
struct Words {
    id: &'static str,
    tag: &'static str,
    caller: Caller,
    summary: &'static str,
    more: &'static str,
}

fn words(route: Route) -> Words {
    use Caller::{Admin, Anybody, User};
    let (id, tag, caller, summary, more) = match route {
        Route::Conversations => (
            "listConversations",
            "conversations",
            User,
            "The caller's conversations",
            "The most recently changed first.",
        ),
        Route::OpenConversation => (
            "openConversation",
            "conversations",
            User,
            "The conversation with somebody",
            "Theirs about the horse, if one is given; without: the one about no horse, else the most recently changed. It is made if there is none.",
        ),
        Route::UnreadCount => ("countUnread", "conversations", User, "How much is not read", "Of all conversations."),
        Route::History => (
            "listMessages",
            "messages",
            User,
            "A page of a conversation",
            "Inside a page the oldest is first. What is out of range is corrected. Everything of the other participant becomes read, unless `mark_read=false` is there; the page shows the state before. With `after_seq` or `before_seq` there are `has_more` and `head_seq`, too.",
        ),
        Route::Send => (
            "sendMessage",
            "messages",
            User,
            "Sends a message",
            "201 means committed. Sockets hear of it as of a socket's. A repeat of its `client_msg_id`, or `Idempotency-Key`, is answered with the stored one and `duplicate: true`.",
        ),
        Route::Delete => {
            ("deleteMessage", "messages", User, "Deletes a message of the caller's", "Once more is answered the same.")
        }
        Route::PlainWebSocket => (
            "openWebSocket",
            "sockets",
            Anybody,
            "The chat over a plain WebSocket",
            "Its events are in the AsyncAPI document. The token comes with the header, or later in the event `connect`.",
        ),
        Route::OpenApi => ("getOpenApi", "reference", Anybody, "This document", ""),
        Route::AsyncApi => ("getAsyncApi", "reference", Anybody, "The events of sockets", "As AsyncAPI 3.0."),
        Route::Console => (
            "openConsole",
            "administration",
            Anybody,
            "The feed of the console of operators",
            "The token of an admin comes with the header, or later in the event `connect`.",
        ),
        Route::PutUser => (
            "putUser",
            "administration",
            Admin,
            "Stores a profile",
            "Rooms show it from then on. Without a URL, one that was there is removed.",
        ),
        Route::Revoke => (
            "revokeUser",
            "administration",
            Admin,
            "Ends a user's tokens",
            "Those issued until now are refused, and the user's sessions closed at once.",
        ),
        Route::Stats => ("getStats", "administration", Admin, "What is connected and what has happened", ""),
        Route::Metrics => ("getMetrics", "administration", Admin, "The same and more, for Prometheus", ""),
        Route::Health => (
            "getHealth",
            "health",
            Anybody,
            "Whether the process answers, and is not stopping",
            "503 from the beginning of a stop on.",
        ),
        Route::HealthHead => ("headHealth", "health", Anybody, "The same without a body", ""),
        Route::HealthDatabase => ("getDatabaseHealth", "health", Anybody, "Whether Postgres answers", ""),
        Route::HealthWebSocket => (
            "echoWebSocket",
            "health",
            Anybody,
            "A WebSocket that echoes",
            "To see whether proxies let upgrades through; frames of up to 4096 bytes.",
        ),
    };
    Words { id, tag, caller, summary, more }
}

/// A route as OpenAPI has it.
pub(super) fn operation(route: Route) -> Operation {
    let Words { id, tag, caller, summary, more } = words(route);
    let more = Some(more).filter(|more| !more.is_empty());
    let mut operation =
        OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary)).description(more);
    for parameter in parameters(route) {
        operation = operation.parameter(parameter);
    }
    if let Some(body) = request_body(route) {
        operation = operation.request_body(Some(body));
    }
    if caller != Caller::Anybody {
        operation = operation.security(SecurityRequirement::new(BEARER, Vec::<String>::new()));
    }
    let (status, answer) = answer(route);
    operation = operation.response(status.to_string(), answer);
    for status in refusals(route, caller) {
        operation = operation.response(status.to_string(), refusal(status));
    }
    operation.build()
}

fn parameters(route: Route) -> Vec<Parameter> {
    let id = |what: &'static str| {
        let parameter = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
        parameter.description(Some(what)).schema(Some(reference::<ObjectId>())).build()
    };
    let query = |name: &'static str, what: &'static str, schema: ObjectBuilder| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        parameter.required(Required::False).description(Some(what)).schema(Some(schema)).build()
    };
    let number = |least: i64| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
    match route {
        Route::History => vec![
            id("The conversation"),
            query("page", "Page 1 has the newest messages", number(1).default(Some(json!(1)))),
            query("limit", "Messages of a page", number(1).maximum(Some(100)).default(Some(json!(30)))),
            query("after_seq", "The messages after this one", number(0)),
            query("before_seq", "The messages before this one, not together with `after_seq`", number(0)),
            query(
                "mark_read",
                "`false`: nothing becomes read",
                ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(true))),
            ),
        ],
        Route::Send => vec![
            id("The conversation"),
            ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The same as `client_msg_id` in the body"))
                .schema(Some(reference::<ClientMessageId>()))
                .build(),
        ],
        Route::Delete => vec![id("The message")],
        Route::PutUser => vec![id("The user")],
        _ => Vec::new(),
    }
}

fn request_body(route: Route) -> Option<RequestBody> {
    let body = match route {
        Route::OpenConversation => reference::<OpenConversation>(),
        Route::Send => reference::<NewMessage>(),
        Route::PutUser => reference::<NewProfile>(),
        Route::Revoke => reference::<Revoke>(),
        _ => return None,
    };
    let body = RequestBodyBuilder::new().content("application/json", Content::new(Some(body)));
    Some(body.required(Some(Required::True)).build())
}

/// What a call gets that succeeds.
fn answer(route: Route) -> (u16, ResponseBuilder) {
    let json = |description: &str, schema: ObjectBuilder| {
        ResponseBuilder::new().description(description).content("application/json", Content::new(Some(schema)))
    };
    let whole = |least: i64| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
    match route {
        Route::Conversations => (200, json("They", with_data(list_of::<ListedConversation>()))),
        Route::OpenConversation => (200, json("It", with_data(reference::<Conversation>()))),
        Route::UnreadCount => {
            (200, json("The number of messages", success().property("unread_count", whole(0)).required("unread_count")))
        }
        Route::History => {
            let page = with_data(list_of::<Message>())
                .property("has_more", ObjectBuilder::new().schema_type(Type::Boolean))
                .property("head_seq", whole(0).description(Some("The newest message of the conversation")));
            (200, json("The page", page))
        }
        Route::Send => (201, json("The message is committed", with_data(reference::<SentMessage>()))),
        Route::Delete => (200, json("It is deleted", with_data(reference::<MessageDeleted>()))),
        Route::PutUser => (200, json("As it is stored", with_data(reference::<Profile>()))),
        Route::Revoke => (200, json("They are revoked", with_data(reference::<Revoked>()))),
        Route::Stats => (200, json("Numbers by name", with_data(numbers_by_name()))),
        Route::OpenApi | Route::AsyncApi => (200, json("It", ObjectBuilder::new())),
        Route::Metrics => {
            let text = Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
            let text = ResponseBuilder::new().description("OpenMetrics").content("application/openmetrics-text", text);
            (200, text)
        }
        Route::Health => {
            let warnings = ArrayBuilder::new()
                .items(ObjectBuilder::new().schema_type(Type::String))
                .description(Some("How Postgres is set so that it may lose what was committed"));
            (200, json("It does", status().property("warnings", warnings)))
        }
        Route::HealthDatabase => (200, json("It does", status())),
        Route::HealthHead => (200, ResponseBuilder::new().description("It does")),
        Route::HealthWebSocket | Route::PlainWebSocket | Route::Console => {
            (101, ResponseBuilder::new().description("The connection is a WebSocket from now on"))
        }
    }
}

/// The statuses of refusals.
fn refusals(route: Route, caller: Caller) -> Vec<u16> {
    let mut refusals = match caller {
        Caller::Anybody => Vec::new(),
        Caller::User => vec![401, 429],
        Caller::Admin => vec![401, 403, 429],
    };
    refusals.extend_from_slice(match route {
        Route::Conversations | Route::UnreadCount => &[503][..],
        Route::OpenConversation => &[400, 404, 413, 503],
        Route::History => &[400, 404, 503],
        Route::Send => &[400, 404, 409, 413, 500, 503],
        Route::Delete => &[403, 404, 500, 503],
        Route::PutUser | Route::Revoke => &[400, 413, 503],
        Route::Stats | Route::Metrics | Route::OpenApi | Route::AsyncApi => &[],
        Route::Health | Route::HealthHead | Route::HealthDatabase => &[503],
        Route::HealthWebSocket => &[400],
        Route::Console => &[400, 401, 403],
        Route::PlainWebSocket => &[400, 401, 403, 429, 503],
    });
    refusals.sort_unstable();
    refusals
}

fn refusal(status: u16) -> ResponseBuilder {
    let description = match status {
        400 => "Something in the call breaks a rule",
        401 => "No token, or one that does not hold",
        403 => "Not this caller's to do",
        404 => "Unknown, malformed, or not the caller's: not to be told apart",
        409 => "The `client_msg_id` stands for another text",
        413 => "The body is larger than 64 KiB",
        429 => "More than a user may ask for",
        503 => "Not now; nothing was changed",
        _ => "A fault of the server; nothing was changed",
    };
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(reference::<Failure>())));
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("In seconds")).build();
        response = response.header("Retry-After", header);
    }
    response
}

/// A schema among the components.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn list_of<T: ToSchema>() -> RefOr<Schema> {
    Schema::from(ArrayBuilder::new().items(reference::<T>())).into()
}

fn success() -> ObjectBuilder {
    ObjectBuilder::new().property("success", always_true()).required("success")
}

fn with_data(data: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    success().property("data", data).required("data")
}

fn status() -> ObjectBuilder {
    let ok = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["ok"]));
    success().property("status", ok).required("status")
}

fn numbers_by_name() -> RefOr<Schema> {
    let number = Schema::from(ObjectBuilder::new().schema_type(Type::Integer));
    Schema::from(ObjectBuilder::new().additional_properties(Some(number))).into()
}
