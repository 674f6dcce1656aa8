use horsetrust_chat::auth::{Auth, Keys};

use super::token::{message, signed};

const CLAIMS: &[u8] = br#"{"userId":"507f1f77bcf86cd799439011","role":"admin","exp":9999999999}"#;

/// Whatever keys are read, nobody gets in with a token that is not signed at all, or signed with what is public.
pub fn keys(input: &[u8]) -> bool {
    let mut keys = Keys::default();
    if keys.add_text(input, "a file".to_owned()).is_err() {
        return false;
    }
    let server = Auth::new(keys);
    for algorithm in ["none", "HS256", "RS256", "ES256", "EdDSA"] {
        let message = message(format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes(), CLAIMS);
        let forgeries =
            [signed(&message, input), signed(&message, b""), format!("{message}."), format!("{message}.AAAA")];
        for forgery in forgeries {
            assert!(server.verify(&forgery).is_err(), "a forgery holds: {forgery}");
        }
    }
    true
}
