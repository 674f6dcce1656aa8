//! Bodies of requests that no honest client sends: each is refused, and over polling ends its session.

mod support;

use support::{Connection, Polling, witnessed::Witnessed};

#[test]
fn bodies_that_are_no_json_objects_of_ours_are_refused() {
    let mut world = Witnessed::new();
    let text = |text: &str| format!(r#"{{"text":{text}}}"#).into_bytes();
    let path = format!("/api/chat/conversations/{}/messages", world.conversation);
    let authorization = format!("Bearer {}", world.ana.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let deep = 30_000;
    for (what, body, status) in [
        ("arrays", format!("{}{}", "[".repeat(deep), "]".repeat(deep)).into_bytes(), 400),
        ("objects", format!("{}1{}", r#"{"a":"#.repeat(deep / 3), "}".repeat(deep / 3)).into_bytes(), 400),
        ("a text of arrays", text(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))), 400),
        ("a field that comes twice counts once", br#"{"text":7,"text":"b"}"#.to_vec(), 201),
        ("a number beyond all numbers", text("1e999999"), 400),
        ("a number of 60,000 digits", text(&"9".repeat(60_000)), 400),
        ("half a surrogate pair", text(r#""\ud800""#), 400),
        ("U+0000", text(r#""a\u0000b""#), 400),
        ("a bare U+0000", b"{\"text\":\"a\0b\"}".to_vec(), 400),
        ("no UTF-8", b"{\"text\":\"\xff\xfe\"}".to_vec(), 400),
        ("half a surrogate pair in bytes", b"{\"text\":\"\xed\xa0\x80\"}".to_vec(), 400),
        ("64 KiB and a byte", vec![b' '; 64 * 1024 + 1], 413),
    ] {
        let response = Connection::open(world.server.address()).request("POST", &path, &headers, &body);
        assert_eq!(response.status, status, "{what}: {}", response.text());
        assert_eq!(response.json()["success"], status == 201, "{what}");
    }
    assert_eq!(world.server.texts(&world.ana, &world.conversation), ["b"]);
    world.nobody_else_notices();
}

#[test]
fn a_polling_body_that_is_no_text_is_refused_and_ends_its_session() {
    let mut world = Witnessed::new();
    for (what, body) in [
        ("no UTF-8", b"42[\"\xff\xfe\"]".to_vec()),
        ("half a surrogate pair", b"42[\"\xed\xa0\x80\"]".to_vec()),
        ("no UTF-8 behind a packet", [b"42[\"x\"]\x1e".as_slice(), b"\xf0\x9f"].concat()),
        ("no base64", b"451-[\"x\",{\"_placeholder\":true,\"num\":0}]\x1eb###".to_vec()),
        ("nothing but separators", vec![0x1e; 1000]),
    ] {
        let mut connection = Connection::open(world.server.address());
        let polling = Polling::connect(&mut connection, &world.ana);
        let headers = [("Content-Type", "text/plain;charset=UTF-8")];
        let status = connection.request("POST", &polling.path(), &headers, &body).status;
        assert_eq!(status, 400, "{what}");
        assert_eq!(polling.try_post(&mut Connection::open(world.server.address()), "3").status, 400, "{what}");
    }
    world.nobody_else_notices();
}
