//! The chat page: there where it is asked for and nowhere else, and nobody's way to a token but the demo's.

mod support;

use std::fs;

use serde_json::json;
use support::server::{command, output};
use support::{Connection, DataDir, Launch, Response, Server};

const PATHS: [&str; 4] = ["/", "/page/main.js", "/page/vendor/socket.io.esm.min.js", "/demo/users"];

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    Connection::open(server.address()).request("GET", path, headers, b"")
}

fn with_page() -> Launch {
    Launch::on(&DataDir::new()).env("CHAT_PAGE", "true")
}

#[test]
fn without_being_asked_for_there_is_no_page_and_no_demo_user() {
    let server = Server::start();
    for path in PATHS {
        let answer = get(&server, path, &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json(), json!({ "success": false, "message": "Route not found", "code": "NOT_FOUND" }));
    }
}

#[test]
fn a_page_that_is_asked_for_wants_a_token_and_gives_none() {
    let server = with_page().start();
    let page = get(&server, "/", &[]);
    assert_eq!(page.status, 200);
    assert!(page.text().contains(r#"data-sign-in="token""#), "{}", page.text());
    assert_eq!(get(&server, "/demo/users", &[]).status, 404);
}

#[test]
fn the_demo_s_page_gets_its_users_with_tokens_that_hold_for_minutes() {
    let server = Launch::on(&DataDir::new()).with_demo().start();
    assert!(get(&server, "/", &[]).text().contains(r#"data-sign-in="demo""#));
    let answer = get(&server, "/demo/users", &[]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let users = answer.json();
    let users = users["data"].as_array().expect("a list");
    assert_eq!(users.len(), 4);
    for user in users {
        let token = user["token"].as_str().expect("a token");
        assert_eq!(server.rest(token, "GET", "/api/chat/unread-count", None).0, 200, "{user}");
        assert_eq!(server.rest(token, "GET", "/api/chat/admin/stats", None).0, 403, "{user}");
    }
}

#[test]
fn a_demo_on_a_database_that_is_named_is_warned_of() {
    const WARNING: &str = "--demo puts its users into the database that DATABASE_URL names";
    let host = Server::start();
    let socket = host.directory().socket();
    let url = format!("postgresql:///horsetrust?host={}&user=horsetrust", socket.to_str().expect("a plain path"));
    for (demo, database, warned) in [(true, Some(&url), true), (true, None, false), (false, Some(&url), false)] {
        let directory = DataDir::new();
        let mut launch = Launch::on(&directory);
        let mut check = command(&["serve", "--check-config"]);
        if demo {
            launch = launch.with_demo();
            check.arg("--demo");
        }
        if let Some(url) = database {
            launch = launch.env("DATABASE_URL", url);
            check.env("DATABASE_URL", url);
        }
        let _server = launch.start();
        let log = fs::read_to_string(directory.log_file()).expect("the log");
        assert_eq!(log.contains(WARNING), warned, "demo {demo}, {database:?}: {log}");
        let said = output(&mut check).stderr;
        assert_eq!(String::from_utf8_lossy(&said).contains(WARNING), warned, "demo {demo}, {database:?}");
    }
}

#[test]
fn a_demo_that_other_machines_reach_is_warned_of() {
    for (host, warned) in [("0.0.0.0", true), ("::", true), ("127.0.0.1", false), ("localhost", false)] {
        let said = output(command(&["serve", "--check-config", "--demo"]).env("HOST", host)).stderr;
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.contains("HOST lets other machines reach it"), warned, "{host}: {said}");
    }
}

#[test]
fn another_site_gets_no_tokens_whatever_it_calls_this_server_and_whoever_may_call_the_rest() {
    let server = Launch::on(&DataDir::new()).with_demo().env("CORS_ORIGINS", "*").start();
    let port = server.address().port();
    let (own, v6, local) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"), format!("localhost:{port}"));
    let rebound = format!("elsewhere.example:{port}");
    for (headers, status) in [
        (&[("host", own.as_str()), ("sec-fetch-site", "same-origin")][..], 200),
        (&[("host", local.as_str())], 200),
        (&[("host", v6.as_str()), ("sec-fetch-site", "none")], 200),
        (&[("host", rebound.as_str()), ("sec-fetch-site", "same-origin")], 403),
        (&[("host", own.as_str()), ("sec-fetch-site", "cross-site")], 403),
        (&[("host", own.as_str()), ("origin", "https://elsewhere.example")], 403),
    ] {
        // A head of its own, since the usual one has a Host.
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut connection = Connection::open(server.address());
        connection.send(format!("GET /demo/users HTTP/1.1\r\n{fields}\r\n").as_bytes());
        let answer = connection.response();
        assert_eq!((answer.status, answer.text().contains("eyJ")), (status, status == 200), "{headers:?}");
    }
}

#[test]
fn each_file_has_its_type_and_a_strict_policy() {
    let server = with_page().start();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/base.css", "text/css; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/page/vendor/socket.io.esm.min.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = get(&server, path, &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    }
}

#[test]
fn everything_that_the_page_loads_is_served() {
    let server = with_page().start();
    let (mut seen, mut left) = (Vec::new(), vec!["/".to_owned()]);
    while let Some(path) = left.pop() {
        if seen.contains(&path) {
            continue;
        }
        let answer = get(&server, &path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        if !path.contains("vendor") {
            let text = answer.text();
            let named = text.split(['"', '\'']).filter(|part| part.starts_with("./") || part.starts_with("/page/"));
            left.extend(named.map(|name| name.replace("./", "/page/")));
        }
        seen.push(path);
    }
    assert!(seen.iter().any(|path| path == "/page/vendor/socket.io.esm.min.js"), "{seen:?}");
}

#[test]
fn a_browser_that_has_a_file_is_told_so() {
    let server = with_page().start();
    let first = get(&server, "/page/main.js", &[]);
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = get(&server, "/page/main.js", &[("if-none-match", &format!("\"other\", {tag}"))]);
    assert_eq!((again.status, again.text()), (304, String::new()));
    assert_eq!(get(&server, "/page/base.css", &[("if-none-match", &tag)]).status, 200, "another file's tag");
}

#[test]
fn a_wrong_method_and_an_unknown_file_are_refused_as_everywhere() {
    let server = with_page().start();
    let mut connection = Connection::open(server.address());
    let posted = connection.request("POST", "/", &[], b"");
    assert_eq!(
        (posted.status, posted.json()["message"].as_str().map(str::to_owned)),
        (405, Some("Method not allowed".to_owned()))
    );
    let unknown = connection.request("GET", "/page/nothing.js", &[], b"");
    assert_eq!(
        (unknown.status, unknown.json()["message"].as_str().map(str::to_owned)),
        (404, Some("Route not found".to_owned()))
    );
}
