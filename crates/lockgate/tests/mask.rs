//! `lockgate mask`, the real binary: what it reads, what it prints, its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::Reason;

fn mask(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .arg("mask")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that is used wrongly reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const SECRET: &str =
    "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"password\":\"aHVudGVyMg==\",\"uri\":\"aHVudGVyMg==\"}}\n";
const POD: &str = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"env\":[{\"name\":\"LEVEL\",\"value\":\"debug\"}]}]}}\n";

#[test]
fn json_objects_are_masked_one_after_the_other() {
    let masked_secret = SECRET.replace("aHVudGVyMg==", PLACEHOLDER);
    let masked_pod = POD.replace("debug", Reason::Environment.placeholder());
    let events = |secret: &str, pod: &str| format!("{{\"type\":\"ADDED\",\"object\":{}}}\n{pod}", secret.trim_end());
    let (code, out, err) = printed(&mask(&["--profile", "strict"], &events(SECRET, POD)));
    assert_eq!((code, out), (0, events(&masked_secret, &masked_pod)));
    assert_eq!(err, "3 values masked in the input (LEVEL, password, uri)\n");
    assert_eq!(printed(&mask(&[], POD)).1, masked_pod, "strict is the default");
    let (code, out, _) = printed(&mask(&["--profile", "balanced"], &events(SECRET, POD)));
    assert_eq!((code, out), (0, events(&masked_secret, POD)));
    let (code, out, err) = printed(&mask(&["--profile", "off"], &events(SECRET, POD)));
    assert_eq!((code, out, err), (0, events(SECRET, POD), String::new()));
}

#[test]
fn an_answer_is_masked_by_what_was_asked_for() {
    let list = "{\"kind\":\"X\",\"items\":[{\"metadata\":{},\"data\":{\"level\":\"debug\"}}]}";
    let masked = list.replace("debug", Reason::ConfigMap.placeholder());
    assert_eq!(printed(&mask(&["--resource", "configmaps"], list)).1, masked);
    let deployment = "{\"spec\":{\"args\":[\"x\"]},\"status\":{\"args\":[\"x\"]}}";
    let masked = deployment.replacen("\"x\"", &format!("\"{}\"", Reason::Argument.placeholder()), 1);
    assert_eq!(printed(&mask(&["--resource", "deployments.apps"], deployment)).1, masked);
}

#[test]
fn yaml_documents_are_masked() {
    let documents = "# mine\nkind: Service\nspec: {}   # kept\n---\nkind: Secret\napiVersion: v1\nstringData: {password: hunter2}\n";
    let (code, out, err) = printed(&mask(&[], documents));
    assert_eq!(code, 0);
    assert!(out.starts_with("# mine\nkind: Service\nspec: {}   # kept\n---\n"), "{out}");
    assert!(out.contains(&format!("password: \"{PLACEHOLDER}\"")) && !out.contains("hunter2"), "{out}");
    assert_eq!(err, "1 value masked in the input (password)\n");
    assert_eq!(printed(&mask(&["--profile", "off"], documents)).1, documents);
}

#[test]
fn a_file_can_be_named() {
    let path = std::env::temp_dir().join(format!("lockgate-mask-{}.json", std::process::id()));
    std::fs::write(&path, SECRET).unwrap();
    let (code, out, _) = printed(&mask(&[path.to_str().unwrap()], ""));
    std::fs::remove_file(&path).unwrap();
    assert_eq!((code, out), (0, SECRET.replace("aHVudGVyMg==", PLACEHOLDER)));
    assert_eq!(printed(&mask(&["/nowhere/x.json"], "")).0, 1);
}

#[test]
fn what_cannot_be_masked_is_exit_1_and_wrong_use_is_exit_2() {
    let (code, out, err) = printed(&mask(&[], "{\"kind\":\"Secret\",\"data\":{\"a\":\"hunter2\"} oops"));
    assert_eq!(code, 1);
    assert!(!out.contains("hunter2") && err.contains("cannot be masked"), "{out} {err}");
    assert_eq!(printed(&mask(&[], "{\"a\":")).0, 1);
    assert_eq!(printed(&mask(&[], " \n")), (0, String::new(), String::new()));
    for wrong in [&["--profile", "none"][..], &["--resource", "Secret"], &["--resource", "a/b"], &["a", "b"]] {
        assert_eq!(printed(&mask(wrong, "{}")).0, 2, "{wrong:?}");
    }
}
