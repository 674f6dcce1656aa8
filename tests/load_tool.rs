//! The load generator against the server: each scenario is correct in small, and a frame that is lost, repeated or
//! swapped on the way is noticed and named. So is a server that halts, goes away, or says what is not so.

mod support;

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{
    DataDir, Launch, SECRET, Server,
    holding_proxy::HoldingProxy,
    lying_server::lying_server,
    meddling_proxy::{Mischief, meddling_proxy},
    server::output,
};

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
        "fanout --sockets 20 --rate 20 --burst 3",
        "typing --users 8 --rate 100",
        "idle --connections 40 --connect-rate 400",
        "idle --connections 20 --transport upgrade --join",
        "stalled --readers 20 --users 8 --rate 100 --rounds 2",
        "stalled --readers 20 --users 8 --rate 100 --rounds 1 --transport upgrade",
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
    let run = "chat --users 4 --warmup 0.5 --duration 2 --no-progress";
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
        (at("result.json"), at("result.html"), "chat --users 4 --warmup 0.5 --duration 2 --no-progress");
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
    let run = format!("chat --users 4 --warmup 0 --duration 5 --no-progress --process this={pid}+ {files}");
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
        let address = meddling_proxy(server.address(), mischief, begins);
        let run = "chat --users 4 --in-flight 8 --warmup 0.2 --duration 0.5 --patience 2 --no-progress";
        let run = output(&mut tool(address, run));
        let said = text(&run);
        assert_eq!(run.status.code(), Some(2), "{mischief:?} {begins}:\n{said}");
        assert!(said.contains("WRONG") && said.contains(says), "{mischief:?} {begins}:\n{said}");
    }
}

#[test]
fn a_server_that_halts_until_the_measured_time_is_over_is_seen_in_the_latencies() {
    let server = Server::start();
    for (scenario, connections, rule) in [
        ("chat --users 4", 10, "ack.max<500ms"),
        ("rate --users 4 --rate 50", 10, "delivery.p99<500ms"),
        ("fanout --sockets 4 --rate 20", 7, "delivery.p99<500ms"),
        ("typing --users 4 --rate 50 --ask-every 1", 10, "typing.p99<500ms"),
        ("mixed --idle 2 --talkers 4 --messages 50 --reconnects 0", 16, "page.max<500ms"),
        ("rest --concurrency 2 --no-post --fill 30", 6, "page_1.max<500ms"),
    ] {
        let proxy = HoldingProxy::start(server.address());
        let arguments = format!("{scenario} --warmup 0.5 --duration 2 --no-progress --threshold {rule}");
        let run = thread::spawn({
            let mut tool = tool(proxy.address, &arguments);
            move || output(&mut tool)
        });
        // The warm-up is over soon after all are connected.
        proxy.has_connections(connections);
        thread::sleep(Duration::from_secs(1));
        proxy.hold(true);
        thread::sleep(Duration::from_millis(2500));
        proxy.hold(false);
        let run = run.join().expect("no panic");
        let said = text(&run);
        assert!(run.status.code() == Some(3) && said.contains(&format!("FAILS: {rule}")), "{scenario}:\n{said}");
    }
}

#[test]
fn a_server_that_goes_away_is_one_plain_line_in_every_scenario_and_ends_the_run() {
    let server = Server::start();
    for (scenario, connections) in [
        ("chat --users 8", 20),
        ("rate --users 8 --rate 100", 20),
        ("fanout --sockets 20", 23),
        ("typing --users 8 --rate 100", 20),
        ("idle --connections 40", 72),
        // While connections are still being opened.
        ("idle --connections 600 --connect-rate 60", 100),
        ("storm --connections 40", 136),
        ("rest --concurrency 4", 11),
        ("mixed --idle 20 --talkers 8 --messages 40", 59),
    ] {
        let proxy = HoldingProxy::start(server.address());
        let run = thread::spawn({
            let mut tool = tool(proxy.address, &format!("{scenario} --warmup 0 --duration 60 --no-progress"));
            move || output(&mut tool)
        });
        // Those that make the users and the conversations, too.
        proxy.has_connections(connections);
        thread::sleep(Duration::from_secs(2));
        let cut_at = Instant::now();
        proxy.cut();
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
    let proxy = HoldingProxy::start(server.address());
    let run = thread::spawn({
        let arguments = "typing --users 4 --rate 20 --warmup 2 --duration 0.5 --patience 0 --no-progress";
        let mut tool = tool(proxy.address, arguments);
        move || output(&mut tool)
    });
    proxy.has_connections(10);
    thread::sleep(Duration::from_secs(1));
    proxy.hold(true);
    let run = run.join().expect("no panic");
    let said = text(&run);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing was measured: no typing event was relayed"), "{said}");
}

#[test]
fn posts_that_are_answered_and_not_stored_are_noticed() {
    let run = "rest --concurrency 2 --warmup 0 --duration 0.5 --no-progress";
    let run = output(&mut tool(lying_server(), run));
    let said = text(&run);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("is not on the pages of conversation") && said.contains("more of this sort"), "{said}");
}

#[test]
fn an_interrupted_run_says_so_and_leaves_the_files_as_they_were() {
    let server = Server::start();
    let (earlier, new) = (server.directory().path().join("earlier.json"), server.directory().path().join("new.html"));
    fs::write(&earlier, "of an earlier run").expect("it can be written");
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let proxy = HoldingProxy::start(server.address());
        let arguments =
            format!("chat --users 4 --duration 60 --no-progress --json {} --html {}", earlier.display(), new.display());
        let mut run = tool(proxy.address, &arguments);
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool runs");
        proxy.has_connections(4);
        kill(Pid::from_raw(i32::try_from(run.id()).expect("a pid")), signal).expect("it runs");
        let run = run.wait_with_output().expect("it ends");
        assert_eq!((run.status.code(), text(&run).as_str()), (Some(code), "chat-load: interrupted\n"), "{signal}");
        assert_eq!(fs::read_to_string(&earlier).expect("it is there"), "of an earlier run", "{signal}");
        assert!(!new.exists(), "{signal}");
    }
}

#[test]
fn calls_beyond_a_limit_are_refused_and_nothing_of_them_is_lost() {
    let server = Launch::on(&DataDir::new()).env("RATE_REST", "1").start();
    let run = "rest --concurrency 2 --warmup 0 --duration 2 --no-progress";
    let run = output(&mut tool(server.address(), run));
    let said = text(&run);
    assert!(run.status.success() && said.contains("verdict: correct"), "{said}");
    assert!(said.contains("times RATE_LIMITED") && said.contains("were refusals"), "{said}");
    assert!(said.contains("start the server without its limits: RATE_SENDS=0"), "{said}");
}

#[test]
fn a_server_that_is_full_is_told_in_its_own_words() {
    for transport in ["websocket", "upgrade"] {
        // One each: the places of a run are free a moment after it.
        let server = Launch::on(&DataDir::new()).env("CONNECTIONS", "40").start();
        let run = format!(
            "idle --connections 400 --connect-rate 100 --warmup 0 --duration 0.5 --no-progress --transport {transport}"
        );
        let run = output(&mut tool(server.address(), &run));
        let said = text(&run);
        assert_eq!(run.status.code(), Some(2), "{said}");
        for part in ["503", "Too many connections", "its CONNECTIONS or CONNECTIONS_PER_ADDRESS", "were not tried"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn files_that_the_machine_does_not_allow_are_missed_before_anything_is_made() {
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    for scenario in ["chat", "rate", "fanout", "typing", "stalled", "storm", "idle", "mixed"] {
        let run = tool(nobody, scenario);
        let mut limited = Command::new("sh");
        limited.env("JWT_SECRET", SECRET).args(["-c", r#"ulimit -n 100; exec "$@""#, "sh"]);
        let said = text(&output(limited.arg(run.get_program()).args(run.get_args())));
        assert!(said.contains("open files, and this shell may have 100"), "{scenario}: {said}");
    }
}

#[test]
fn typing_that_was_dropped_is_not_waited_for_as_long_as_messages_are() {
    let server = Server::start();
    let address = meddling_proxy(server.address(), Mischief::Drop, "42[\"user_typing\"");
    let begun = Instant::now();
    let run = "typing --users 4 --rate 100 --warmup 0.2 --duration 0.5 --patience 60 --no-progress";
    let run = output(&mut tool(address, run));
    let said = text(&run);
    assert!(run.status.success() && said.contains("typing events, warm-up included, were dropped"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_parts_of_a_run_cost_is_told_apart() {
    let server = Server::start();
    for (scenario, parts) in [
        ("stalled --readers 4 --users 4 --rate 50 --rounds 2", ["without", "with"]),
        ("storm --connections 20 --background 40", ["before", "storm"]),
    ] {
        let json = server.directory().path().join("parts.json");
        let run = format!("{scenario} --warmup 0.2 --duration 0.5 --no-progress --json {}", json.display());
        let run = output(&mut tool(server.address(), &run));
        assert!(run.status.success(), "{}", text(&run));
        let result: serde_json::Value =
            serde_json::from_slice(&fs::read(&json).expect("the result")).expect("the result is JSON");
        for part in parts {
            assert!(result["processes"][format!("load ({part})")]["cpu_s"].as_f64() > Some(0.0), "{part}: {result}");
        }
    }
}
