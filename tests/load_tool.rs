//! The load generator against the server: each scenario is correct in small, and a frame that is lost, repeated or
//! swapped on the way is noticed and named. So is a server that halts, goes away, or says what is not so.

mod support;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::{SECRET, Server, server::output};

/// The tool, which is built beside the server.
fn tool(address: SocketAddr, arguments: &str) -> Command {
    let server = Path::new(env!("CARGO_BIN_EXE_horsetrust-chat"));
    let path = server.with_file_name("chat-load");
    assert!(path.exists(), "build the tool first: cargo build --workspace --bins");
    let mut command = Command::new(path);
    command.env("JWT_SECRET", SECRET).args(arguments.split(' ')).args(["--url", &format!("http://{address}")]);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn each_scenario_is_correct_in_small() {
    let server = Server::start();
    for scenario in [
        "chat --users 8 --in-flight 4",
        "chat --users 8 --transport upgrade",
        "rate --users 8 --rate 100",
        "fanout --sockets 20 --rate 5 --burst 3",
        "typing --users 8 --rate 100",
        "idle --connections 40 --connect-rate 400",
        "idle --connections 20 --transport upgrade --join",
        "storm --connections 40 --background 40",
        "rest --concurrency 4 --pages 1,3 --fill 100",
        "mixed --idle 20 --talkers 8 --messages 40 --pages 10 --reconnects 10",
    ] {
        let run = output(&mut tool(server.address(), &format!("{scenario} --warmup 0.2 --duration 1 --no-progress")));
        let said = text(&run);
        assert!(run.status.success() && said.contains("verdict: correct"), "{scenario}:\n{said}");
    }
}

#[test]
fn a_threshold_that_does_not_hold_is_an_exit_code_and_so_is_a_run_that_cannot_be_made() {
    let server = Server::start();
    let exit = |address, arguments: &str, says: &str| {
        let run = output(&mut tool(address, arguments));
        assert!(text(&run).contains(says), "{arguments}: {}", text(&run));
        run.status.code()
    };
    let run = "chat --users 4 --warmup 0 --duration 0.5 --no-progress";
    assert_eq!(exit(server.address(), &format!("{run} --threshold ack.p50<1h"), "must be like ack.p99<50ms"), Some(1));
    assert_eq!(exit(server.address(), &format!("{run} --threshold ack.max<1us"), "FAILS: ack.max<1us"), Some(3));
    assert_eq!(exit(server.address(), &format!("{run} --threshold sends_per_s>1"), "holds: sends_per_s>1"), Some(0));
    assert_eq!(
        exit(server.address(), &format!("{run} --secret not-the-secret"), "is --secret its JWT_SECRET?"),
        Some(1)
    );
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    assert_eq!(exit(nobody, run, "is the server running there?"), Some(1));
    let unknown = format!("{run} --threshold typing.p99<1s");
    assert_eq!(exit(nobody, &unknown, "the latencies ack, delivery"), Some(1), "before anything is run");
}

#[test]
fn nothing_of_an_earlier_run_is_left_in_the_files_and_the_terminal_need_not_be_there() {
    let server = Server::start();
    let at = |name: &str| server.directory().path().join(name).display().to_string();
    let (json, html, run) =
        (at("result.json"), at("result.html"), "chat --users 4 --warmup 0 --duration 0.5 --no-progress");
    for (files, says) in [
        (format!("--json {json} --html {json}"), "are the same file"),
        (format!("--json {}", at("nowhere/result.json")), "cannot write"),
    ] {
        let refused = output(&mut tool(server.address(), &format!("{run} {files}")));
        assert_eq!((refused.status.code(), text(&refused).contains(says)), (Some(1), true), "{}", text(&refused));
    }
    for path in [&json, &html] {
        fs::write(path, "of an earlier run").expect("it can be written");
    }
    let failed =
        output(&mut tool(server.address(), &format!("{run} --secret not-the-secret --json {json} --html {html}")));
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(&json).expect("the result")).expect("the result is JSON");
    assert_eq!(result["verdict"]["ok"], false, "{result}");
    assert!(result["error"].as_str().is_some_and(|error| error.contains("is --secret its JWT_SECRET?")), "{result}");
    assert!(fs::read_to_string(&html).is_ok_and(|page| page.contains("could not be made")));
    let full = || File::create("/dev/full").expect("Linux has it");
    let status = tool(server.address(), &format!("{run} --json {json}")).stdout(full()).stderr(full()).status();
    assert_eq!(status.expect("it runs").code(), Some(0));
    assert!(fs::read_to_string(&json).is_ok_and(|result| result.contains(r#""ok": true"#)));
}

#[test]
fn the_result_is_written_for_machines_and_for_people() {
    let server = Server::start();
    let (json, html) = (server.directory().path().join("result.json"), server.directory().path().join("result.html"));
    let pid = std::process::id();
    let files = format!("--json {} --html {}", json.display(), html.display());
    let run = format!("chat --users 4 --warmup 0 --duration 2.5 --no-progress --process this={pid}+ {files}");
    let run = output(&mut tool(server.address(), &run));
    assert!(run.status.success(), "{}", text(&run));
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(json).expect("the result")).expect("the result is JSON");
    assert_eq!(
        (&result["version"], &result["scenario"], &result["verdict"]["ok"]),
        (&1.into(), &"chat".into(), &true.into())
    );
    assert!(result["latencies"]["ack"]["p99_9_ms"].as_f64() > Some(0.0), "{result}");
    assert!(result["processes"]["load"]["cpu_us_per_op"].as_f64() > Some(0.0), "{result}");
    assert!(result["processes"]["this"]["rss_peak_kb"].as_u64() > Some(0), "{result}");
    assert!(result["timeline"].as_array().is_some_and(|seconds| seconds.len() >= 2), "{result}");
    let page = fs::read_to_string(html).expect("the page");
    assert_eq!(page.matches("<svg role=\"img\"").count(), 3, "three charts");
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("src="), "it needs nothing else");
}

/// What happens to one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mischief {
    Drop,
    Repeat,
    Swap,
}

/// A proxy that meddles with one frame of the server, the tenth whose text begins so.
fn proxy(server: SocketAddr, mischief: Mischief, begins: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let left = Arc::new(Mutex::new(10));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).expect("the server listens");
            let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let left = left.clone();
            thread::spawn(move || {
                let _ = meddle(&server, &client, &left, mischief, begins);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

fn meddle(
    mut server: &TcpStream,
    mut client: &TcpStream,
    left: &Mutex<u32>,
    mischief: Mischief,
    begins: &str,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    client.write_all(&head)?;
    if !head.starts_with(b"HTTP/1.1 101") {
        return std::io::copy(&mut server, &mut client).map(drop);
    }
    let mut held: Option<Vec<u8>> = None;
    loop {
        let frame = read_frame(server)?;
        let text = if frame[1] < 126 { &frame[2..] } else { &frame[4..] };
        let is_meant = text.starts_with(begins.as_bytes());
        if let Some(held) = held.take_if(|_| is_meant) {
            client.write_all(&frame)?;
            client.write_all(&held)?;
            continue;
        }
        let is_it = is_meant && {
            let mut left = left.lock().expect("no panic");
            *left = left.wrapping_sub(1);
            *left == 0
        };
        match mischief {
            Mischief::Drop if is_it => continue,
            Mischief::Repeat if is_it => client.write_all(&frame)?,
            Mischief::Swap if is_it => {
                held = Some(frame);
                continue;
            }
            _ => (),
        }
        client.write_all(&frame)?;
    }
}

/// One short or medium frame of a server, as it is.
fn read_frame(mut server: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    server.read_exact(&mut frame)?;
    let length = match frame[1] {
        short @ 0..=125 => usize::from(short),
        126 => {
            let mut length = [0; 2];
            server.read_exact(&mut length)?;
            frame.extend(length);
            usize::from(u16::from_be_bytes(length))
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    let head = frame.len();
    frame.resize(head + length, 0);
    server.read_exact(&mut frame[head..])?;
    Ok(frame)
}

#[test]
fn one_frame_that_is_lost_repeated_or_swapped_is_noticed_and_named() {
    let server = Server::start();
    for (mischief, begins, says) in [
        (Mischief::Drop, "42[\"new_message\"", "never came to socket"),
        (Mischief::Repeat, "42[\"new_message\"", "came twice to socket"),
        (Mischief::Swap, "42[\"new_message\"", "came out of order to socket"),
        (Mischief::Drop, "42[\"message_notification\"", "was never notified to socket"),
        (Mischief::Repeat, "42[\"message_notification\"", "came twice to socket"),
        (Mischief::Drop, "43", "was never acknowledged"),
        (Mischief::Repeat, "43", "had already"),
        (Mischief::Swap, "43", "was acknowledged out of order"),
    ] {
        let address = proxy(server.address(), mischief, begins);
        let run = "chat --users 4 --in-flight 8 --warmup 0.2 --duration 0.5 --patience 2 --no-progress";
        let run = output(&mut tool(address, run));
        let said = text(&run);
        assert_eq!(run.status.code(), Some(2), "{mischief:?} {begins}:\n{said}");
        assert!(said.contains("WRONG") && said.contains(says), "{mischief:?} {begins}:\n{said}");
    }
}

/// A proxy to a server, which forwards until it is told to do something else.
struct Link {
    address: SocketAddr,
    /// What the server says is held back.
    is_held: Arc<AtomicBool>,
    /// All connections end, and no more are taken.
    is_cut: Arc<AtomicBool>,
}

impl Link {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (is_held, is_cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (held, cut) = (is_held.clone(), is_cut.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if cut.load(Ordering::SeqCst) {
                    return;
                }
                let server = TcpStream::connect(server).expect("the server listens");
                let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let (held, cut) = (held.clone(), cut.clone());
                thread::spawn(move || forward(&server, &client, &held, &cut));
            }
        });
        Self { address, is_held, is_cut }
    }

    /// Ends all connections, and takes no more.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        // The listener wakes up, and is closed.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(mut server: &TcpStream, mut client: &TcpStream, held: &AtomicBool, cut: &AtomicBool) {
    const LOOK: Duration = Duration::from_millis(10);
    let mut buffer = vec![0; 65_536];
    server.set_read_timeout(Some(LOOK)).expect("a time that is not 0");
    while !cut.load(Ordering::SeqCst) {
        match server.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                while held.load(Ordering::SeqCst) && !cut.load(Ordering::SeqCst) {
                    thread::sleep(LOOK);
                }
                if client.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => (),
            Err(_) => break,
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_server_that_halts_until_the_measured_time_is_over_is_seen_in_the_latencies() {
    let server = Server::start();
    for (scenario, rule) in [
        ("chat --users 4", "ack.max<500ms"),
        ("rate --users 4 --rate 50", "delivery.p99<500ms"),
        ("fanout --sockets 4 --rate 20", "delivery.p99<500ms"),
        ("typing --users 4 --rate 50 --ask-every 1", "typing.p99<500ms"),
        ("mixed --idle 2 --talkers 4 --messages 50 --reconnects 0", "page.max<500ms"),
        ("rest --concurrency 2 --no-post --fill 30", "page_1.max<500ms"),
    ] {
        let link = Link::to(server.address());
        let arguments = format!("{scenario} --warmup 0.5 --duration 2 --no-progress --threshold {rule}");
        let run = thread::spawn({
            let mut tool = tool(link.address, &arguments);
            move || output(&mut tool)
        });
        // Connecting takes less than a second; the measured time begins half a second later.
        thread::sleep(Duration::from_millis(1500));
        link.is_held.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2500));
        link.is_held.store(false, Ordering::SeqCst);
        let run = run.join().expect("no panic");
        let said = text(&run);
        assert!(run.status.code() == Some(3) && said.contains(&format!("FAILS: {rule}")), "{scenario}:\n{said}");
    }
}

#[test]
fn a_server_that_goes_away_is_one_plain_line_in_every_scenario_and_ends_the_run() {
    let server = Server::start();
    for scenario in [
        "chat --users 8",
        "rate --users 8 --rate 100",
        "fanout --sockets 20",
        "typing --users 8 --rate 100",
        "idle --connections 40",
        "idle --connections 600 --connect-rate 60",
        "storm --connections 40",
        "rest --concurrency 4",
        "mixed --idle 20 --talkers 8 --messages 40",
    ] {
        let link = Link::to(server.address());
        let run = thread::spawn({
            let mut tool = tool(link.address, &format!("{scenario} --warmup 0 --duration 60 --no-progress"));
            move || output(&mut tool)
        });
        thread::sleep(Duration::from_secs(4));
        let cut_at = Instant::now();
        link.cut();
        let run = run.join().expect("no panic");
        let said = text(&run);
        assert!(run.status.code() == Some(2) && said.contains("WRONG"), "{scenario}:\n{said}");
        assert!(said.contains("the server went away: "), "{scenario}:\n{said}");
        assert!(said.lines().count() < 60, "{scenario}:\n{said}");
        assert!(cut_at.elapsed() < Duration::from_secs(20), "{scenario}: it waits for nobody");
    }
}

#[test]
fn a_run_in_which_nothing_came_is_not_correct() {
    let server = Server::start();
    let link = Link::to(server.address());
    let run = thread::spawn({
        let arguments = "typing --users 4 --rate 20 --warmup 2 --duration 0.5 --patience 0 --no-progress";
        let mut tool = tool(link.address, arguments);
        move || output(&mut tool)
    });
    thread::sleep(Duration::from_secs(1));
    link.is_held.store(true, Ordering::SeqCst);
    let run = run.join().expect("no panic");
    let said = text(&run);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing was measured: no typing event was relayed"), "{said}");
}

/// A server that says that every post is stored, stores none, and has always the same page.
fn liar() -> SocketAddr {
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

#[test]
fn posts_that_are_answered_and_not_stored_are_noticed() {
    let run = "rest --concurrency 2 --warmup 0 --duration 0.5 --no-progress";
    let run = output(&mut tool(liar(), run));
    let said = text(&run);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("is not on the pages of conversation") && said.contains("more of this sort"), "{said}");
}
