//! The server around the chat: command line, configuration, start and stop, identity, REST, Socket.IO on the wire.
//! What a conversation is stands in the crate `actors`; nothing here knows it.
//!
//! | file | |
//! | --- | --- |
//! | `main.rs`, `cli.rs`, `config.rs`, `logging.rs`, `traces.rs` | what is typed, what is set, what is logged and traced |
//! | `startup.rs`, `startup/` | start and stop, in their order |
//! | `postgres/` | the private Postgres of a server without `DATABASE_URL` |
//! | `auth.rs`, `auth/` | tokens, for both transports, and their keys |
//! | `rates.rs` | how much one user may ask for |
//! | `http/` | the port, the REST routes, CORS, errors as answers |
//! | `socket_io/` | Engine.IO on actix-web's port, Socket.IO's packets, clients' events |
//! | `console/` | the live console of operators |
//! | `ways.rs`, `ways/` | the ways of messages, for the console and the log |
//! | `reference/` | the API in words: OpenAPI and AsyncAPI, made of routes and events |
//! | `page/` | the chat page, which `http/page.rs` serves |
//! | `demo.rs` | a few users and conversations to try |
//! | `doctor.rs` | whether all is there that a server needs |
//! | `transfer/` | to and from the files of the service before |

pub mod auth;
pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod http;
pub mod logging;
pub mod postgres;
pub mod rates;
pub mod reference;
pub mod socket_io;
pub mod startup;
pub mod traces;
pub mod transfer;
pub mod ways;
