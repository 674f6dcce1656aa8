//! Refusals as HTTP answers: the only place that knows their status.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};
use actors::{Code, Refusal, store::StoreError};

use crate::auth::AuthError;

/// A refusal on its way to a REST caller.
#[derive(Debug)]
pub struct ApiError(pub Refusal);

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self.0.code {
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::IdempotencyConflict => StatusCode::CONFLICT,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.0.retry_after() {
            // Whole seconds, never too few.
            response.insert_header((header::RETRY_AFTER, wait.as_micros().div_ceil(1_000_000).to_string()));
        }
        response.json(&self.0)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a request failed");
        Self(error.into())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let message = match error {
            AuthError::NoToken => "No token provided",
            AuthError::Invalid(reason) => {
                tracing::debug!(reason, "a token was refused");
                "Invalid or expired token"
            }
        };
        Self(Refusal::new(Code::Unauthenticated, message))
    }
}
