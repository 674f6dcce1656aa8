//! A server on which one client does its worst, and another one is served all the same.

use serde_json::json;

use super::{people::Person, server::Server, socket_io::SocketIo};

pub(crate) struct Witnessed {
    pub(crate) server: Server,
    /// Who does it.
    pub(crate) ana: Person,
    pub(crate) conversation: String,
    pub(crate) witness: SocketIo,
}

impl Witnessed {
    pub(crate) fn new() -> Self {
        let server = Server::start();
        let (ana, ben) = (server.person("Ana"), server.person("Ben"));
        let conversation = server.conversation(&ana, &ben);
        let witness = SocketIo::connect(&server, &ben);
        Self { server, ana, conversation, witness }
    }

    pub(crate) fn is_served(&mut self) {
        assert_eq!(self.witness.call("join_conversation", &json!("x"))["success"], false);
    }

    /// The witness is served, and nothing is left of the other one.
    pub(crate) fn nobody_else_notices(&mut self) {
        self.is_served();
        self.server.has_sessions(1);
    }
}
