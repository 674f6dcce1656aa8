//! The keys that tokens are checked with: a secret, and public keys from files.

use std::{fs, io, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use thiserror::Error;

/// Why a file's keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the keys in {0}: {1}")]
    Unreadable(String, io::Error),
    /// It is neither a public key in PEM nor a JSON Web Key Set.
    #[error("{0} is neither a public key in PEM (RSA, P-256 or Ed25519) nor a JSON Web Key Set")]
    Unknown(String),
    /// A key in a set is none that tokens are checked with.
    #[error("{0}: the key {1} is for none of RS256, ES256 and EdDSA")]
    Unsupported(String, String),
    /// There is no key at all.
    #[error("{0} has no key for signatures")]
    Empty(String),
}

/// One key, with the one algorithm it is for.
pub(super) struct Key {
    /// Its name, if it has one.
    kid: Option<String>,
    algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

/// Keys, each of which may have signed a token.
#[derive(Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// An HMAC secret: the algorithm is HS256, whatever a token says.
    pub fn hs256(secret: &[u8]) -> Self {
        let mut keys = Self::default();
        keys.add_secret(secret);
        keys
    }

    /// One more secret.
    pub fn add_secret(&mut self, secret: &[u8]) {
        self.add(None, Algorithm::HS256, DecodingKey::from_secret(secret));
    }

    /// The keys of a file: a public key in PEM (RFC 7468; RSA for RS256, P-256 for ES256, Ed25519 for EdDSA), or a JSON Web
    /// Key Set (RFC 7517). Keys for encryption in a set are passed over.
    ///
    /// # Errors
    /// See [`KeyError`]. No key is added then.
    pub fn add_file(&mut self, path: &Path) -> Result<(), KeyError> {
        let name = path.display().to_string();
        let text = fs::read(path).map_err(|error| KeyError::Unreadable(name.clone(), error))?;
        if let Ok(set) = serde_json::from_slice::<JwkSet>(&text) {
            return self.add_set(&set, name);
        }
        let pem = [
            (Algorithm::RS256, DecodingKey::from_rsa_pem(&text)),
            (Algorithm::ES256, DecodingKey::from_ec_pem(&text)),
            (Algorithm::EdDSA, DecodingKey::from_ed_pem(&text)),
        ];
        let readable = pem.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
        let (algorithm, key) = readable.ok_or(KeyError::Unknown(name))?;
        self.add(None, algorithm, key);
        Ok(())
    }

    fn add_set(&mut self, set: &JwkSet, name: String) -> Result<(), KeyError> {
        let mut keys = Self::default();
        let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        for jwk in set.keys.iter().filter(signs) {
            let kid = jwk.common.key_id.clone();
            let unsupported =
                || KeyError::Unsupported(name.clone(), kid.clone().unwrap_or_else(|| "(unnamed)".to_owned()));
            let algorithm = algorithm(jwk).ok_or_else(unsupported)?;
            let key = DecodingKey::from_jwk(jwk).map_err(|_| unsupported())?;
            keys.add(kid, algorithm, key);
        }
        if keys.0.is_empty() {
            return Err(KeyError::Empty(name));
        }
        self.0.append(&mut keys.0);
        Ok(())
    }

    fn add(&mut self, kid: Option<String>, algorithm: Algorithm, decoding: DecodingKey) {
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        // A token that expires now has expired (RFC 7519, 4.1.4).
        validation.reject_tokens_expiring_in_less_than = 1;
        self.0.push(Key { kid, algorithm, decoding, validation });
    }

    /// Whether there is nothing to choose from, so that a token's header need not be read.
    pub(super) fn is_one(&self) -> bool {
        matches!(&self.0[..], [Key { kid: None, .. }])
    }

    /// The keys that may have signed a token with such a header: named the same, or one of the two is not named.
    pub(super) fn candidates(&self, header: Option<&Header>) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            header.is_none_or(|header| {
                let named = (key.kid.as_ref(), header.kid.as_ref());
                key.algorithm == header.alg && !matches!(named, (Some(key), Some(token)) if key != token)
            })
        })
    }
}

/// Which algorithm a public key is for.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|other| other == named).then_some(algorithm)
}
