//! Who is calling: JSON Web Tokens (RFC 7519), checked the same way for REST and Socket.IO.

mod keys;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actors::{Chat, Credentials, Timestamp, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use keys::{KeyError, Keys};

/// A caller whose token holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// With which rights.
    pub role: Role,
    /// For how long.
    pub credentials: Credentials,
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
    iat: f64,
    exp: f64,
}

/// Checks tokens, under keys that may be replaced while it runs.
pub struct Auth(RwLock<Arc<Keys>>);

impl Auth {
    /// With these keys.
    pub fn new(keys: Keys) -> Self {
        Self(RwLock::new(Arc::new(keys)))
    }

    /// Checks tokens with other keys from now on. Sessions that were let in before stay.
    pub fn replace(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The caller behind a token that was not revoked.
    ///
    /// # Errors
    /// It does not hold now.
    pub fn admit(&self, token: &str, chat: &Chat) -> Result<Caller, AuthError> {
        let caller = self.verify(token)?;
        if chat.is_revoked(caller.user, caller.credentials) {
            return Err(AuthError::Invalid("revoked".to_owned()));
        }
        Ok(caller)
    }

    /// The caller behind a token.
    ///
    /// # Errors
    /// It does not hold now.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let claims = claims(&keys, token)?;
        let user = UserId::parse(&claims.user_id).ok_or_else(|| AuthError::Invalid("malformed userId".to_owned()))?;
        let role = if claims.role == "admin" { Role::Admin } else { Role::Seller };
        // The seconds in which it was issued and ends. Numbers beyond the type become its ends.
        let (issued_at, expires_at) = (claims.iat.floor() as i64, claims.exp.floor() as i64);
        // What checked it rounds the end up.
        if expires_at <= Timestamp::now().seconds() {
            return Err(AuthError::Invalid("expired in this second".to_owned()));
        }
        let credentials = Credentials { issued_at, expires_at };
        Ok(Caller { user, role, credentials })
    }
}

/// What a token says, if one of the keys has signed it. Its header says which key that may be, and never how it is checked:
/// each key has its own algorithm.
fn claims(keys: &Keys, token: &str) -> Result<Claims, AuthError> {
    let invalid = |error: jsonwebtoken::errors::Error| AuthError::Invalid(error.to_string());
    let header = if keys.is_one() { None } else { Some(decode_header(token).map_err(invalid)?) };
    let mut refused = AuthError::Invalid("no key for it".to_owned());
    for key in keys.candidates(header.as_ref()) {
        match decode::<Claims>(token, &key.decoding, &key.validation) {
            Ok(token) => return Ok(token.claims),
            Err(error) => refused = invalid(error),
        }
    }
    Err(refused)
}

impl fmt::Debug for Auth {
    // Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

/// A token under an HMAC secret (HS256), for development and tests.
pub fn mint(secret: &[u8], user: UserId, role: Role, ttl: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let role = match role {
        Role::Seller => "seller",
        Role::Admin => "admin",
    };
    let exp = (now + ttl).as_secs();
    let claims = serde_json::json!({"userId": user, "role": role, "iat": now.as_secs(), "exp": exp});
    let header = Header::new(Algorithm::HS256);
    encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("an HMAC key signs any claims")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(secret: &[u8]) -> Auth {
        Auth::new(Keys::hs256(secret))
    }

    #[test]
    fn a_minted_token_holds_under_its_own_secret_only() {
        let user = UserId::new();
        let token = mint(b"one", user, Role::Admin, Duration::from_secs(60));
        let caller = auth(b"one").verify(&token).expect("it holds");
        assert_eq!((caller.user, caller.role), (user, Role::Admin));
        assert_eq!(caller.credentials.expires_at - caller.credentials.issued_at, 60);
        assert!(auth(b"two").verify(&token).is_err());
    }

    #[test]
    fn a_token_that_expires_now_has_expired() {
        let (auth, user) = (auth(b"secret"), UserId::new());
        assert!(auth.verify(&mint(b"secret", user, Role::Seller, Duration::ZERO)).is_err());
        assert!(auth.verify(&mint(b"secret", user, Role::Seller, Duration::from_secs(5))).is_ok());
    }

    #[test]
    fn a_token_that_expires_within_this_second_has_expired() {
        let now = Timestamp::now().seconds();
        let claims = serde_json::json!({"userId": UserId::new(), "exp": now as f64 + 0.7});
        let token = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"secret"));
        assert!(auth(b"secret").verify(&token.expect("signs")).is_err());
    }

    #[test]
    fn an_unknown_role_has_no_special_rights() {
        let claims = serde_json::json!({"userId": UserId::new(), "role": "Admin", "exp": 9_999_999_999_u64});
        let key = EncodingKey::from_secret(b"secret");
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).expect("signs");
        let caller = auth(b"secret").verify(&token);
        assert_eq!(caller.map(|caller| (caller.role, caller.credentials.issued_at)), Ok((Role::Seller, 0)));
    }

    #[test]
    fn other_keys_hold_from_the_moment_they_are_there() {
        let (auth, user) = (auth(b"old"), UserId::new());
        let [old, new] = [b"old", b"new"].map(|key| mint(key, user, Role::Seller, Duration::from_secs(60)));
        assert!(auth.verify(&old).is_ok() && auth.verify(&new).is_err());
        auth.replace(Keys::hs256(b"new"));
        assert!(auth.verify(&old).is_err() && auth.verify(&new).is_ok());
    }
}
