//! What was recorded is what was delivered: each channel's SHA-256 in the recording equals that of the bytes the client sent and received.

use e2e::environment::Environment;
use e2e::person::{Who, lockgate, records, sessions, text};
use e2e::program::{Said, Way, admin, kubectl, run, run_in_terminal, run_with_input};
use e2e::websocket::{ERROR, Exec, RESIZE, STDERR, STDIN, STDOUT};
use e2e::{sha256, unique, until};
use serde_json::Value;

const STDIO: &str = "stdout=true&stderr=true";
const ALL: &str = "stdin=true&stdout=true&stderr=true";
const TERMINAL: &str = "stdin=true&stdout=true&tty=true";

/// The closed session whose command holds this word.
async fn session(word: &str) -> Value {
    until(&format!("the recording of {word} is closed"), || async {
        let holds = |session: &Value| session["argv"].to_string().contains(word) && session["endedAt"].is_string();
        sessions().await.into_iter().find(holds)
    })
    .await
}

/// The session must hold exactly these bytes on a channel: its digest, its count, and what an export gives.
async fn equals(session: &Value, channel: &str, bytes: &[u8]) {
    let id = text(session, "/id");
    let digest = &session["channels"][channel];
    if bytes.is_empty() && digest.is_null() {
        return;
    }
    assert_eq!(digest["bytes"].as_u64(), Some(bytes.len() as u64), "{channel} of {session}");
    assert_eq!(digest["sha256"], sha256(bytes), "{channel} of {session}");
    let raw = lockgate(Who::Auditor, &["sessions", "export", id, "--format", "raw", "--channel", channel]).await.ok();
    assert!(raw.stdout == bytes, "{channel}: the export differs from what was delivered");
}

async fn exec(options: &[&str], script: &str, input: &[u8]) -> Said {
    let pod = Environment::get().demo.pod.as_str();
    run_with_input(kubectl(Way::Through, [&["exec"], options, &[pod, "--", "sh", "-c", script]].concat()), input).await
}

#[tokio::test]
async fn without_a_terminal_every_channel_equals_what_was_delivered() {
    let mark = unique();
    let input: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let said = exec(&["-i"], &format!(": {mark}; tee /dev/stderr"), &input).await.ok();
    assert!(said.stdout == input && said.stderr == input, "the pod gave everything back");
    let session = session(&mark).await;
    for (channel, bytes) in [("stdin", &input), ("stdout", &said.stdout), ("stderr", &said.stderr)] {
        equals(&session, channel, bytes).await;
    }
    assert_eq!((&session["tty"], &session["stdin"], &session["exitCode"]), (&false.into(), &true.into(), &0.into()));
}

#[tokio::test]
async fn every_byte_of_a_large_output_is_recorded() {
    let mark = unique();
    let said = exec(&[], &format!(": {mark}; head -c 20000000 /dev/urandom; exit 3"), b"").await;
    assert_eq!((said.code, said.stdout.len()), (Some(3), 20_000_000));
    let session = session(&mark).await;
    assert_eq!(session["channels"]["stdout"]["sha256"], sha256(&said.stdout));
    assert_eq!(session["exitCode"], 3);
}

#[tokio::test]
async fn with_a_terminal_every_channel_equals_what_was_delivered() {
    let mark = unique();
    let pod = &Environment::get().demo.pod;
    let mut exec = Exec::open(pod, TERMINAL, &["sh", "-c", &format!(": {mark}; exec sh")]).await.unwrap();
    exec.send(RESIZE, br#"{"Width":132,"Height":43}"#).await;
    exec.send(STDIN, b"stty size; printf '\\016odd\\017 \\377\\n'; echo over-$((40+2))\n").await;
    exec.read_until(|got| got.get(&STDOUT).is_some_and(|bytes| String::from_utf8_lossy(bytes).contains("over-42")))
        .await;
    exec.send(STDIN, b"exit 9\n").await;
    exec.end().await;
    let session = session(&mark).await;
    equals(&session, "stdout", exec.got(STDOUT)).await;
    equals(&session, "stdin", &exec.sent[&STDIN]).await;
    equals(&session, "resize", &exec.sent[&RESIZE]).await;
    equals(&session, "error", exec.got(ERROR)).await;
    assert!(String::from_utf8_lossy(exec.got(STDOUT)).contains("43 132"), "{:?}", exec.received);
    assert_eq!((&session["tty"], &session["exitCode"]), (&true.into(), &9.into()));
}

#[tokio::test]
async fn stdout_stderr_and_the_final_status_equal_what_was_delivered() {
    let mark = unique();
    let pod = &Environment::get().demo.pod;
    let script = format!(": {mark}; read line; echo got $line; echo complaint >&2; exit 4");
    let mut exec = Exec::open(pod, ALL, &["sh", "-c", &script]).await.unwrap();
    exec.send(STDIN, b"a line\n").await;
    exec.close_stdin().await;
    exec.end().await;
    assert_eq!((exec.got(STDOUT), exec.got(STDERR)), (&b"got a line\n"[..], &b"complaint\n"[..]));
    let session = session(&mark).await;
    for (channel, bytes) in [
        ("stdin", &b"a line\n"[..]),
        ("stdout", exec.got(STDOUT)),
        ("stderr", exec.got(STDERR)),
        ("error", exec.got(ERROR)),
    ] {
        equals(&session, channel, bytes).await;
    }
}

#[tokio::test]
async fn a_person_at_a_terminal_is_recorded() {
    let mark = unique();
    let pod = &Environment::get().demo.pod;
    let script = format!("echo {mark}; printf '\\033[31mred\\033[0m\\n'");
    let said = run_in_terminal(&kubectl(Way::Through, ["exec", "-it", pod, "--", "sh", "-c", &script])).await.ok();
    let session = session(&mark).await;
    equals(&session, "stdout", &said.stdout).await;
    assert!(session["channels"]["resize"]["bytes"].as_u64() > Some(0), "kubectl told the terminal's size: {session}");
}

#[tokio::test]
async fn cp_is_recorded_both_ways() {
    let environment = Environment::get();
    let mark = unique();
    let directory = environment.directory(&format!("sessions-cp-{mark}"));
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(directory.join("sent"), &bytes).unwrap();
    let remote = format!("{}:/tmp/{mark}", environment.demo.pod);
    run(kubectl(Way::Through, ["cp", directory.join("sent").to_str().unwrap(), &remote])).await.ok();
    run(kubectl(Way::Through, ["cp", &remote, directory.join("back").to_str().unwrap()])).await.ok();
    assert!(std::fs::read(directory.join("back")).unwrap() == bytes);
    let both: Vec<Value> = until("both ways are recorded", || async {
        let copies: Vec<Value> = sessions()
            .await
            .into_iter()
            .filter(|session| session["argv"][0] == "tar" && session["endedAt"].is_string())
            .collect();
        (copies.iter().any(|copy| copy["argv"].to_string().contains(&mark))).then_some(copies)
    })
    .await;
    let back = both.iter().find(|copy| copy["argv"].to_string().contains(&mark)).unwrap();
    let export = |id: String, channel: &'static str| async move {
        lockgate(Who::Auditor, &["sessions", "export", &id, "--format", "raw", "--channel", channel]).await.ok().stdout
    };
    let archive = export(text(back, "/id").to_owned(), "stdout").await;
    assert!(archive.windows(bytes.len()).any(|window| window == bytes), "the archive that came back holds the file");
    run(kubectl(Way::Through, ["exec", &environment.demo.pod, "--", "rm", "-f", &format!("/tmp/{mark}")])).await.ok();
}

#[tokio::test]
async fn a_recording_is_listed_shown_played_and_exported() {
    let mark = unique();
    exec(&[], &format!("echo hello {mark}; echo complaint >&2"), b"").await.ok();
    let listed = session(&mark).await;
    let id = text(&listed, "/id");
    let shown = lockgate(Who::Auditor, &["sessions", "show", id]).await.ok().json();
    assert_eq!(shown["channels"], listed["channels"]);
    assert_eq!(text(&shown, "/subject/id"), "shop-agent");
    assert_eq!(shown["argv"][0], "sh");
    let played = lockgate(Who::Auditor, &["sessions", "play", id, "--speed", "1000"]).await.ok();
    assert_eq!(played.out(), format!("hello {mark}\n"));
    assert!(played.err().contains("complaint"));
    let cast = lockgate(Who::Auditor, &["sessions", "export", id, "--format", "asciicast"]).await.ok().out();
    let lines: Vec<Value> = cast.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert_eq!(lines[0]["version"], 2);
    assert!(lines[1..].iter().any(|event| event[1] == "o" && event[2].to_string().contains(&mark)), "{cast}");
    let frames = lockgate(Who::Auditor, &["sessions", "export", id, "--format", "jsonl"]).await.ok().out();
    let frames: Vec<Value> = frames.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert!(
        frames.iter().any(|frame| frame["channel"] == "stdout")
            && frames.iter().any(|frame| frame["channel"] == "error")
    );
    assert_ne!(lockgate(Who::Agent, &["sessions", "show", id]).await.code, Some(0), "recordings are for people");
}

/// C20: what was refused, by us or by the cluster, is a decision on record with its real outcome, and no session.
#[tokio::test]
async fn what_did_not_start_leaves_no_recording() {
    let mark = unique();
    let elsewhere = format!("sessions-{mark}");
    let image = format!("--image={}", Environment::get().demo.image);
    admin(["run", &elsewhere, "-n", "scratch", &image, "--restart=Never", "--", "sleep", "3600"]).await;
    let script = format!("echo {mark}");
    let by_policy = run(kubectl(Way::Through, ["exec", "-n", "scratch", &elsewhere, "--", "sh", "-c", &script])).await;
    assert_eq!(by_policy.code, Some(1), "{}", by_policy.text());
    assert!(by_policy.err().contains("Lockgate did not run"), "{}", by_policy.text());
    let refused = records(&["--name", &elsewhere]).await;
    let exec_of = |record: &&Value| text(record, "/action/subresource") == "exec";
    let refusal = refused.iter().find(exec_of).expect("the refusal is on record");
    assert_eq!((text(refusal, "/decision/effect"), text(refusal, "/outcome")), ("deny", "refused"));
    admin(["delete", "pod", &elsewhere, "-n", "scratch", "--grace-period=0", "--force"]).await;

    let missing = format!("missing-{mark}");
    let not_found = Exec::open(&missing, STDIO, &["sh", "-c", &script]).await.err().expect("no such pod");
    let tokio_tungstenite::tungstenite::Error::Http(answer) = *not_found else { panic!("{not_found}") };
    assert_eq!(answer.status(), 404);
    let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
    assert!(body.contains(&format!(r#"pods \"{missing}\" not found"#)), "the cluster's own words: {body}");
    let lost = until("it is finished in the log", || async {
        records(&["--name", &missing]).await.into_iter().find(|record| record["finishedAt"].is_string())
    })
    .await;
    assert_eq!(lost["upstream"]["status"], 404, "{lost}");
    assert!(!sessions().await.iter().any(|session| session["argv"].to_string().contains(&mark)));
}

#[tokio::test]
async fn spdy_is_told_to_use_websocket() {
    let mark = unique();
    let pod = Environment::get().demo.pod.as_str();
    let mut command = kubectl(Way::Through, ["exec", pod, "--", "sh", "-c", &format!("echo {mark}")]);
    command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false");
    let said = run(command).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err().contains("WebSocket"), "{}", said.text());
    assert!(!sessions().await.iter().any(|session| session["argv"].to_string().contains(&mark)));
}

/// C01: identical repeats count as one value, two different values are refused by name.
#[tokio::test]
async fn a_repeated_container_is_one_and_two_are_refused() {
    let mark = unique();
    let pod = &Environment::get().demo.pod;
    let argv = ["sh", "-c", &format!("echo {mark}")];
    let mut exec = Exec::open(pod, &format!("{STDIO}&container=shell&container=shell"), &argv).await.unwrap();
    exec.end().await;
    assert_eq!(exec.got(STDOUT), format!("{mark}\n").as_bytes());
    assert_eq!(session(&mark).await["container"], "shell");
    let refused =
        Exec::open(pod, &format!("{STDIO}&container=shell&container=side"), &argv).await.err().expect("refused");
    let tokio_tungstenite::tungstenite::Error::Http(answer) = *refused else { panic!("{refused}") };
    assert_eq!(answer.status(), 400);
    assert!(String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).contains("container"));
}
