//! Users with profiles and tokens, and the REST calls made in their name.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::http::Connection;
use super::server::{SECRET, Server};

/// An ObjectId that nobody else has.
pub(crate) fn new_id() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn token(user_id: &str, role: &str) -> String {
    signed(user_id, role, 0, 3600)
}

/// A token that expires in so many seconds.
pub(crate) fn token_until(user_id: &str, seconds: i64) -> String {
    signed(user_id, "seller", -60, seconds)
}

/// A token of so many seconds from now, until so many.
pub(crate) fn signed(user_id: &str, role: &str, from: i64, until: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs() as i64;
    let claims = json!({ "userId": user_id, "role": role, "iat": now + from, "exp": now + until });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("claims make a token")
}

pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Server {
    /// A new user with a profile.
    pub(crate) fn person(&self, full_name: &str) -> Person {
        let id = new_id();
        let admin = token(&new_id(), "admin");
        let path = format!("/api/chat/users/{id}");
        let (status, reply) = self.rest(&admin, "PUT", &path, Some(&json!({ "full_name": full_name })));
        assert_eq!(status, 200, "{reply}");
        let token = token(&id, "seller");
        Person { id, token }
    }

    /// The id of a conversation of these two.
    pub(crate) fn conversation(&self, one: &Person, other: &Person) -> String {
        let body = json!({ "recipient_id": other.id });
        let (status, reply) = self.rest(&one.token, "POST", "/api/chat/conversations", Some(&body));
        assert_eq!(status, 200, "{reply}");
        reply["data"]["_id"].as_str().expect("an id").to_owned()
    }

    /// Sends a message by the REST fallback and returns it.
    pub(crate) fn post(&self, sender: &Person, conversation: &str, text: &str) -> Value {
        self.post_message(sender, conversation, &json!({ "text": text }))
    }

    /// The same with a `client_msg_id`.
    pub(crate) fn post_named(&self, sender: &Person, conversation: &str, text: &str, name: &str) -> Value {
        self.post_message(sender, conversation, &json!({ "text": text, "client_msg_id": name }))
    }

    fn post_message(&self, sender: &Person, conversation: &str, message: &Value) -> Value {
        let path = format!("/api/chat/conversations/{conversation}/messages");
        let (status, reply) = self.rest(&sender.token, "POST", &path, Some(message));
        assert_eq!(status, 201, "{reply}");
        reply["data"].clone()
    }

    /// The texts of the newest page, oldest first.
    pub(crate) fn texts(&self, reader: &Person, conversation: &str) -> Vec<String> {
        let path = format!("/api/chat/conversations/{conversation}/messages?limit=100");
        let (status, reply) = self.rest(&reader.token, "GET", &path, None);
        assert_eq!(status, 200, "{reply}");
        let messages = reply["data"].as_array().expect("an array");
        messages.iter().map(|message| message["text"].as_str().expect("a text").to_owned()).collect()
    }

    /// A number of the admin's statistics.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let (status, reply) = self.rest(&token(&new_id(), "admin"), "GET", "/api/chat/admin/stats", None);
        assert_eq!(status, 200, "{reply}");
        reply["data"][name].as_u64().unwrap_or_else(|| panic!("no number {name} in {reply}"))
    }

    /// One call on a connection of its own.
    pub(crate) fn rest(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        let response = Connection::open(self.address()).request(method, path, &headers, body.as_bytes());
        (response.status, response.json())
    }
}
