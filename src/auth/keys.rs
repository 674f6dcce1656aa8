//! The keys that tokens are checked with: a secret, and public keys from files.

use std::{fs::File, io, io::Read as _, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use serde_json::Value;
use thiserror::Error;

mod sound;

use sound::{Fault, algorithm, public_key, sound};

/// What each block of a PEM file begins with; jsonwebtoken reads the first block only.
const PEM_BEGIN: &str = "-----BEGIN ";

/// Largest file of keys, in bytes.
const FILE: u64 = 1 << 20;

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
    /// The same in a set.
    #[error("{0} has the private part of a key, `d`, but only the public parts are wanted")]
    PrivatePart(String),
    /// A key in a set is none that tokens are checked with.
    #[error("{0}: the key {1} is for none of RS256, ES256 and EdDSA")]
    Unsupported(String, String),
    /// A key in a set is none at all: too short, or no point of its curve.
    #[error("{0}: the key {1} is not a sound public key")]
    Unsound(String, String),
    /// An RSA key in a set, or in a block of PEM, is too short or too long.
    #[error("{0}: {1} is an RSA key of {2} bits, and 2048 to 4096 are wanted")]
    Bits(String, String, usize),
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
        let text = read(path).map_err(|error| KeyError::Unreadable(name.clone(), error))?;
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
        let Ok(set) = serde_json::from_slice::<JwkSet>(text) else {
            return self.add_pem(&String::from_utf8_lossy(text), name);
        };
        if serde_json::from_slice(text).is_ok_and(|set| has_private(&set)) {
            return Err(KeyError::PrivatePart(name));
        }
        self.add_set(&set, name)
    }

    fn add_pem(&mut self, text: &str, name: String) -> Result<(), KeyError> {
        let blocks: Vec<_> = text.split(PEM_BEGIN).skip(1).collect();
        let is_private = |block: &&str| block.split("-----").next().is_some_and(|label| label.ends_with("PRIVATE KEY"));
        if blocks.iter().any(is_private) {
            return Err(KeyError::Private(name));
        }
        let keys: Vec<_> = blocks.iter().map(|block| public_key(&format!("{PEM_BEGIN}{block}"))).collect();
        let is_one = keys.len() == 1;
        let mut sound = Vec::new();
        for (at, key) in keys.into_iter().enumerate() {
            sound.push(key.map_err(|fault| match fault {
                Fault::Bits(bits) => KeyError::Bits(name.clone(), format!("block {} of its PEM", at + 1), bits),
                Fault::NoKey if is_one => KeyError::Unknown(name.clone()),
                Fault::NoKey => KeyError::UnknownBlock(name.clone(), at + 1),
            })?);
        }
        if sound.is_empty() {
            return Err(KeyError::Unknown(name));
        }
        for (algorithm, key) in sound {
            self.add(None, algorithm, key);
        }
        Ok(())
    }

    fn add_set(&mut self, set: &JwkSet, name: String) -> Result<(), KeyError> {
        let mut keys = Self::default();
        let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        for jwk in set.keys.iter().filter(signs) {
            let kid = jwk.common.key_id.clone();
            let named = || (name.clone(), kid.clone().unwrap_or_else(|| "(unnamed)".to_owned()));
            let Some(algorithm) = algorithm(jwk) else {
                let (name, key) = named();
                return Err(KeyError::Unsupported(name, key));
            };
            let key = DecodingKey::from_jwk(jwk).map_err(|_| Fault::NoKey).and_then(|key| sound(algorithm, key));
            let key = key.map_err(|fault| match (fault, named()) {
                (Fault::Bits(bits), (name, key)) => KeyError::Bits(name, format!("the key {key}"), bits),
                (Fault::NoKey, (name, key)) => KeyError::Unsound(name, key),
            })?;
            keys.add(kid.clone(), algorithm, key);
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

/// The file's text, unless it is none that keys are in: a pipe may never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // First, since opening a pipe waits for whoever writes.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
}

/// Whether a set tells the private part of a key (RFC 7518, 6.2.2 and 6.3.2).
fn has_private(set: &Value) -> bool {
    set["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| !key["d"].is_null()))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

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

    const RSA: &str = include_str!("../../fuzz/corpus/keys/rsa.pem");

    /// A set with an RSA key whose modulus has so many bits and ends so.
    fn rsa(bits: usize, last: u8, exponent: &[u8]) -> String {
        let mut modulus = vec![0xff; bits / 8];
        modulus[bits / 8 - 1] = last;
        let [n, e] = [&modulus[..], exponent].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        format!(r#"{{"keys":[{{"kty":"RSA","kid":"new","n":"{n}","e":"{e}"}}]}}"#)
    }

    #[test]
    fn an_rsa_key_that_can_be_broken_or_checks_nothing_is_refused_with_its_size() {
        const E: &[u8] = &[1, 0, 1];
        for bits in [2048, 4096] {
            added(&rsa(bits, 0xff, E)).expect("a sound key");
        }
        for bits in [512, 1024, 2040, 4104, 8192] {
            let error = added(&rsa(bits, 0xff, E)).expect_err("its size").to_string();
            assert_eq!(
                error,
                format!("keys.json: the key new is an RSA key of {bits} bits, and 2048 to 4096 are wanted")
            );
        }
        for unsound in [rsa(2048, 0xfe, E), rsa(2048, 0xff, &[1]), rsa(2048, 0xff, &[2]), rsa(2048, 0xff, &[])] {
            let error = added(&unsound).expect_err("no key").to_string();
            assert_eq!(error, "keys.json: the key new is not a sound public key");
        }
        added(RSA).expect("a sound key");
        let short = include_str!("../../fuzz/corpus/keys/rsa-1024.pem");
        let error = added(&format!("{RSA}{short}")).expect_err("its size").to_string();
        assert_eq!(error, "keys.json: block 2 of its PEM is an RSA key of 1024 bits, and 2048 to 4096 are wanted");
    }

    #[test]
    fn what_is_no_file_of_keys_is_not_read() {
        let directory = std::env::temp_dir().join(format!("horsetrust-keys-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a new directory");
        let (pipe, large) = (directory.join("pipe"), directory.join("large"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("a pipe");
        std::fs::write(&large, vec![b' '; FILE as usize + 1]).expect("a large file");
        for (file, why) in [(&pipe, "no regular file"), (&large, "larger than 1 MiB"), (&directory, "no regular file")]
        {
            let error = Keys::default().add_file(file).expect_err(why).to_string();
            assert!(error.ends_with(why), "{error}");
        }
        std::fs::remove_dir_all(&directory).expect("it was made here");
    }

    #[test]
    fn a_private_key_is_refused_as_such() {
        let set = rsa(2048, 0xff, &[1, 0, 1]).replace(r#""e":"#, r#""d":"AAAA","e":"#);
        assert!(matches!(added(&set), Err(KeyError::PrivatePart(_))));
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let block = format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
            for file in [block.clone(), format!("{P256}{block}")] {
                let error = added(&file).expect_err(kind).to_string();
                assert!(error.contains("has a private key, but the public one is wanted"), "{error}");
            }
        }
    }
}
