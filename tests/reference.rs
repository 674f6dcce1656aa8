//! The API reference: printed, served and kept in `docs/api` it is the same, and it has every route.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use horsetrust_chat::{http::Route, socket_io::Event};
use serde_json::Value;
use support::server::{command, output};
use support::{Connection, DataDir, Launch, Server};

/// The document's name, its file, and where it is served.
const DOCUMENTS: [(&str, &str, &str); 2] = [
    ("openapi", "docs/api/openapi.json", "/api/chat/openapi.json"),
    ("asyncapi", "docs/api/asyncapi.json", "/api/chat/asyncapi.json"),
];

fn printed(name: &str) -> String {
    let printed = output(&mut command(&["reference", name]));
    assert!(printed.status.success(), "{printed:?}");
    String::from_utf8(printed.stdout).expect("UTF-8")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_kept_documents_are_what_the_code_says() {
    for (name, file, _) in DOCUMENTS {
        let (path, now) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(file), printed(name));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &now).expect("the documents can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == now, "{file} is not what the code says: UPDATE_DOCS=1 cargo test --test reference");
    }
}

#[test]
fn the_server_serves_what_is_printed_to_everybody() {
    let server = Server::shared();
    for (name, _, path) in DOCUMENTS {
        let answer = Connection::open(server.address()).request("GET", path, &[], b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.json(), parsed(&printed(name)));
    }
}

#[test]
fn the_documents_have_every_route_and_every_event_and_no_others() {
    let document = parsed(&printed("openapi"));
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routes = Route::ALL.iter().map(|route| (route.method().to_string(), route.path().to_owned())).collect();
    assert_eq!(documented, routes);

    let document = parsed(&printed("asyncapi"));
    assert_eq!(document["asyncapi"], "3.0.0");
    let operations = document["operations"].as_object().expect("operations");
    let received: BTreeSet<_> =
        operations.iter().filter(|(_, one)| one["action"] == "receive").map(|(name, _)| name.as_str()).collect();
    assert_eq!(received, Event::ALL.iter().map(|event| event.name()).collect());
}

#[test]
fn every_reference_within_a_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => (),
        }
    }
    for (name, ..) in DOCUMENTS {
        let document = parsed(&printed(name));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{name}: {reference}");
        }
    }
}

#[test]
fn the_page_is_there_with_the_chat_page_and_needs_nothing_from_elsewhere() {
    let server = Launch::on(&DataDir::new()).env("CHAT_PAGE", "true").start();
    let get = |path: &str| Connection::open(server.address()).request("GET", path, &[], b"");
    let moved = get("/reference");
    assert_eq!((moved.status, moved.header("location")), (308, Some("/reference/")));
    let page = get("/reference/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("connect-src 'self'")));
    let page = page.text();
    let files: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()))
        .collect();
    assert!(files.len() > 3, "{page}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        assert_eq!(get(&format!("/reference/{}", file.trim_start_matches("./"))).status, 200, "{file}");
    }
    assert!(get("/reference/swagger-initializer.js").text().contains("/api/chat/openapi.json"));
    assert_eq!(get("/reference/no-such-file").status, 404);

    let without = Server::shared();
    assert_eq!(Connection::open(without.address()).request("GET", "/reference/", &[], b"").status, 404);
}
