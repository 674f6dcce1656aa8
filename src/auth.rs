//! Who is calling: JSON Web Tokens (RFC 7519), checked the same way for REST and Socket.IO.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actors::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A caller whose token holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// With which rights.
    pub role: Role,
}

/// What a caller may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Role {
    /// Own conversations only; unknown roles count as this one.
    Seller,
    /// Profiles and operation, too.
    Admin,
}

/// Why a token is refused. What clients are told is the same for all but the first.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AuthError {
    /// None was given.
    #[error("no token")]
    NoToken,
    /// It does not hold; the reason is for the log.
    #[error("invalid token: {0}")]
    Invalid(String),
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "userId")]
    user_id: String,
    #[serde(default)]
    role: serde_json::Value,
    #[serde(default)]
    iat: u64,
    exp: f64,
}

/// Checks and makes tokens under one secret.
#[derive(Clone)]
pub struct Auth {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
}

impl Auth {
    /// With an HMAC secret: the algorithm is HS256, whatever a token says.
    pub fn hs256(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        // A token that expires now has expired (RFC 7519, 4.1.4).
        validation.reject_tokens_expiring_in_less_than = 1;
        Self { decoding: DecodingKey::from_secret(secret), encoding: EncodingKey::from_secret(secret), validation }
    }

    /// The caller behind a token.
    ///
    /// # Errors
    /// It does not hold now.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let claims = decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| AuthError::Invalid(error.to_string()))?
            .claims;
        let user = UserId::parse(&claims.user_id).ok_or_else(|| AuthError::Invalid("malformed userId".to_owned()))?;
        let role = if claims.role == "admin" { Role::Admin } else { Role::Seller };
        Ok(Caller { user, role })
    }

    /// A token, for development and tests.
    pub fn mint(&self, user: UserId, role: Role, ttl: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let role = match role {
            Role::Seller => "seller",
            Role::Admin => "admin",
        };
        let exp = (now + ttl).as_secs();
        let claims = serde_json::json!({"userId": user, "role": role, "iat": now.as_secs(), "exp": exp});
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).expect("an HMAC key signs any claims")
    }
}

impl fmt::Debug for Auth {
    // Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_holds_under_its_own_secret_only() {
        let (auth, user) = (Auth::hs256(b"one"), UserId::new());
        let token = auth.mint(user, Role::Admin, Duration::from_secs(60));
        assert_eq!(auth.verify(&token), Ok(Caller { user, role: Role::Admin }));
        assert!(Auth::hs256(b"two").verify(&token).is_err());
    }

    #[test]
    fn a_token_that_expires_now_has_expired() {
        let (auth, user) = (Auth::hs256(b"secret"), UserId::new());
        assert!(auth.verify(&auth.mint(user, Role::Seller, Duration::ZERO)).is_err());
        assert!(auth.verify(&auth.mint(user, Role::Seller, Duration::from_secs(5))).is_ok());
    }

    #[test]
    fn an_unknown_role_has_no_special_rights() {
        let auth = Auth::hs256(b"secret");
        let claims = serde_json::json!({"userId": UserId::new(), "role": "Admin", "exp": 9_999_999_999_u64});
        let token = encode(&Header::new(Algorithm::HS256), &claims, &auth.encoding).expect("signs");
        assert_eq!(auth.verify(&token).map(|caller| caller.role), Ok(Role::Seller));
    }
}
