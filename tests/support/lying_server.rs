//! An HTTP server that does not do what it says.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// A server that says that every post is stored, stores none, and has always the same page.
pub(crate) fn lying_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || while lie(&client).is_ok() {});
        }
    });
    address
}

fn lie(mut client: &TcpStream) -> std::io::Result<()> {
    const ID: &str = "507f1f77bcf86cd799439011";
    let mut reader = BufReader::new(client);
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("the tool sends JSON");
    let (status, data) = match request.split(' ').next() {
        Some("POST") if body.contains("recipient_id") => ("200 OK", format!(r#"{{"_id":"{ID}"}}"#)),
        Some("POST") => ("201 Created", body),
        Some("GET") => (
            "200 OK",
            format!(
                r#"[{{"_id":"{ID}","conversation_id":"{ID}","sender_id":{{"_id":"{ID}"}},"text":"another","seq":1}}]"#
            ),
        ),
        _ => ("200 OK", "{}".to_owned()),
    };
    let answer = format!(r#"{{"success":true,"data":{data}}}"#);
    write!(client, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())
}
