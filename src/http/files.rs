//! Files that are part of the binary, as pages of this server's own have them.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH},
    web::{self, Bytes, ServiceConfig},
};

use super::routes::resource;

/// Nothing but this server's own files and calls: no script or style within the page, no frame around it, and no text that
/// becomes markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Looked after at each use, which costs a small answer: after an upgrade the next page is of the new version.
const CACHING: &str = "no-cache";

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const CSS: &str = "text/css; charset=utf-8";
pub(crate) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// A file as it is sent.
#[derive(Clone)]
pub(crate) struct File {
    kind: &'static str,
    content: Bytes,
    tag: String,
}

impl File {
    pub(crate) fn new(kind: &'static str, content: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { kind, content, tag: format!("\"{:016x}\"", hasher.finish()) }
    }

    /// Puts it into an application.
    pub(crate) fn at(self, path: &'static str) -> impl FnOnce(&mut ServiceConfig) {
        let answer = move |request: HttpRequest| {
            let answer = self.answer(&request);
            async { answer }
        };
        move |config| {
            config.service(
                resource(path, "GET, HEAD").route(web::get().to(answer.clone())).route(web::head().to(answer)),
            );
        }
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
