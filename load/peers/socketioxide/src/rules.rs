//! What a caller may say: tokens, texts, pages.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::id::ObjectId;

const TEXT_LIMIT: usize = 2000;
const PREVIEW_LENGTH: usize = 60;
const DEFAULT_PAGE_LIMIT: i64 = 30;
const MAX_PAGE_LIMIT: i64 = 100;

#[derive(Clone, Copy)]
pub struct Caller {
    pub id: ObjectId,
    pub is_admin: bool,
}

pub struct Tokens {
    key: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub fn new(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        Self { key: DecodingKey::from_secret(secret), validation }
    }

    pub fn verify(&self, token: &str) -> Option<Caller> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Claims {
            user_id: String,
            #[serde(default)]
            role: String,
        }

        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?.claims;
        Some(Caller { id: ObjectId::parse(&claims.user_id)?, is_admin: claims.role == "admin" })
    }
}

/// Refuses what is not 1 to 2000 code points, all white space, or has U+0000.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("text must not be empty");
    }
    if text.contains('\0') {
        return Err("text must not contain U+0000");
    }
    if text.len() > TEXT_LIMIT && text.chars().count() > TEXT_LIMIT {
        return Err("text must have at most 2000 characters");
    }
    Ok(())
}

/// The first 60 code points.
pub fn preview(text: &str) -> &str {
    text.char_indices().nth(PREVIEW_LENGTH).map_or(text, |(end, _)| &text[..end])
}

/// `(limit, offset)` of a query string's values; what is out of range is corrected, what is no number means the default.
pub fn page(page: Option<&str>, limit: Option<&str>) -> (i64, i64) {
    let number = |value: Option<&str>, default| match value.and_then(|value| value.parse::<u32>().ok()) {
        None | Some(0) => default,
        Some(number) => i64::from(number),
    };
    let limit = number(limit, DEFAULT_PAGE_LIMIT).min(MAX_PAGE_LIMIT);
    (limit, (number(page, 1) - 1) * limit)
}
