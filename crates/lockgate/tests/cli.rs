//! The real binary against a scripted console: arguments, output, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine;
use serde_json::{Value, json};

const TICKET: &str = "apr_01a21099-f89b-7058-93b6-5c327d08d4f3";

/// A directory with a client file for a console that answers each request as `script` says.
struct Room {
    directory: PathBuf,
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn token(claims: &Value) -> String {
    format!("h.{}.s", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string()))
}

impl Room {
    fn new(script: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                let request = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                assert!(head.to_lowercase().contains("\r\nauthorization: bearer h."), "{head}");
                let (status, answer) = script(&format!("{request} {}", String::from_utf8(body).unwrap()));
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
                socket.write_all((head + &answer).as_bytes()).unwrap();
            }
        });
        let directory = std::env::temp_dir().join(format!("lockgate-cli-{}-{}", std::process::id(), &server[17..]));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("token"), token(&json!({"exp": 4_000_000_000_i64}))).unwrap();
        let client = format!("server: {server}\ngateway: https://gate.example.com:8443\ntokenFile: token\n");
        std::fs::write(directory.join("client.yaml"), client).unwrap();
        Self { directory }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(arguments)
            .env_clear()
            .env("LOCKGATE_CLIENT", self.directory.join("client.yaml"))
            .output()
            .unwrap()
    }
}

fn approval(state: &str) -> String {
    json!({"id": TICKET, "state": state, "summary": "delete namespace shop", "note": "Not \u{1b}[2Jnow.",
        "requestedAt": "2026-11-25T01:02:03.000045Z", "cluster": "shop", "subject": {"kind": "agent", "id": "deployer"}})
    .to_string()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wait_tells_by_its_exit_code_what_became_of_the_ticket() {
    for (state, expected) in [
        ("approved", 0),
        ("consumed", 0),
        ("indeterminate", 0),
        ("denied", 3),
        ("expired", 1),
        ("cancelled", 1),
        ("pending", 75),
    ] {
        let room = Room::new(move |_| (200, approval(state)));
        let output = room.run(&["approvals", "wait", TICKET, "--timeout", "0s"]);
        assert_eq!(code(&output), expected, "{state}: {}", text(&output.stderr));
        // Data on stdout, words on stderr, and neither can steer a terminal.
        let data: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(data["state"], state);
        let words = text(&output.stderr);
        assert!(words.contains(&format!("{TICKET} is {state}: Not \\x1b[2Jnow.")), "{words}");
    }
}

#[test]
fn wait_asks_again_until_the_time_is_up() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let room = Room::new(move |_| {
        let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (200, approval(if before < 2 { "pending" } else { "approved" }))
    });
    assert_eq!(code(&room.run(&["approvals", "wait", TICKET, "--timeout", "5m"])), 0);
}

#[test]
fn a_refused_decision_says_the_next_step() {
    let room = Room::new(|request| {
        assert_eq!(request, format!("POST /api/v1/approvals/{TICKET}/deny {{\"note\":\"no\"}}"));
        let error =
            json!({"code": "freshSignInRequired", "message": "Too old.", "next": "Run `lockgate login --fresh`."});
        (403, json!({"error": error}).to_string())
    });
    let output = room.run(&["approvals", "deny", TICKET, "--note", "no"]);
    assert_eq!((code(&output), text(&output.stdout)), (1, String::new()));
    assert_eq!(text(&output.stderr), "lockgate: Too old.\n  next: Run `lockgate login --fresh`.\n");
}

#[test]
fn a_list_is_one_array_in_json_and_a_table_for_people() {
    let room = Room::new(|request| {
        assert!(request.starts_with("GET /api/v1/approvals?limit=100&state=denied"), "{request}");
        (200, format!("[{}]", approval("denied")))
    });
    let json = room.run(&["approvals", "list", "--state", "denied"]);
    let list: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(list[0]["id"], TICKET);
    assert!(!json.stdout.contains(&0x1b), "escapes are escaped");
    let table = room.run(&["approvals", "list", "--state", "denied", "-o", "table"]);
    assert_eq!(
        text(&table.stdout),
        format!(
            " ID{0}STATE   REQUESTED             WHO             CLUSTER  SUMMARY\n {TICKET}  denied  2026-11-25T01:02:03Z  agent:deployer  shop     delete namespace shop\n",
            " ".repeat(40)
        )
    );
    let yaml = room.run(&["approvals", "list", "--state", "denied", "-o", "yaml"]);
    assert!(text(&yaml.stdout).starts_with("- cluster: shop\n"), "{}", text(&yaml.stdout));
}

#[test]
fn a_session_exports_as_lines_bytes_and_a_cast() {
    const SESSION: &str = "ses_01a21099-f89b-7058-93b6-5c327d08d4f3";
    let frames = "{\"offsetMicroseconds\":1000,\"channel\":\"stdout\",\"payload\":\"aGkK\"}\n\n{\"offsetMicroseconds\":2500000,\"channel\":\"stderr\",\"payload\":\"b3BzCg==\"}\n";
    let session = json!({"id": SESSION, "auditId": SESSION.replace("ses", "aud"), "cluster": "shop", "argv": ["cat", "x"],
        "subject": {"issuer": "https://idp", "id": "deployer", "kind": "agent"}, "tty": false, "stdin": false,
        "protocol": "v5.channel.k8s.io", "startedAt": "2026-11-25T01:02:03.000000Z",
        "action": {"verb": "create", "path": "/x", "risk": "stream", "stream": "exec"}});
    let room = Room::new(move |request| {
        let answer = match request.trim_end() {
            request if request.ends_with("/recording") => frames.to_owned(),
            request if request.ends_with("/recording?format=raw&channel=stdout") => "hi\n".to_owned(),
            _ => session.to_string(),
        };
        (200, answer)
    });
    let export = |arguments: &[&str]| room.run(&[&["sessions", "export", SESSION, "--format"], arguments].concat());
    assert_eq!(text(&export(&["jsonl"]).stdout).lines().count(), 2);
    assert_eq!(text(&export(&["raw", "--channel", "stdout"]).stdout), "hi\n");
    assert_eq!(
        text(&export(&["asciicast"]).stdout),
        "{\"height\":24,\"timestamp\":1795568523,\"title\":\"cat x\",\"version\":2,\"width\":80}\n[0.001,\"o\",\"hi\\r\\n\"]\n[2.5,\"o\",\"ops\\r\\n\"]\n"
    );
    let played = room.run(&["sessions", "play", SESSION, "--speed", "1000"]);
    assert_eq!(text(&played.stdout), "hi\n");
    assert_eq!(text(&played.stderr), "ops\nThe recording has ended.\n");
    assert_eq!(code(&export(&["raw"])), 2);
    assert_eq!(code(&export(&["jsonl", "--channel", "stdout"])), 2);
}

#[test]
fn a_token_is_given_to_kubectl_a_minute_short() {
    let room = Room::new(|_| panic!("no request is needed"));
    let output = room.run(&["token"]);
    let credential: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(credential["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(credential["kind"], "ExecCredential");
    assert_eq!(credential["status"]["expirationTimestamp"], "2096-10-02T07:05:40Z");
    let expected = token(&json!({"exp": 4_000_000_000_i64}));
    assert_eq!(credential["status"]["token"], expected);
}

#[test]
fn a_kubeconfig_leads_through_the_gateway() {
    let room = Room::new(|_| panic!("no request is needed"));
    let output = room.run(&["kubeconfig", "--cluster", "shop", "-o", "json"]);
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://gate.example.com:8443/clusters/shop");
    let exec = &config["users"][0]["user"]["exec"];
    assert_eq!(exec["command"], env!("CARGO_BIN_EXE_lockgate"));
    assert_eq!(exec["args"][0], "token");
    assert_eq!(config["current-context"], "shop");
}

#[test]
fn wrong_use_is_exit_2_and_a_missing_client_file_says_where_to_name_one() {
    let room = Room::new(|_| panic!("no request is needed"));
    for arguments in [
        &["approvals", "deny", TICKET][..],
        &["approvals", "show", "42"],
        &["sessions", "play", "ses_x"],
        &["audit", "list", "--since", "yesterday"],
        &["nonsense"],
        &[],
    ] {
        assert_eq!(code(&room.run(arguments)), 2, "{arguments:?}");
    }
    let output = room.run(&["--client", "/nowhere/client.yaml", "approvals", "list"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("/nowhere/client.yaml (name one with --client FILE or LOCKGATE_CLIENT)"));
}

#[test]
fn completions_know_the_commands() {
    let room = Room::new(|_| panic!("no request is needed"));
    for shell in ["bash", "zsh", "fish"] {
        let output = room.run(&["completion", shell]);
        assert_eq!(code(&output), 0);
        assert!(text(&output.stdout).contains("kubeconfig"), "{shell}");
    }
}
