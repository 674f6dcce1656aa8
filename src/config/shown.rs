//! What is told of a configuration: neither the secret of the tokens nor a password.

use std::fmt::Write as _;

use crate::startup;

use super::Settings;

impl Settings {
    /// The effective configuration as TOML, secrets masked.
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(toml, "{name} = {value}");
        };
        line("host", quoted(&self.host));
        line("port", self.port.to_string());
        if let Some(url) = &self.database_url {
            line("database_url", quoted(&mask_password(url)));
        }
        if self.jwt_secret.is_some() {
            line("jwt_secret", r#""********""#.to_owned());
        }
        line("jwt_keys", quoted(&self.jwt_keys));
        line("cors_origins", quoted(&self.cors_origins));
        line("data_dir", quoted(&self.data_dir.to_string_lossy()));
        line("workers", self.workers.to_string());
        line("room_idle_seconds", self.room_idle_seconds.to_string());
        line("recovery_seconds", self.recovery_seconds.to_string());
        line("rate_sends", self.rate_sends.to_string());
        line("rate_typing", self.rate_typing.to_string());
        line("rate_joins", self.rate_joins.to_string());
        line("rate_rest", self.rate_rest.to_string());
        match self.connections {
            Some(connections) => line("connections", connections.to_string()),
            // Not a setting: another machine allows others.
            None => line("# connections", format!("{}, by the limit of open files", startup::connections_allowed())),
        }
        line("connections_per_address", self.connections_per_address.to_string());
        line("trusted_proxies", quoted(&self.trusted_proxies));
        line("drain_seconds", self.drain_seconds.to_string());
        line("stop_seconds", self.stop_seconds.to_string());
        line("chat_page", self.chat_page.to_string());
        line("log", quoted(&self.log));
        toml
    }
}

/// A TOML string. It is a JSON string, but for the one control character that JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A database URL, or a keyword string, without its password.
fn mask_password(url: &str) -> String {
    let Ok(parsed) = url.parse::<tokio_postgres::Config>() else { return "(unreadable)".to_owned() };
    let host = |host: &tokio_postgres::config::Host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<_> = parsed.get_hosts().iter().map(host).collect();
    let ports: Vec<_> = parsed.get_ports().iter().map(ToString::to_string).collect();
    let password = if parsed.get_password().is_some() { ":********" } else { "" };
    format!(
        "postgres://{}{password}@{}:{}/{}",
        parsed.get_user().unwrap_or(""),
        hosts.join(","),
        ports.join(","),
        parsed.get_dbname().unwrap_or(""),
    )
}

/// An error of the file without the line of the file that it quotes, which may be the one with the secret.
pub(super) fn unquoted(error: &::config::ConfigError) -> String {
    let ::config::ConfigError::FileParse { cause, uri } = error else { return error.to_string() };
    let cause = cause.to_string();
    let (place, message) = (cause.lines().next().unwrap_or_default(), cause.lines().last().unwrap_or_default());
    let file = uri.as_deref().map_or_else(String::new, |file| format!(" in {file}"));
    if place == message { format!("{message}{file}") } else { format!("{place}{file}: {message}") }
}
