//! The live console of operators, `GET /admin`, and what it is fed by: a WebSocket for admins, `GET /api/chat/admin/ws`.
//!
//! JSON as on the chat's own plain WebSocket: `{"event", "data", "id"}`, answered by `ack` with the same `id`. The token comes
//! with the handshake, or in `connect` within 10 s; only one with the role `admin` is let in. Then the server
//! tells `stats` each second, and `way` of each message of a watched conversation when its way is over.
//!
//! | file | |
//! | --- | --- |
//! | `mod.rs` | the actor of one connection |
//! | `page.rs`, `page/` | the page |
//! | `requests.rs` | what an operator may ask for |
//! | `stats.rs` | what is told each second |

pub(crate) mod page;
mod requests;
mod stats;

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, StreamHandler, WrapFuture};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use actix_web_actors::ws::{CloseCode, Message, ProtocolError, WebsocketContext};
use actors::{Code, ConversationId, Credentials, Refusal, UserId};
use futures::stream;
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::sleep,
};

use crate::{
    auth::{Caller, Role},
    http::{ApiError, App, handshake},
    socket_io::incoming::Reading,
    ways::{Watch, WayOver},
};

pub use requests::ConsoleEvent;
use requests::Request;
pub(crate) use stats::Latest;

/// How long a client may take to show its token.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Between two [`stats`].
const TELL: Duration = Duration::from_secs(1);
/// Between two pings; without a word in between, the client is gone.
const PING: Duration = Duration::from_secs(20);
/// Between two requests of a console: those of the chat come first.
const PAUSE: Duration = Duration::from_millis(100);
/// Tokens that one may show until one holds.
const CONNECTS: u8 = 16;
/// Conversations that one console watches.
const WATCHES: usize = 16;

/// Opens a console's connection.
///
/// # Errors
/// No handshake, another origin than those that may, or a token that does not hold or is no admin's.
pub(crate) async fn open(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, ApiError> {
    let (mut answer, caller) = handshake::accept(&app, &request)?;
    let admin = caller.map(admin).transpose()?;
    let console =
        Console { app: (**app).clone(), admin, body: Some(body), watches: Vec::new(), connects: 0, heard: true };
    // What the package itself reads with takes in all that comes before it decodes any of it.
    Ok(answer.streaming(WebsocketContext::create(console, stream::pending())))
}

fn admin(caller: Caller) -> Result<(UserId, Credentials), Refusal> {
    match caller.role {
        Role::Admin => Ok((caller.user, caller.credentials)),
        Role::Seller => Err(Refusal::new(Code::Forbidden, "Admin role required")),
    }
}

/// One connection.
struct Console {
    app: App,
    /// Once it is let in.
    admin: Option<(UserId, Credentials)>,
    /// Until it starts.
    body: Option<Payload>,
    watches: Vec<Watch>,
    /// How often it has shown a token.
    connects: u8,
    /// Since the last ping.
    heard: bool,
}

impl Console {
    fn tell(event: &str, data: &Value, ctx: &mut WebsocketContext<Self>) {
        ctx.text(json!({ "event": event, "data": data }).to_string());
    }

    fn close(code: CloseCode, reason: &str, ctx: &mut WebsocketContext<Self>) {
        ctx.close(Some((code, reason).into()));
        ctx.stop();
    }

    /// Lets an admin in.
    fn enter(&self, ctx: &mut WebsocketContext<Self>) {
        Self::tell("connect", &stats::about(&self.app), ctx);
        ctx.run_interval(TELL, |console, ctx| {
            if console.still_holds(ctx) {
                let app = console.app.clone();
                let stats = async move { app.console.get(&app).await };
                ctx.spawn(stats.into_actor(console).map(|stats, _, ctx| Self::tell("stats", &stats, ctx)));
            }
        });
        ctx.add_stream(stream::unfold(self.app.ways.told(), next_way));
    }

    /// Whether the admin's token does; if not, the connection is closed.
    fn still_holds(&self, ctx: &mut WebsocketContext<Self>) -> bool {
        let holds = self.admin.is_some_and(|(user, credentials)| self.app.chat.still_holds(user, credentials));
        if !holds {
            Self::close(CloseCode::Policy, "the token does not hold any more", ctx);
        }
        holds
    }

    fn connect(&mut self, data: &Value, ctx: &mut WebsocketContext<Self>) {
        self.connects += 1;
        if self.connects > CONNECTS {
            return Self::close(CloseCode::Policy, "too many connects", ctx);
        }
        let token = data["token"].as_str().unwrap_or_default();
        let admitted = self.app.auth.admit(token, &self.app.chat).map_err(ApiError::from).map_err(|error| error.0);
        match admitted.and_then(admin) {
            Ok(admin) => {
                self.admin = Some(admin);
                self.enter(ctx);
            }
            Err(refusal) => {
                Self::tell("connect_error", &json!({ "message": refusal.message, "code": refusal.code.as_str() }), ctx);
            }
        }
    }

    fn hear(&mut self, text: &str, ctx: &mut WebsocketContext<Self>) {
        let said: Value = serde_json::from_str(text).unwrap_or_default();
        let (event, id) = (said["event"].as_str().unwrap_or_default(), said["id"].clone());
        if self.admin.is_none() {
            return match event {
                "connect" => self.connect(&said["data"], ctx),
                _ => Self::close(CloseCode::Policy, "connect first", ctx),
            };
        }
        if !self.still_holds(ctx) {
            return;
        }
        match Request::parse(event, &said["data"]) {
            Ok(Request::Watch(conversation)) => answer(&id, &self.watch(conversation).map(|()| Value::Null), ctx),
            Ok(Request::Unwatch(conversation)) => {
                let conversation = conversation.to_string();
                self.watches.retain(|one| one.conversation != conversation);
                answer(&id, &Ok(Value::Null), ctx);
            }
            Ok(Request::Ask(question)) => {
                let (app, by) = (self.app.clone(), self.admin.map(|(user, _)| user));
                let answered = async move { question.answer(&app, by).await };
                // One after the other: an operator who asks more waits.
                ctx.wait(answered.into_actor(self).map(move |answered, console, ctx| {
                    answer(&id, &answered, ctx);
                    console.pause(ctx);
                }));
                return;
            }
            Err(refusal) => answer(&id, &Err(refusal), ctx),
        }
        self.pause(ctx);
    }

    fn pause(&self, ctx: &mut WebsocketContext<Self>) {
        ctx.wait(sleep(PAUSE).into_actor(self));
    }

    fn watch(&mut self, conversation: ConversationId) -> Result<(), Refusal> {
        let is_watched = self.watches.iter().any(|one| one.conversation == conversation.to_string());
        if !is_watched && self.watches.len() == WATCHES {
            return Err(Refusal::invalid("No more than 16 can be watched"));
        }
        if !is_watched {
            self.watches.push(self.app.ways.watch(conversation));
        }
        Ok(())
    }
}

fn answer(id: &Value, answered: &Result<Value, Refusal>, ctx: &mut WebsocketContext<Console>) {
    let data = match answered {
        Ok(data) => json!({ "success": true, "data": data }),
        Err(refusal) => json!(refusal),
    };
    ctx.text(json!({ "event": "ack", "id": id, "data": data }).to_string());
}

/// The next way that is over; `None` of some that were missed.
async fn next_way(mut told: Receiver<Arc<WayOver>>) -> Option<(Told, Receiver<Arc<WayOver>>)> {
    match told.recv().await {
        Ok(way) => Some((Told(Some(way)), told)),
        Err(RecvError::Lagged(_)) => Some((Told(None), told)),
        Err(RecvError::Closed) => None,
    }
}

struct Told(Option<Arc<WayOver>>);

impl Actor for Console {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(body) = self.body.take() {
            ctx.add_stream(Reading::of(body));
        }
        if self.admin.is_some() {
            self.enter(ctx);
        }
        ctx.run_later(CONNECT_WITHIN, |console, ctx| {
            if console.admin.is_none() {
                Self::close(CloseCode::Policy, "connect timeout", ctx);
            }
        });
        ctx.run_interval(PING, |console, ctx| {
            if !std::mem::take(&mut console.heard) {
                return Self::close(CloseCode::Policy, "heartbeat timeout", ctx);
            }
            ctx.ping(b"");
        });
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Console {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.heard = true;
        match message {
            Ok(Message::Text(text)) => self.hear(&text, ctx),
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_) | Message::Continuation(_) | Message::Nop) => (),
            Ok(Message::Close(_)) => Self::close(CloseCode::Normal, "", ctx),
            Ok(Message::Binary(_)) | Err(_) => Self::close(CloseCode::Invalid, "broken packet", ctx),
        }
    }
}

impl StreamHandler<Told> for Console {
    fn handle(&mut self, Told(way): Told, ctx: &mut Self::Context) {
        if !self.still_holds(ctx) {
            return;
        }
        match way {
            Some(way) if self.watches.iter().any(|watch| way.is_of(&watch.conversation)) => {
                Self::tell("way", &json!(*way), ctx);
            }
            Some(_) => (),
            None => Self::tell("ways_missed", &Value::Null, ctx),
        }
    }
}
