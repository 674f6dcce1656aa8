use super::*;

fn load(overrides: Overrides, file: &str) -> Result<Settings, ConfigError> {
    let directory = std::env::temp_dir().join(format!("horsetrust-chat-config-{}", actors::UserId::new()));
    std::fs::create_dir(&directory).expect("a directory for the test");
    let path = directory.join("test.toml");
    std::fs::write(&path, file).expect("a file for the test");
    let settings = Settings::load(&Overrides { file: Some(path), ..overrides });
    std::fs::remove_dir_all(directory).expect("the test's own directory");
    settings
}

#[test]
fn flags_and_environment_stand_over_the_file_and_the_file_over_defaults() {
    let overrides = Overrides { port: Some("4000".to_owned()), ..Overrides::default() };
    let settings = load(overrides, "port = 5000\nlog = \"debug\"").expect("a sound configuration");
    assert_eq!((settings.port, settings.log.as_str(), settings.stop_seconds), (4000, "debug", 20));
}

#[test]
fn a_misspelt_name_and_a_wrong_type_are_refused_by_name() {
    for (file, named) in [
        ("prot = 1", "prot"),
        ("port = \"many\"", "port"),
        ("workers = 0", "WORKERS"),
        ("log = \"info,trace2\"", "LOG is \"trace2\""),
    ] {
        let error = load(Overrides::default(), file).err().expect("refused").to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_file_that_is_broken_at_a_secret_is_refused_by_the_place_and_without_the_secret() {
    let error = load(Overrides::default(), "port = 1\njwt_secret = \"hush").err().expect("refused").to_string();
    assert!(error.contains("line 2, column 19") && error.contains("test.toml: invalid"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn a_time_has_an_end() {
    for name in ["room_idle_seconds", "recovery_seconds", "stop_seconds"] {
        assert!(load(Overrides::default(), &format!("{name} = 86400")).is_ok(), "{name}");
        assert!(load(Overrides::default(), &format!("{name} = 86401")).is_err(), "{name}");
    }
}

#[test]
fn what_is_printed_is_toml_whatever_characters_there_are() {
    let settings = load(Overrides::default(), r#"data_dir = "\u0001\u007f\u200b\"\\""#).expect("a sound configuration");
    let again = load(Overrides::default(), &settings.to_toml()).expect("what was printed");
    assert_eq!(again.data_dir, settings.data_dir);
    assert_eq!((again.connections, again.to_toml()), (None, settings.to_toml()));
    let comment = format!("# connections = {}, ", crate::startup::connections_allowed());
    assert!(settings.to_toml().contains(&comment), "{}", settings.to_toml());
}

#[test]
fn what_is_set_to_nothing_is_not_set() {
    let overrides = Overrides { port: Some(String::new()), ..Overrides::default() };
    let settings = load(overrides, "jwt_secret = \"\"").expect("a sound configuration");
    assert_eq!((settings.port, settings.jwt_secret), (3000, None));
}

#[test]
fn an_address_is_an_ip_address_or_localhost() {
    for (host, address) in [("localhost", "127.0.0.1:3000"), ("0.0.0.0", "0.0.0.0:3000"), ("::1", "[::1]:3000")] {
        let settings = load(Overrides::default(), &format!("host = {host:?}")).expect("a sound configuration");
        assert_eq!(settings.address().map(|address| address.to_string()).ok().as_deref(), Some(address));
    }
    assert!(load(Overrides::default(), "host = \"chat.example.com\"").is_err());
}

#[test]
fn a_database_that_asks_for_tls_is_refused_with_the_reason() {
    let with = |mode: &str| {
        let url = Some(format!("postgres://u:hunter2@db/chat?sslmode={mode}"));
        load(Overrides { database_url: url, ..Overrides::default() }, "")
    };
    assert!(with("prefer").is_ok() && with("disable").is_ok());
    let Err(refused) = with("require") else { panic!("refused") };
    let said = refused.to_string();
    assert!(said.contains("sslmode=require") && !said.contains("hunter2"), "{said}");
}

#[test]
fn what_is_no_whole_number_in_the_file_is_not_made_one() {
    for text in
        ["rate_sends = 0.4", "rate_sends = false", "port = true", "port = 3000.9", "workers = 1.5", "chat_page = 7"]
    {
        let (name, _) = text.split_once(' ').expect("a name");
        let Err(refused) = load(Overrides::default(), text) else { panic!("{text} is taken") };
        assert!(refused.to_string().contains(&format!("{name} must be ")), "{text}: {refused}");
    }
    for text in ["rate_sends = 4", "port = \"3001\"", "chat_page = true", "chat_page = \"false\""] {
        assert!(load(Overrides::default(), text).is_ok(), "{text}");
    }
    let unknown = load(Overrides::default(), "[server]\nport = 1").err().map(|error| error.to_string());
    assert!(unknown.is_some_and(|said| said.contains("unknown field `server`")));
}

#[test]
fn secrets_and_passwords_are_not_shown() {
    let url = Some("postgres://u:hunter2@db/chat".to_owned());
    let overrides = Overrides { database_url: url, ..Overrides::default() };
    let settings = load(overrides, "jwt_secret = \"hush\"").expect("a sound configuration");
    let shown = settings.to_toml();
    assert!(!shown.contains("hunter2") && !shown.contains("hush"), "{shown}");
    assert!(shown.contains("postgres://u:********@db"), "{shown}");
}
