use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use horsetrust_chat::auth::{Auth, Caller, Keys, Role};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::Value;

const SECRET: &[u8] = b"the secret of the fuzzed server";
/// What somebody without the secret may sign with: an empty one, a guess, and what is public.
const FOREIGN: [&[u8]; 4] = [b"", b"secret", RSA_PEM, KEY_SET];
const RSA_PEM: &[u8] = include_bytes!("../corpus/keys/rsa.pem");
const KEY_SET: &[u8] = include_bytes!("../corpus/keys/set.json");

/// A server with a secret only, and one with public keys as well.
static SERVERS: LazyLock<[Auth; 2]> = LazyLock::new(|| {
    let mut keys = Keys::hs256(SECRET);
    for text in [RSA_PEM, KEY_SET] {
        keys.add_text(text, "a public key".to_owned()).expect("the corpus has sound keys");
    }
    [Auth::new(Keys::hs256(SECRET)), Auth::new(keys)]
});

/// No token holds that was not signed with the secret, and one that was holds only for what it says.
pub fn token(input: &[u8]) -> bool {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(header), Some(claims)) = (lines.next(), lines.next()) else {
        let text = String::from_utf8_lossy(input);
        SERVERS.iter().for_each(|server| assert!(server.verify(&text).is_err()));
        return false;
    };
    let message = message(header, claims);
    for forgery in forgeries(&message, lines.next().unwrap_or_default()) {
        for server in &*SERVERS {
            assert!(server.verify(&forgery).is_err(), "a forgery holds: {forgery}");
        }
    }
    let genuine = signed(&message, SECRET);
    let callers = SERVERS.each_ref().map(|server| server.verify(&genuine).ok());
    assert_eq!(callers[0], callers[1], "more keys change nothing for those who have a token under the secret");
    if let Some(caller) = callers[0] {
        as_it_says(&caller, header, claims);
    }
    callers[0].is_some()
}

/// A token's header and claims, as they are signed.
pub(crate) fn message(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

pub(crate) fn signed(message: &str, secret: &[u8]) -> String {
    let signature = sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256);
    format!("{message}.{}", signature.expect("an HMAC key signs anything"))
}

/// Without a signature, with this one, and under secrets that are none.
fn forgeries<'a>(message: &'a str, signature: &[u8]) -> impl Iterator<Item = String> + use<'a> {
    let given = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let unsigned = [message.to_owned(), format!("{message}."), given];
    unsigned.into_iter().chain(FOREIGN.into_iter().map(|secret| signed(message, secret)))
}

fn as_it_says(caller: &Caller, header: &[u8], claims: &[u8]) {
    let header: Value = serde_json::from_slice(header).expect("the header of a token that holds is JSON");
    assert_eq!(header["alg"], "HS256");
    // Numbers that no JSON reader takes may stand in claims that nobody reads.
    let Ok(claims) = serde_json::from_slice::<Value>(claims) else { return };
    let user = claims["userId"].as_str().expect("a token that holds names a user");
    assert!(user.eq_ignore_ascii_case(&caller.user.to_string()));
    assert_eq!(caller.role == Role::Admin, claims["role"] == "admin");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64();
    let expires = claims["exp"].as_f64().expect("a token that holds has an end");
    assert!(expires > now - 1.0, "it has expired");
    assert_eq!(caller.credentials.expires_at, expires.floor() as i64);
    assert!(claims["nbf"].as_f64().is_none_or(|begins| begins <= now + 1.0), "it does not hold yet");
}
