//! The configuration: flags over environment over file over defaults.

mod shown;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::ParseIntError,
    path::{Path, PathBuf},
    str::FromStr,
};

use ::config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use clap::Args;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio_postgres::config::SslMode;

use crate::{http::places::Proxies, logging, rates::RateSettings};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "horsetrust-chat.toml";
/// The longest time that can be set, in seconds.
const DAY: u64 = 86_400;

/// What can be set by flag or environment; the file has the same names in lower case. All are strings, so that a variable
/// that is set to nothing counts as not set.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// Configuration file (TOML) [default: horsetrust-chat.toml, if it exists]
    #[arg(long = "config", env = "CONFIG_FILE", value_name = "FILE", global = true)]
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// IP address to listen on; 0.0.0.0 for all [default: 127.0.0.1]
    #[arg(long, env = "HOST", value_name = "ADDRESS", global = true)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 3000]
    #[arg(long, env = "PORT", value_name = "PORT", value_parser = number::<u16>, global = true)]
    pub port: Option<String>,
    /// Postgres to use, as postgres://user:password@host/database, without TLS; unless it is set, a private one is run
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Secret of the tokens (HS256); required with a database URL unless there are public keys, otherwise made once and kept.
    /// Better set by environment: flags are visible to other users of the machine
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET", global = true)]
    pub jwt_secret: Option<String>,
    /// Files with public keys that tokens are checked with, a comma list: PEM, each with one key or more (RSA for RS256,
    /// P-256 for ES256, Ed25519 for EdDSA), or JSON Web Key Sets; read again on SIGHUP. A secret that is set beside them holds,
    /// too
    #[arg(long, env = "JWT_KEYS", value_name = "FILES", global = true)]
    pub jwt_keys: Option<String>,
    /// Origins that browsers may call from, by REST and by Socket.IO: a comma list of exact origins, or * without credentials
    #[arg(long, env = "CORS_ORIGINS", value_name = "ORIGINS", global = true)]
    pub cors_origins: Option<String>,
    /// Where the private Postgres and the secret live [default: ./data]
    #[arg(long, env = "DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<String>,
    /// Worker threads, at most 64 [default: half as many as cores]
    #[arg(long, env = "WORKERS", value_name = "N", value_parser = number::<usize>, global = true)]
    pub workers: Option<String>,
    /// Seconds that a room nobody needs stays in memory, at most a day [default: 60]
    #[arg(long, env = "ROOM_IDLE_SECONDS", value_name = "SECONDS", value_parser = number::<u64>, global = true)]
    pub room_idle_seconds: Option<String>,
    /// Seconds that a session waits for its client to come back, if the client has asked for it; 0: not at all [default: 120]
    #[arg(long, env = "RECOVERY_SECONDS", value_name = "SECONDS", value_parser = number::<u64>, global = true)]
    pub recovery_seconds: Option<String>,
    /// Messages a second that one user may send over Socket.IO; ten times as many at once; 0: any number [default: 100]
    #[arg(long, env = "RATE_SENDS", value_name = "N", value_parser = number::<u32>, global = true)]
    pub rate_sends: Option<String>,
    /// The same for typing and its end [default: 50]
    #[arg(long, env = "RATE_TYPING", value_name = "N", value_parser = number::<u32>, global = true)]
    pub rate_typing: Option<String>,
    /// The same for joining, leaving, marking as read and refreshing a token [default: 100]
    #[arg(long, env = "RATE_JOINS", value_name = "N", value_parser = number::<u32>, global = true)]
    pub rate_joins: Option<String>,
    /// The same for REST calls; admins are not limited [default: 100]
    #[arg(long, env = "RATE_REST", value_name = "N", value_parser = number::<u32>, global = true)]
    pub rate_rest: Option<String>,
    /// Connections in total; 0: any number [default: as many as open files are allowed, less 512]
    #[arg(long, env = "CONNECTIONS", value_name = "N", value_parser = number::<u32>, global = true)]
    pub connections: Option<String>,
    /// Connections from one address; 0: any number [default: 10000]
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", value_name = "N", value_parser = number::<u32>, global = true)]
    pub connections_per_address: Option<String>,
    /// Proxies whose X-Forwarded-For counts: a comma list of addresses and networks, such as 10.0.0.0/8
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETWORKS", global = true)]
    pub trusted_proxies: Option<String>,
    /// Seconds of a stop that those who are connected are still served in, while /health says 503; less than STOP_SECONDS
    /// [default: 0]
    #[arg(long, env = "DRAIN_SECONDS", value_name = "SECONDS", value_parser = number::<u64>, global = true)]
    pub drain_seconds: Option<String>,
    /// Seconds that an orderly stop may take, at most a day [default: 20]
    #[arg(long, env = "STOP_SECONDS", value_name = "SECONDS", value_parser = number::<u64>, global = true)]
    pub stop_seconds: Option<String>,
    /// Whether the chat page is served: true or false [default: false; --demo serves it with its users]
    #[arg(long, env = "CHAT_PAGE", value_name = "BOOLEAN", value_parser = boolean, global = true)]
    pub chat_page: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter by module [default: info]
    #[arg(long, env = "LOG", value_name = "FILTER", global = true)]
    pub log: Option<String>,
}

/// A number without a sign, or nothing: a variable that is set to nothing counts as not set.
fn number<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<String, String> {
    match text.parse::<T>() {
        Err(_) if !text.is_empty() => {
            Err(format!("it must be a whole number, 0 to {}", u128::MAX >> (128 - 8 * size_of::<T>())))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The same for a yes or a no.
fn boolean(text: &str) -> Result<String, &'static str> {
    if ["", "true", "false"].contains(&text) { Ok(text.to_owned()) } else { Err("it must be true or false") }
}

/// The crate would make whole numbers of fractions and of yes and no, and a yes of any number.
fn check_kinds(file: &Map<String, Value>) -> Result<(), ConfigError> {
    for (name, value) in file {
        let is_boolean = name == "chat_page";
        let fits = match &value.kind {
            ValueKind::Boolean(_) => is_boolean,
            ValueKind::String(text) => !is_boolean || boolean(text).is_ok(),
            ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::I128(_) | ValueKind::U128(_) => !is_boolean,
            ValueKind::Float(_) => false,
            // Refused as what they are, or as what is not known.
            ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => true,
        };
        if !fits {
            let wanted = if is_boolean { "true or false" } else { "a whole number, or a text in quotes" };
            let message = format!("{name} must be {wanted}");
            return Err(::config::ConfigError::Message(message).into());
        }
    }
    Ok(())
}

/// Only a file can have a field that is not known: names it.
fn in_file(error: ::config::ConfigError, file: &Map<String, Value>) -> ::config::ConfigError {
    match (error, file.values().find_map(Value::origin)) {
        (::config::ConfigError::Message(message), Some(name)) if message.starts_with("unknown field") => {
            ::config::ConfigError::Message(format!("in {name}: {message}"))
        }
        (error, _) => error,
    }
}

/// The configuration as it holds.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on: an IP address, or `localhost`.
    pub host: String,
    /// Port to listen on; 0 means any free one.
    pub port: u16,
    /// The database, if it is not a private one.
    pub database_url: Option<String>,
    /// The tokens' secret, if it is set.
    pub jwt_secret: Option<String>,
    /// Files with public keys, a comma list; may be empty.
    pub jwt_keys: String,
    /// Origins that browsers may call from.
    pub cors_origins: String,
    /// Where the private Postgres and the secret live.
    pub data_dir: PathBuf,
    /// Worker threads, 1 to 64.
    pub workers: usize,
    /// Seconds, 1 to 86,400.
    pub room_idle_seconds: u64,
    /// Seconds, 0 to 86,400.
    pub recovery_seconds: u64,
    /// Requests a second of one user; 0 is no limit.
    pub rate_sends: u32,
    /// The same.
    pub rate_typing: u32,
    /// The same.
    pub rate_joins: u32,
    /// The same.
    pub rate_rest: u32,
    /// Connections in total, if that is set; 0 is no limit.
    pub connections: Option<u32>,
    /// Connections from one address; 0 is no limit.
    pub connections_per_address: u32,
    /// Whose `X-Forwarded-For` counts: addresses and networks, separated by commas.
    pub trusted_proxies: String,
    /// Seconds, less than `stop_seconds`.
    pub drain_seconds: u64,
    /// Seconds, 1 to 86,400.
    pub stop_seconds: u64,
    /// Whether the chat page is served without the demo, too.
    pub chat_page: bool,
    /// The log filter.
    pub log: String,
}

/// What is wrong with the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value is not of its type, a name is not known, or the file cannot be read.
    #[error("cannot read the configuration: {}", shown::unquoted(.0))]
    Unreadable(#[from] ::config::ConfigError),
    /// A value is of its type, but not possible.
    #[error("{name} is {value:?}, but {rule}")]
    Impossible {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        rule: &'static str,
    },
}

impl Settings {
    /// With the file that is named, or the default one.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = match &overrides.file {
            Some(path) => File::new(&path.to_string_lossy(), FileFormat::Toml).required(true),
            None => File::new(DEFAULT_FILE, FileFormat::Toml).required(false),
        };
        Self::layered(file, overrides)
    }

    /// With a file's text instead of a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(file: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::layered(File::from_str(file, FileFormat::Toml), overrides)
    }

    fn layered(file: impl Source + Send + Sync + 'static, overrides: &Overrides) -> Result<Self, ConfigError> {
        let set_there = file.collect()?;
        check_kinds(&set_there)?;
        // The other half is for Postgres and the network. Measured: more workers mean more hops between threads,
        // which cost more than they bring.
        let workers = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        let mut layers = Config::builder()
            .set_default("host", Ipv4Addr::LOCALHOST.to_string())?
            .set_default("port", 3000)?
            .set_default("jwt_keys", "")?
            .set_default("cors_origins", "")?
            .set_default("data_dir", "./data")?
            .set_default("workers", workers.min(actors::limits::WORKERS) as u64)?
            .set_default("room_idle_seconds", 60)?
            .set_default("recovery_seconds", 120)?
            .set_default("rate_sends", 100)?
            .set_default("rate_typing", 50)?
            .set_default("rate_joins", 100)?
            .set_default("rate_rest", 100)?
            .set_default("connections_per_address", 10_000)?
            .set_default("trusted_proxies", "")?
            .set_default("drain_seconds", 0)?
            .set_default("stop_seconds", 20)?
            .set_default("chat_page", false)?
            .set_default("log", "info")?
            .add_source(file);
        // clap has put flags over environment already.
        let set = serde_json::to_value(overrides).expect("strings and numbers always serialize");
        for (name, value) in set.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                layers = layers.set_override(name, text)?;
            }
        }
        let settings = layers.build()?.try_deserialize();
        let mut settings: Self = settings.map_err(|error| in_file(error, &set_there))?;
        for optional in [&mut settings.database_url, &mut settings.jwt_secret] {
            optional.take_if(|text| text.is_empty());
        }
        settings.check()?;
        Ok(settings)
    }

    /// Where to listen.
    ///
    /// # Errors
    /// `host` is not an address.
    pub fn address(&self) -> Result<SocketAddr, ConfigError> {
        let host = if self.host == "localhost" { Ok(Ipv4Addr::LOCALHOST.into()) } else { self.host.parse::<IpAddr>() };
        host.map(|host| SocketAddr::new(host, self.port)).map_err(|_| ConfigError::Impossible {
            name: "HOST",
            value: self.host.clone(),
            rule: "it must be an IP address, such as 127.0.0.1, or 0.0.0.0 for all",
        })
    }

    /// How much a user may ask for.
    pub fn rates(&self) -> RateSettings {
        RateSettings { sends: self.rate_sends, typing: self.rate_typing, joins: self.rate_joins, rest: self.rate_rest }
    }

    /// The files with public keys.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        self.jwt_keys.split(',').map(str::trim).filter(|file| !file.is_empty()).map(Path::new)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.address()?;
        let impossible =
            |name, value: &dyn ToString, rule| Err(ConfigError::Impossible { name, value: value.to_string(), rule });
        if !(1..=actors::limits::WORKERS).contains(&self.workers) {
            return impossible("WORKERS", &self.workers, "it must be 1 to 64");
        }
        if !(1..=DAY).contains(&self.room_idle_seconds) {
            return impossible("ROOM_IDLE_SECONDS", &self.room_idle_seconds, "it must be 1 to a day (86400)");
        }
        if self.recovery_seconds > DAY {
            return impossible("RECOVERY_SECONDS", &self.recovery_seconds, "it must be a day (86400) or less");
        }
        if Proxies::parse(&self.trusted_proxies).is_none() {
            let rule = "it must be addresses and networks, such as 10.0.0.0/8, separated by commas";
            return impossible("TRUSTED_PROXIES", &self.trusted_proxies, rule);
        }
        if !(1..=DAY).contains(&self.stop_seconds) {
            return impossible("STOP_SECONDS", &self.stop_seconds, "it must be 1 to a day (86400)");
        }
        if self.drain_seconds >= self.stop_seconds {
            return impossible("DRAIN_SECONDS", &self.drain_seconds, "it must be less than STOP_SECONDS");
        }
        let database = self.database_url.as_ref().map(|url| url.parse::<tokio_postgres::Config>());
        let rule = match database {
            Some(Err(_)) => Some("it must be like postgres://user:password@host:5432/database"),
            Some(Ok(database)) if database.get_ssl_mode() == SslMode::Require => Some(
                "it asks for TLS (sslmode=require), which this server does not speak to Postgres; a proxy beside it can, such \
                 as stunnel",
            ),
            Some(Ok(_)) | None => None,
        };
        if let Some(rule) = rule {
            return impossible("DATABASE_URL", &"(not shown)", rule);
        }
        self.check_log()?;
        crate::http::Origins::parse(&self.cors_origins).map(drop)
    }

    fn check_log(&self) -> Result<(), ConfigError> {
        let unknown = logging::unknown_word(&self.log).map(|word| {
            (
                word,
                "it must be off, error, warn, info, debug or trace, or a module with its level, such as actors=debug",
            )
        });
        let unreadable = || {
            let rule = "it must be a level, or a filter such as horsetrust_chat=debug,info";
            logging::filter(&self.log).is_err().then_some((self.log.as_str(), rule))
        };
        match unknown.or_else(unreadable) {
            Some((value, rule)) => Err(ConfigError::Impossible { name: "LOG", value: value.to_owned(), rule }),
            None => Ok(()),
        }
    }
}
