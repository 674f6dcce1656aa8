//! Every kind of caller, and what each is answered: the matrices of who may do what are made of them.

use serde_json::json;

use super::people::{Person, new_id, token, token_until};
use super::server::Server;

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// In the conversation; wrote the message at hand.
    Sender,
    /// The other one in it.
    Recipient,
    /// A user of other conversations.
    Stranger,
    /// An admin, who is in no conversation.
    Admin,
    /// A role that there is not, which counts as none.
    OtherRole,
    NoToken,
    Garbage,
    Expired,
    Revoked,
}

impl Caller {
    pub(crate) const ALL: [Self; 9] = [
        Self::Sender,
        Self::Recipient,
        Self::Stranger,
        Self::Admin,
        Self::OtherRole,
        Self::NoToken,
        Self::Garbage,
        Self::Expired,
        Self::Revoked,
    ];

    pub(crate) fn has_a_token_that_holds(self) -> bool {
        !matches!(self, Self::NoToken | Self::Garbage | Self::Expired | Self::Revoked)
    }
}

/// Who is let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Row {
    Anybody,
    /// Whose token holds.
    Users,
    Participants,
    Sender,
    Admins,
    /// Whose token holds, and who has not shown one yet.
    NotWithABadToken,
    /// The same of admins.
    AdminsOrNobodyYet,
}

impl Row {
    /// The status that a REST caller gets; `success` is what those get who are let through.
    pub(crate) fn status(self, caller: Caller, success: u16) -> u16 {
        match (self, caller) {
            (Self::Anybody, _) | (Self::NotWithABadToken | Self::AdminsOrNobodyYet, Caller::NoToken) => success,
            (_, caller) if !caller.has_a_token_that_holds() => 401,
            (Self::Users | Self::NotWithABadToken, _)
            | (Self::Participants, Caller::Sender | Caller::Recipient)
            | (Self::Sender, Caller::Sender)
            | (Self::Admins | Self::AdminsOrNobodyYet, Caller::Admin) => success,
            (Self::Sender, Caller::Recipient) | (Self::Admins | Self::AdminsOrNobodyYet, _) => 403,
            (Self::Participants | Self::Sender, _) => 404,
        }
    }
}

/// Everybody, and a conversation of two of them.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) people: Vec<(Caller, Person)>,
    pub(crate) conversation: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Server::start())
    }

    pub(crate) fn on(server: Server) -> Self {
        let people = Caller::ALL.map(|caller| {
            let mut person = server.person(&format!("{caller:?}"));
            person.token = match caller {
                Caller::Admin => token(&person.id, "admin"),
                Caller::OtherRole => token(&person.id, "superuser"),
                Caller::NoToken => String::new(),
                Caller::Garbage => "garbage".to_owned(),
                Caller::Expired => token_until(&person.id, -1),
                _ => person.token,
            };
            (caller, person)
        });
        let mut world = Self { server, people: people.into(), conversation: String::new() };
        world.conversation = world.server.conversation(world.person(Caller::Sender), world.person(Caller::Recipient));
        world.revoke(Caller::Revoked);
        world
    }

    pub(crate) fn person(&self, caller: Caller) -> &Person {
        &self.people.iter().find(|(one, _)| *one == caller).expect("all are there").1
    }

    pub(crate) fn revoke(&self, caller: Caller) {
        let body = json!({ "userId": self.person(caller).id });
        let (status, reply) =
            self.server.rest(&token(&new_id(), "admin"), "POST", "/api/chat/admin/revoke", Some(&body));
        assert_eq!(status, 200, "{reply}");
    }
}
