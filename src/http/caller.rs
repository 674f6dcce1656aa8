//! The caller of a REST route, from its `Authorization` header.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data};
use actors::{Code, Refusal, UserId};

use crate::auth::{AuthError, Caller, Role};

use super::{ApiError, App};

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map_err(ApiError::from).and_then(|caller| counted(request, caller)))
    }
}

/// A caller with the role `admin`: who it is.
pub(super) struct Admin(pub(super) UserId);

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match caller(request) {
            Ok(Caller { role: Role::Admin, user, .. }) => Ok(Self(user)),
            Ok(other) => {
                let refusal = Refusal::new(Code::Forbidden, "Admin role required");
                counted(request, other).and_then(|_| Err(refusal.into()))
            }
            Err(error) => Err(error.into()),
        })
    }
}

/// Whoever the header names, not counted against a rate.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, AuthError> {
    let app = request.app_data::<Data<App>>().expect("every App of ours has it");
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // A scheme has no case (RFC 9110, 11.1).
    let named =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    let (_, token) = named.ok_or(AuthError::NoToken)?;
    let caller = app.auth.admit(token.trim(), &app.chat)?;
    request.extensions_mut().insert(caller);
    Ok(caller)
}

/// Whether the token holds by which the request was let in: to be asked when its body has come, which may take long.
pub(super) fn still_holds(request: &HttpRequest) -> Result<(), AuthError> {
    let app = request.app_data::<Data<App>>().expect("every App of ours has it");
    match request.extensions().get::<Caller>() {
        Some(caller) if !app.chat.still_holds(caller.user, caller.credentials) => {
            Err(AuthError::Invalid("ended before the body had come".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Counts a call against its caller's rate, unless the server stops.
fn counted(request: &HttpRequest, caller: Caller) -> Result<Caller, ApiError> {
    let app = request.app_data::<Data<App>>().expect("every App of ours has it");
    // What was asked before is answered; calls without end would keep a stop from its own work.
    if app.chat.is_stopping() {
        return Err(Refusal::unavailable().into());
    }
    if caller.role != Role::Admin {
        app.rates.admit_call(caller.user)?;
    }
    Ok(caller)
}
