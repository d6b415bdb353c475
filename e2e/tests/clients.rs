//! Real clients work through Lockgate without knowing of it: helm 3, the Python client, k9s.
//!
//! helm keeps a release in a Secret and must read it back. The demo's policy names that one exception (rule `helm-releases`).

use std::path::Path;
use std::process::Stdio;

use e2e::environment::{Environment, program};
use e2e::person::records;
use e2e::program::{Said, admin, end_of, in_terminal, run, spawn, spawn_piped};
use e2e::{COMES_WITHIN, until, within};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

async fn helm(arguments: &[&str]) -> Said {
    let environment = Environment::get();
    let home = environment.file("helm");
    let mut helm = Command::new(&environment.demo.helm);
    helm.args(arguments)
        .args(["--namespace", &environment.demo.namespace, "--kubeconfig"])
        .arg(&environment.demo.agent_kubeconfig);
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, &home);
    }
    run(helm).await
}

#[tokio::test]
async fn helm_installs_upgrades_lists_and_uninstalls() {
    let chart = Path::new(CLIENTS).join("chart");
    let chart = chart.to_str().unwrap();
    let image = format!("image={}", Environment::get().demo.image);
    let greeting = || async { admin(["get", "configmap", "corner", "-o", "jsonpath={.data.greeting}"]).await.out() };

    helm(&["install", "corner", chart, "--set", &image, "--wait", "--timeout", "90s"]).await.ok();
    assert_eq!(greeting().await, "hello");
    helm(&["upgrade", "corner", chart, "--set", &image, "--set", "greeting=welcome", "--wait", "--timeout", "90s"])
        .await
        .ok();
    assert_eq!(greeting().await, "welcome");
    let list = helm(&["list", "-o", "json"]).await.ok().json();
    let release =
        list.as_array().unwrap().iter().find(|release| release["name"] == "corner").expect("the release is listed");
    assert_eq!((release["revision"].as_str(), release["status"].as_str()), (Some("2"), Some("deployed")));
    let history = helm(&["history", "corner", "-o", "json"]).await.ok().json();
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    helm(&["rollback", "corner", "1", "--wait", "--timeout", "90s"]).await.ok();
    assert_eq!(greeting().await, "hello");
    helm(&["uninstall", "corner", "--wait", "--timeout", "90s"]).await.ok();
    let left = admin(["get", "configmap,service,deployment,secret", "-l", "app=corner", "-o", "name"]).await;
    assert_eq!(left.out(), "");

    let bookkeeping = records(&["--resource", "secrets", "--verb", "create"]).await;
    let rule = |record: &Value| record.pointer("/decision/rule").and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(bookkeeping.iter().any(|record| rule(record) == "helm-releases"), "the exception is named in the record");
}

#[tokio::test]
async fn the_python_client_lists_watches_and_execs() {
    let environment = Environment::get();
    let demo = &environment.demo;
    let name = "clients-python";
    admin(["create", "configmap", name, "--from-literal=step=1"]).await;
    let mut python = Command::new(program("LOCKGATE_E2E_PYTHON"));
    python.arg(Path::new(CLIENTS).join("client.py")).args([&demo.namespace, &demo.pod, name]);
    python.env("KUBECONFIG", &demo.agent_kubeconfig).stdin(Stdio::null());
    let mut python = spawn_piped(python);
    let mut errors = BufReader::new(python.stderr.take().unwrap()).lines();
    // The first event has arrived: now there may be a second one.
    let mut said = String::new();
    loop {
        match within("the watch begins", errors.next_line()).await.unwrap() {
            Some(line) if line.contains("watching") => break,
            Some(line) => said.push_str(&(line + "\n")),
            None => panic!("the client ended: {said}"),
        }
    }
    admin(["patch", "configmap", name, "--type=merge", "-p", r#"{"data":{"step":"2"}}"#]).await;
    let rest = tokio::spawn(async move {
        let mut rest = String::new();
        while let Ok(Some(line)) = errors.next_line().await {
            rest.push_str(&(line + "\n"));
        }
        rest
    });
    let answer = end_of(python).await;
    let rest = rest.await.unwrap();
    admin(["delete", "configmap", name]).await;
    assert_eq!(answer.code, Some(0), "{rest}");
    let answer = answer.json();
    assert!(answer["listed"].as_array().unwrap().contains(&demo.pod.as_str().into()), "{answer}");
    assert!(answer["version"].as_str().unwrap().starts_with("v1."));
    assert_eq!(answer["events"], serde_json::json!([["ADDED", "1"], ["MODIFIED", "2"]]));
    assert_eq!((&answer["stdout"], &answer["stderr"]), (&"from python\n".into(), &"complaint\n".into()));
    assert_eq!(answer["exit"], 3);
}

#[tokio::test]
async fn k9s_starts_and_shows_pods() {
    let environment = Environment::get();
    let home = environment.directory("k9s");
    let mut k9s = Command::new(program("LOCKGATE_E2E_K9S"));
    k9s.arg("--kubeconfig").arg(&environment.demo.agent_kubeconfig);
    k9s.args([
        "--namespace",
        &environment.demo.namespace,
        "--command",
        "pods",
        "--readonly",
        "--logLevel",
        "debug",
        "--logFile",
    ]);
    k9s.arg(home.join("k9s.log"));
    for (variable, directory) in
        [("HOME", "home"), ("K9S_CONFIG_DIR", "config"), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")]
    {
        k9s.env(variable, home.join(directory));
    }
    let mut terminal = spawn(in_terminal(&k9s));
    let mut stdout = terminal.stdout.take().unwrap();
    let mut screen = Vec::new();
    let shown = async {
        let mut buffer = [0; 4096];
        loop {
            match stdout.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => screen.extend_from_slice(&buffer[..read]),
            }
            let text = visible(&screen);
            if text.contains(&environment.demo.pod) && text.contains("Running") {
                return true;
            }
        }
    };
    let shown = tokio::time::timeout(COMES_WITHIN, shown).await;
    // script(1) passes the end of its terminal on to k9s.
    terminal.start_kill().unwrap();
    let log = std::fs::read_to_string(home.join("k9s.log")).unwrap_or_default();
    assert_eq!(shown, Ok(true), "the pod is not on the screen:\n{}\n{log}", visible(&screen));
    let listed = until("k9s' calls are in the log", || async {
        let records = records(&["--resource", "pods"]).await;
        records
            .into_iter()
            .find(|record| record.pointer("/source/userAgent").is_some_and(|agent| agent.to_string().contains("k9s")))
    })
    .await;
    assert_eq!(listed.pointer("/decision/effect"), Some(&"allow".into()));
}

/// What stands on the screen, roughly: the text without the sequences that move and colour it.
fn visible(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut visible = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            visible.push(character);
            continue;
        }
        if characters.next() == Some('[') {
            // A control sequence ends with a letter (or @ to ~).
            for character in characters.by_ref() {
                if ('@'..='~').contains(&character) {
                    break;
                }
            }
        }
    }
    visible
}
