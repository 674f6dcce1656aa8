//! Which public keys tokens can be checked with, and should be.

use std::ops::RangeInclusive;

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::verify,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm},
};
use rsa::{BigUint, RsaPublicKey, pkcs1};

/// How long an RSA key may be, in bits: shorter ones can be broken (RFC 7518, 3.3), and with longer ones the library checks
/// no signature.
const RSA_BITS: RangeInclusive<usize> = 2048..=4096;

/// Why a key is not taken.
pub(super) enum Fault {
    NoKey,
    /// An RSA key of so many.
    Bits(usize),
}

/// The key of a single block, with the algorithm it is for.
pub(super) fn public_key(block: &str) -> Result<(Algorithm, DecodingKey), Fault> {
    let kinds = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(block.as_bytes())),
        (Algorithm::ES256, DecodingKey::from_ec_pem(block.as_bytes())),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(block.as_bytes())),
    ];
    let (algorithm, key) =
        kinds.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?))).ok_or(Fault::NoKey)?;
    Ok((algorithm, sound(algorithm, key)?))
}

/// A public key that tokens can be checked with. jsonwebtoken finds that out with the first token only, and panics then if an
/// Ed25519 key is too short.
pub(super) fn sound(algorithm: Algorithm, key: DecodingKey) -> Result<DecodingKey, Fault> {
    let is_sound = match algorithm {
        Algorithm::RS256 => {
            let (modulus, exponent) = rsa_numbers(&key).ok_or(Fault::NoKey)?;
            let bits = modulus.bits();
            if !RSA_BITS.contains(&bits) {
                return Err(Fault::Bits(bits));
            }
            RsaPublicKey::new(modulus, exponent).is_ok()
        }
        Algorithm::EdDSA => key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == 32),
        _ => true,
    };
    if is_sound && verify("", b"", &key, algorithm).is_ok() { Ok(key) } else { Err(Fault::NoKey) }
}

/// Modulus and exponent.
fn rsa_numbers(key: &DecodingKey) -> Option<(BigUint, BigUint)> {
    let (modulus, exponent) = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => (&n[..], &e[..]),
        DecodingKeyKind::SecretOrDer(der) => {
            let key = pkcs1::RsaPublicKey::try_from(&der[..]).ok()?;
            (key.modulus.as_bytes(), key.public_exponent.as_bytes())
        }
    };
    Some((BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent)))
}

/// Which algorithm a public key is for.
pub(super) fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
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
