//! Whether the server and its database are there, and whether WebSocket gets through.

use actix::{Actor, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use actors::Refusal;
use serde_json::json;

use super::{ApiError, App};

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"success": true, "status": "ok"}))
}

/// Postgres answers.
pub(super) async fn database(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    app.chat.store().ping().await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "status": "ok"})))
}

/// A plain WebSocket that says back what it is told: shows whether proxies on the way let upgrades through.
pub(super) async fn websocket(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, ApiError> {
    let started = ws::WsResponseBuilder::new(Echo, &request, body).frame_size(Echo::MAX_BYTES).start();
    started.map_err(|_| Refusal::invalid("This route wants a WebSocket handshake").into())
}

struct Echo;

impl Echo {
    /// Largest frame. Larger: the connection is closed.
    const MAX_BYTES: usize = 4096;
}

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, frame: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match frame {
            Ok(ws::Message::Text(text)) => ctx.text(text),
            Ok(ws::Message::Ping(bytes)) => ctx.pong(&bytes),
            Ok(ws::Message::Pong(_)) => (),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                actix::ActorContext::stop(ctx);
            }
            Ok(ws::Message::Binary(_) | ws::Message::Continuation(_) | ws::Message::Nop) | Err(_) => {
                actix::ActorContext::stop(ctx);
            }
        }
    }
}
