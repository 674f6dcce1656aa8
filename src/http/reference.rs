//! The API reference: two documents for programs, and a page for people, which is there where the chat page is.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS},
    web::{self, Path, ServiceConfig},
};
use actors::{Code, Refusal};
use utoipa_swagger_ui::Config;

use crate::reference;

use super::{ApiError, Route, routes::resource};

/// Where the page is.
const PAGE: &str = "/reference/";
/// This server's own files and calls; Swagger UI has styles within its elements, and pictures within its styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static OPENAPI: LazyLock<String> = LazyLock::new(|| json(&reference::openapi()));
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| json(&reference::asyncapi()));

fn json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).expect("documents of strings and numbers always serialize")
}

/// The REST calls.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI.as_str())
}

/// The events.
pub(super) async fn asyncapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(ASYNCAPI.as_str())
}

/// Puts the page's routes into an application, if it is wanted.
pub(super) fn page(is_wanted: bool) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        if !is_wanted {
            return;
        }
        let ui = Arc::new(
            Config::from(Route::OpenApi.path()).try_it_out_enabled(true).use_base_layout().validator_url("none"),
        );
        let answer = move |file: Path<String>| {
            let answer = file_of_page(&file, ui.clone());
            async { answer }
        };
        let moved = || async { HttpResponse::PermanentRedirect().insert_header((LOCATION, PAGE)).finish() };
        config.service(resource("/reference", "GET").route(web::get().to(moved)));
        config.service(resource("/reference/{file:.*}", "GET").route(web::get().to(answer)));
    }
}

fn file_of_page(file: &str, ui: Arc<Config<'static>>) -> Result<HttpResponse, ApiError> {
    let found = utoipa_swagger_ui::serve(file, ui).ok().flatten();
    let found = found.ok_or_else(|| Refusal::new(Code::NotFound, "Route not found"))?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, found.content_type));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(answer.body(found.bytes.into_owned()))
}
