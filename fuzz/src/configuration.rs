use std::time::{Duration, Instant};

use horsetrust_chat::config::{Overrides, Settings};

/// Stands for every secret in the corpus.
const SECRET: &str = "hunter2";
const SECRET_SETTINGS: [&str; 2] = ["jwt_secret", "database_url"];

/// A configuration is refused without its secrets being told, or can be printed without them; with them, what was printed
/// is the same configuration.
pub fn configuration(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (file, environment) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let overrides = overrides(environment);
    match Settings::read(file, &overrides) {
        Ok(settings) => {
            hides_secrets(&settings);
            comes_back(&settings);
            is_possible(&settings);
            true
        }
        Err(error) => {
            let told = error.to_string();
            assert!(!told.contains(SECRET) || !is_secret(file, environment), "a secret is told: {told}");
            false
        }
    }
}

fn overrides(environment: &str) -> Overrides {
    let mut overrides = Overrides::default();
    for (name, value) in environment.lines().filter_map(|line| line.split_once('=')) {
        let field = match name {
            "HOST" => &mut overrides.host,
            "PORT" => &mut overrides.port,
            "DATABASE_URL" => &mut overrides.database_url,
            "JWT_SECRET" => &mut overrides.jwt_secret,
            "JWT_KEYS" => &mut overrides.jwt_keys,
            "CORS_ORIGINS" => &mut overrides.cors_origins,
            "TRUSTED_PROXIES" => &mut overrides.trusted_proxies,
            "CONNECTIONS" => &mut overrides.connections,
            "DATA_DIR" => &mut overrides.data_dir,
            "STOP_SECONDS" => &mut overrides.stop_seconds,
            "LOG" => &mut overrides.log,
            _ => continue,
        };
        *field = Some(value.to_owned());
    }
    overrides
}

fn hides_secrets(settings: &Settings) {
    let other_secret = settings.jwt_secret.as_ref().map(|_| "another".to_owned());
    let other = Settings { jwt_secret: other_secret, ..settings.clone() };
    assert_eq!(settings.to_toml(), other.to_toml(), "what is printed depends on the secret");

    let Some(url) = settings.database_url.as_deref() else { return };
    let url: tokio_postgres::Config = url.parse().expect("the URL of a sound configuration");
    let names = format!("{:?} {:?} {:?}", url.get_user(), url.get_hosts(), url.get_dbname());
    let others = Settings { database_url: None, ..settings.clone() }.to_toml();
    let is_shown_anyway = names.contains(SECRET) || others.contains(SECRET);
    let is_password = url.get_password().is_some_and(|password| String::from_utf8_lossy(password).contains(SECRET));
    assert!(is_shown_anyway || !is_password || !settings.to_toml().contains(SECRET), "a password is printed");
}

fn comes_back(settings: &Settings) {
    let (database_url, jwt_secret) = (settings.database_url.clone(), settings.jwt_secret.clone());
    let secrets = Overrides { database_url, jwt_secret, ..Overrides::default() };
    let printed = settings.to_toml();
    match Settings::read(&printed, &secrets) {
        Ok(again) => assert_eq!(again.to_toml(), printed),
        Err(error) => panic!("what was printed is no configuration: {error}\n{printed}"),
    }
}

fn is_possible(settings: &Settings) {
    settings.address().expect("the address of a sound configuration");
    let Settings { room_idle_seconds, recovery_seconds, drain_seconds, stop_seconds, .. } = *settings;
    for seconds in [room_idle_seconds, recovery_seconds, drain_seconds, stop_seconds] {
        assert!(Instant::now().checked_add(Duration::from_secs(seconds)).is_some(), "{seconds} s is no time");
    }
    assert!((1..=64).contains(&settings.workers) && drain_seconds < stop_seconds);
}

/// Whether the secret stands only where secrets do. Values of several lines are not looked into.
fn is_secret(file: &str, environment: &str) -> bool {
    let stands_right = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim_end().to_lowercase();
        !line.contains(SECRET) || SECRET_SETTINGS.contains(&name.as_str())
    };
    !file.contains("'''") && !file.contains(r#"""""#) && file.lines().chain(environment.lines()).all(stands_right)
}
