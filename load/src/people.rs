//! The users of a run: made with the secret, or given as tokens; and their conversations.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ops::Range,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::try_join_all;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use jsonwebtoken::{EncodingKey, Header};
use serde::Deserialize;

use crate::{
    cli::Common,
    failure::Failure,
    rest::{Answer, Rest, Target},
};

/// Set-up calls under way at the same time.
const CONCURRENCY: usize = 16;
/// How long a token is valid.
const VALID: Duration = Duration::from_secs(24 * 3600);

/// Somebody who talks.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// Makes sure that the users with these numbers exist.
///
/// # Errors
/// Too few tokens, no secret, or the server refuses.
pub(crate) async fn users(common: &Common, target: &Target, numbers: Range<usize>) -> Result<Vec<User>, Failure> {
    // An empty JWT_SECRET is none.
    match (&common.tokens, common.secret.as_ref().filter(|secret| !secret.is_empty())) {
        (Some(file), _) => from_tokens(file, numbers),
        (None, Some(secret)) => make(common, target, secret, numbers).await,
        (None, None) => Err(Failure::new(
            "whose messages? give --secret (or JWT_SECRET) to make users, or --tokens FILE with tokens of existing ones",
        )),
    }
}

fn from_tokens(file: &Path, numbers: Range<usize>) -> Result<Vec<User>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read the tokens in {}: {error}", file.display())))?;
    let mut users = of_tokens(&text).map_err(|error| Failure::new(format!("{}, {error}", file.display())))?;
    if users.len() < numbers.end {
        let has = users.len();
        let file = file.display();
        return Err(Failure::new(format!(
            "{file} has {has} tokens, and {} users are needed: give more tokens, or ask for less",
            numbers.end
        )));
    }
    users.truncate(numbers.end);
    Ok(users.split_off(numbers.start))
}

/// A token a line, each of another user.
fn of_tokens(text: &str) -> Result<Vec<User>, Failure> {
    let (mut users, mut line_of) = (Vec::new(), HashMap::new());
    for (place, token) in text.lines().map(str::trim).enumerate().filter(|(_, token)| !token.is_empty()) {
        let line = place + 1;
        let user = user_of(token).map_err(|error| Failure::new(format!("line {line}: {error}")))?;
        if let Some(before) = line_of.insert(user.id.clone(), line) {
            let message = format!("line {line}: a second token of user {}, whose first is in line {before}", user.id);
            return Err(Failure::new(message));
        }
        users.push(user);
    }
    Ok(users)
}

/// The user that a token names; whether it holds, the server says.
fn user_of(token: &str) -> Result<User, Failure> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(rename = "userId")]
        user_id: String,
    }
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token)
        .map_err(|error| Failure::new(format!("no token: {error}")))?;
    Ok(User { id: claims.claims.user_id, token: token.to_owned() })
}

/// A token under the secret.
pub(crate) fn token(secret: &str, id: &str, role: &str) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let claims = serde_json::json!({
        "userId": id, "role": role, "iat": now.as_secs(), "exp": (now + VALID).as_secs(),
    });
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|error| Failure::new(format!("cannot sign a token: {error}")))?;
    // It goes into a header.
    HeaderValue::from_str(&token).map(|_| token).map_err(|_| Failure::new("a token that is no header"))
}

async fn make(common: &Common, target: &Target, secret: &str, numbers: Range<usize>) -> Result<Vec<User>, Failure> {
    let id = |number: usize| format!("{}{number:016x}", common.id_prefix);
    let users = numbers.clone().map(|number| {
        let id = id(number);
        let token = token(secret, &id, "seller")?;
        Ok(User { id, token })
    });
    let users: Vec<User> = users.collect::<Result<_, Failure>>()?;
    let admin = token(secret, &format!("{}ffffffffffffffff", common.id_prefix), "admin")?;
    let missing_route = Cell::new(false);
    side_by_side(target, users.len(), async |rest, number| {
        if missing_route.get() {
            return Ok(());
        }
        let path = format!("/api/chat/users/{}", users[number].id);
        let body = format!(r#"{{"full_name":"Rider {}"}}"#, numbers.start + number);
        let Answer { status, body, .. } = rest.call_patiently(Method::PUT, &path, &admin, Some(body)).await?;
        match status {
            status if status.is_success() => Ok(()),
            // Another server of the contract: its users exist, or the next calls say that they do not.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                missing_route.set(true);
                Ok(())
            }
            StatusCode::UNAUTHORIZED => Err(Failure::new("the server refuses the tokens: is --secret its JWT_SECRET?")),
            status => Err(Failure::new(format!("cannot make a user: {status} {}", String::from_utf8_lossy(&body)))),
        }
    })
    .await?;
    Ok(users)
}

/// The conversations of some pairs of users, made if they are not there.
///
/// # Errors
/// The server refuses.
pub(crate) async fn conversations(
    target: &Target,
    users: &[User],
    pairs: &[[usize; 2]],
) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Made {
        data: Conversation,
    }
    #[derive(Deserialize)]
    struct Conversation {
        #[serde(rename = "_id")]
        id: String,
    }
    let ids = RefCell::new(vec![String::new(); pairs.len()]);
    side_by_side(target, pairs.len(), async |rest, number| {
        let [one, other] = pairs[number];
        let body = format!(r#"{{"recipient_id":"{}"}}"#, users[other].id);
        let (path, token) = ("/api/chat/conversations", &users[one].token);
        let Answer { status, body, .. } = rest.call_patiently(Method::POST, path, token, Some(body)).await?;
        let made = serde_json::from_slice::<Made>(&body).ok().filter(|_| status.is_success());
        let made = made.ok_or_else(|| {
            let body = String::from_utf8_lossy(&body).into_owned();
            Failure::new(format!("cannot make the conversation of users {one} and {other}: {status} {body}"))
        })?;
        ids.borrow_mut()[number] = made.data.id;
        Ok(())
    })
    .await?;
    Ok(ids.into_inner())
}

/// Calls `work` with each number below `count`, over a few connections.
async fn side_by_side(
    target: &Target,
    count: usize,
    work: impl AsyncFn(&mut Rest, usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let next = Cell::new(0);
    let one = async || {
        let mut rest = Rest::connect(target).await?;
        while next.get() < count {
            let number = next.replace(next.get() + 1);
            work(&mut rest, number).await?;
        }
        Ok::<_, Failure>(())
    };
    try_join_all((0..CONCURRENCY.min(count)).map(|_| one())).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_token() {
        let of = |id: &str| token("a secret", id, "seller").expect("a token");
        let (one, other) = (of("507f1f77bcf86cd799439010"), of("507f1f77bcf86cd799439011"));
        assert_eq!(of_tokens(&format!("{one}\n\n{other}\n")).map(|users| users.len()).ok(), Some(2));
        let refused = of_tokens(&format!("{one}\n{other}\n\n{one}\n")).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|error| error.starts_with("line 4: ") && error.ends_with("is in line 1")));
    }
}
