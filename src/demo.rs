//! A few users, conversations and messages to try the server with.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use actors::{Chat, ConversationId, HorseId, MessageText, Profile, UserId};
use serde::Serialize;

use crate::{
    auth::{self, Role},
    cli,
    config::Settings,
    http::App,
};

/// How long the printed tokens hold.
const TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a token holds that the chat page gets; the page fetches another before it ends.
const PAGE_TOKEN_TTL: Duration = Duration::from_secs(10 * 60);

/// An admin who is none of the users: who is revoked there goes on here.
const ADMIN: &str = "665000000000000000000009";

/// For whoever starts it on a database that may be others', too.
const OF_OTHERS: &str = "--demo puts its users into the database that DATABASE_URL names, where they stay, and gives whoever \
    reaches this server tokens to act as them; unset DATABASE_URL, or name a database that is for nothing else";

/// For whoever lets others reach it.
const REACHED: &str = "--demo gives whoever reaches this server tokens to act as its users, and HOST lets other machines reach \
    it; leave HOST unset, unless all of them may";

const USERS: [(&str, &str); 4] = [
    ("665000000000000000000001", "Demo Buyer"),
    ("665000000000000000000002", "Demo Seller"),
    ("665000000000000000000003", "Demo Stable"),
    ("665000000000000000000004", "Demo Breeder"),
];

/// Two users, the horse, and what they said: who (0 or 1) and what.
type Dialogue = (usize, usize, &'static str, &'static [(usize, &'static str)]);

const DIALOGUES: [Dialogue; 3] = [
    (
        0,
        1,
        "665000000000000000000101",
        &[
            (0, "Hello! Is this horse still available?"),
            (1, "Yes, Thunder is still available."),
            (0, "How is he with beginners?"),
            (1, "Very calm. Would you like to schedule a visit?"),
            (0, "Saturday morning would suit me 🐎"),
            (1, "Saturday at ten, then. Bring boots!"),
        ],
    ),
    (
        0,
        2,
        "665000000000000000000102",
        &[(0, "Do you board ponies as well?"), (2, "We do; there is a box free from next month.")],
    ),
    (3, 0, "665000000000000000000103", &[(3, "The foal you asked about was born last night.")]),
];

/// A demo user and a token, for whoever asks.
#[derive(Serialize)]
pub(crate) struct DemoUser {
    #[serde(rename = "_id")]
    id: &'static str,
    full_name: &'static str,
    token: String,
}

/// All of them, with tokens that were signed now.
pub(crate) fn users(secret: &[u8]) -> Vec<DemoUser> {
    let token = |id| UserId::parse(id).map(|user| auth::mint(secret, user, Role::Seller, PAGE_TOKEN_TTL));
    let user = |(id, full_name)| token(id).map(|token| DemoUser { id, full_name, token });
    USERS.into_iter().filter_map(user).collect()
}

/// What does not keep the demo from being started, and should not be so.
pub(crate) fn warnings(settings: &Settings, with_demo: bool) -> impl Iterator<Item = &'static str> {
    let is_reached = settings.address().is_ok_and(|address| !address.ip().is_loopback());
    let warnings = [(settings.database_url.is_some(), OF_OTHERS), (is_reached, REACHED)];
    warnings.into_iter().filter(move |(holds, _)| with_demo && *holds).map(|(_, warning)| warning)
}

/// Makes the demo's data unless it is there, and prints tokens and calls that work as they stand.
pub(crate) async fn prepare(app: &App, settings: &Settings, secret: &[u8], address: SocketAddr) -> Result<(), String> {
    let mut users = Vec::new();
    for (id, name) in USERS {
        let id = UserId::parse(id).ok_or("a demo user's id is malformed")?;
        let profile = Profile { id, full_name: name.to_owned(), profile_picture_url: None };
        app.chat.put_user(&profile).await.map_err(|error| error.to_string())?;
        users.push(id);
    }
    let mut first = None;
    for dialogue in DIALOGUES {
        let conversation = tell(&app.chat, &users, dialogue).await?;
        first.get_or_insert(conversation);
    }
    if let Some(conversation) = first {
        print(secret, address, &users, conversation, &call_for_admins(settings));
    }
    Ok(())
}

async fn tell(
    chat: &Chat,
    users: &[UserId],
    (caller, recipient, horse, lines): Dialogue,
) -> Result<ConversationId, String> {
    let opened = chat.store().open_conversation(users[caller], users[recipient], HorseId::parse(horse)).await;
    let conversation = opened.map_err(|error| error.to_string())?;
    if conversation.last_message.is_none() {
        for (who, line) in lines {
            let text = MessageText::parse(*line).map_err(|refusal| refusal.message.into_owned())?;
            chat.post(conversation.id, users[*who], text).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(conversation.id)
}

/// What prints a token for the console. None is printed here: it may do more than be one of these users.
fn call_for_admins(settings: &Settings) -> String {
    let program = std::env::args().next().unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    let call = format!("{program} token --user {ADMIN} --role admin");
    match settings.jwt_secret {
        // It is printed nowhere.
        Some(_) => format!("JWT_SECRET='the one of this server' {call}"),
        None => format!("{call} --data-dir '{}'", settings.data_dir.display()),
    }
}

fn print(secret: &[u8], address: SocketAddr, users: &[UserId], conversation: ConversationId, for_admins: &str) {
    let address = reached_at(address);
    let token = |user| auth::mint(secret, user, Role::Seller, TOKEN_TTL);
    let named = users.iter().zip(USERS).map(|(user, (_, name))| format!("  {name} ({user})\n  {}", token(*user)));
    cli::print(&format_args!(
        "
Chat with each other in a browser, in two windows as two of the users:\n
  http://{address}/\n
The demo's users, with tokens for 30 days:\n
{}\n
Calls of the first of them, and what the steps of docs/guide.md need, for a shell:\n
export URL=http://{address} CONVERSATION={conversation} RECIPIENT={} \\
  TOKEN={}
curl \"$URL/api/chat/conversations\" -H \"Authorization: Bearer $TOKEN\"
curl \"$URL/api/chat/conversations/$CONVERSATION/messages\" -H \"Authorization: Bearer $TOKEN\"
curl -X POST \"$URL/api/chat/conversations/$CONVERSATION/messages\" -H \"Authorization: Bearer $TOKEN\" \\
  -H 'Content-Type: application/json' -d '{{\"text\":\"See you on Saturday!\"}}'\n
Try all calls:          http://{address}/reference/, with one of these tokens
Watch what happens:     http://{address}/admin, with what this prints:\n
  {for_admins}\n
Stop with Ctrl-C.\n",
        named.collect::<Vec<_>>().join("\n\n"),
        users[1],
        token(users[0]),
    ));
}

/// An address that listens everywhere is reached on this machine, too.
fn reached_at(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}
