//! The keys that tokens are checked with: a secret, and public keys from files.

use std::{fs, io, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    crypto::verify,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use thiserror::Error;

/// What each block of a PEM file begins with; jsonwebtoken reads the first block only.
const PEM_BEGIN: &str = "-----BEGIN ";

/// Why a file's keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the keys in {0}: {1}")]
    Unreadable(String, io::Error),
    /// It is neither a public key in PEM nor a JSON Web Key Set.
    #[error("{0} is neither a public key in PEM (RSA, P-256 or Ed25519) nor a JSON Web Key Set")]
    Unknown(String),
    /// One of several blocks in PEM is no such key.
    #[error("{0}: block {1} of its PEM is no public key (RSA, P-256 or Ed25519)")]
    UnknownBlock(String, usize),
    /// Who checks tokens has no need of it, and should not be able to make any.
    #[error("{0} has a private key, but the public one is wanted: `openssl pkey -in FILE -pubout` makes it")]
    Private(String),
    /// A key in a set is none that tokens are checked with.
    #[error("{0}: the key {1} is for none of RS256, ES256 and EdDSA")]
    Unsupported(String, String),
    /// A key in a set is none at all: too short, or no point of its curve.
    #[error("{0}: the key {1} is not a sound public key")]
    Unsound(String, String),
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

    /// The keys of a file, see [`Keys::add_text`].
    ///
    /// # Errors
    /// See [`KeyError`]. No key is added then.
    pub fn add_file(&mut self, path: &Path) -> Result<(), KeyError> {
        let name = path.display().to_string();
        let text = fs::read(path).map_err(|error| KeyError::Unreadable(name.clone(), error))?;
        self.add_text(&text, name)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The keys of a text: public keys in PEM, one or more (RFC 7468; RSA for RS256, P-256 for ES256, Ed25519 for EdDSA), or a
    /// JSON Web Key Set (RFC 7517). Keys for encryption in a set are passed over. Errors call it by this name.
    ///
    /// # Errors
    /// See [`KeyError`]. No key is added then.
    pub fn add_text(&mut self, text: &[u8], name: String) -> Result<(), KeyError> {
        match serde_json::from_slice::<JwkSet>(text) {
            Ok(set) => self.add_set(&set, name),
            Err(_) => self.add_pem(&String::from_utf8_lossy(text), name),
        }
    }

    fn add_pem(&mut self, text: &str, name: String) -> Result<(), KeyError> {
        let blocks: Vec<_> = text.split(PEM_BEGIN).skip(1).collect();
        let is_private = |block: &&str| block.split("-----").next().is_some_and(|label| label.ends_with("PRIVATE KEY"));
        if blocks.iter().any(is_private) {
            return Err(KeyError::Private(name));
        }
        let keys: Vec<_> = blocks.iter().map(|block| public_key(&format!("{PEM_BEGIN}{block}"))).collect();
        match keys.iter().position(Option::is_none) {
            Some(_) if keys.len() == 1 => return Err(KeyError::Unknown(name)),
            Some(at) => return Err(KeyError::UnknownBlock(name, at + 1)),
            None if keys.is_empty() => return Err(KeyError::Unknown(name)),
            None => (),
        }
        for (algorithm, key) in keys.into_iter().flatten() {
            self.add(None, algorithm, key);
        }
        Ok(())
    }

    fn add_set(&mut self, set: &JwkSet, name: String) -> Result<(), KeyError> {
        let mut keys = Self::default();
        let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        for jwk in set.keys.iter().filter(signs) {
            let kid = jwk.common.key_id.clone();
            let refused = |why: fn(String, String) -> KeyError| {
                why(name.clone(), kid.clone().unwrap_or_else(|| "(unnamed)".to_owned()))
            };
            let algorithm = algorithm(jwk).ok_or_else(|| refused(KeyError::Unsupported))?;
            let key = DecodingKey::from_jwk(jwk).ok().filter(|key| is_sound(algorithm, key));
            keys.add(kid.clone(), algorithm, key.ok_or_else(|| refused(KeyError::Unsound))?);
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

/// The key of a single block, with the algorithm it is for.
fn public_key(block: &str) -> Option<(Algorithm, DecodingKey)> {
    let kinds = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(block.as_bytes())),
        (Algorithm::ES256, DecodingKey::from_ec_pem(block.as_bytes())),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(block.as_bytes())),
    ];
    kinds.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok().filter(|key| is_sound(algorithm, key))?)))
}

/// Whether tokens can be checked with a public key. jsonwebtoken finds that out with the first token only, and panics then
/// if an Ed25519 key is too short.
fn is_sound(algorithm: Algorithm, key: &DecodingKey) -> bool {
    let has_length = algorithm != Algorithm::EdDSA || key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == 32);
    has_length && verify("", b"", key, algorithm).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> Result<(), KeyError> {
        Keys::default().add_text(text.as_bytes(), "keys.json".to_owned())
    }

    #[test]
    fn a_key_that_no_token_could_be_checked_with_is_refused_by_its_name() {
        let ed = |x| format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"old","x":"{x}"}}]}}"#);
        let sound = "1lowGB_nM8RUeRrNCucK1fpd01C1qvcNHJp6FW3r1l0";
        assert!(added(&ed(sound)).is_ok());
        let no_point = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"old","x":"AAAA","y":"AAAA"}]}"#;
        for unsound in [&ed(&sound[..40]), &ed(&format!("{sound}AAAA")), no_point] {
            let error = added(unsound).expect_err(unsound).to_string();
            assert_eq!(error, "keys.json: the key old is not a sound public key");
        }
        let p384 = r#"{"keys":[{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}]}"#;
        assert!(matches!(added(p384), Err(KeyError::Unsupported(..))));
    }

    const P256: &str = include_str!("../../fuzz/corpus/keys/p256.pem");
    const ED25519: &str = include_str!("../../fuzz/corpus/keys/ed25519.pem");

    #[test]
    fn every_block_of_a_pem_file_is_a_key() {
        let mut keys = Keys::default();
        let file = format!("the old one\n{P256}\nthe new one\r\n{ED25519}{P256}");
        keys.add_text(file.as_bytes(), "keys.pem".to_owned()).expect("three keys");
        let algorithms: Vec<_> = keys.0.iter().map(|key| key.algorithm).collect();
        assert_eq!(algorithms, [Algorithm::ES256, Algorithm::EdDSA, Algorithm::ES256]);
    }

    #[test]
    fn a_file_with_a_block_that_is_no_key_is_refused_whole() {
        let mut keys = Keys::default();
        let nothing = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        for file in [format!("{P256}{nothing}{ED25519}"), format!("{P256}{}", ED25519.replace("-----END", ""))] {
            let error = keys.add_text(file.as_bytes(), "keys.pem".to_owned()).expect_err(&file).to_string();
            assert_eq!(error, "keys.pem: block 2 of its PEM is no public key (RSA, P-256 or Ed25519)");
        }
        assert_eq!(keys.count(), 0);
        for file in ["", "nonsense", nothing, "-----BEGIN "] {
            assert!(matches!(added(file), Err(KeyError::Unknown(_))), "{file}");
        }
    }

    #[test]
    fn a_private_key_is_refused_as_such() {
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let block = format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
            for file in [block.clone(), format!("{P256}{block}")] {
                let error = added(&file).expect_err(kind).to_string();
                assert!(error.contains("has a private key, but the public one is wanted"), "{error}");
            }
        }
    }
}
