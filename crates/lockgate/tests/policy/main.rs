//! `lockgate policy` on files: words, data, exit codes. What needs a cluster stands in the end-to-end tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

mod guide;
mod labels;

const POLICY: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: shop}
rules:
- name: control-plane
  match: {namespaces: [kube-system]}
  deny: {message: Off limits.}
- name: read
  match: {risk: [read, masked]}
  allow: {}
- name: destructive
  match: {risk: [destructive, mass]}
  ask: {approvers: {groups: [sre]}, count: 2, fourEyes: true, ttl: 10m}
";

/// A directory of a test's own.
struct Room(PathBuf);

impl Drop for Room {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Room {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lockgate-policy-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", &self.0)
            .env("TMPDIR", &self.0)
            .output()
            .unwrap()
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn complaint(output: &Output, code: i32) -> String {
    said(output, code);
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn data(output: &Output, code: i32) -> Value {
    serde_json::from_str(&said(output, code)).unwrap()
}

const CONFIGURATION: &str = "
listen: {gateway: 127.0.0.1:8443, console: 127.0.0.1:8444, metrics: 127.0.0.1:9090}
tls: {certificate: {file: tls.crt}, key: {file: tls.key}}
store: {directory: store}
issuers: [{url: https://idp.example.com, audiences: [lockgate], agents: {id: claims.sub}}]
clusters: [{name: shop, credential: {kubeconfig: {file: admin.kubeconfig}}}]
policy: {file: policy.yaml}
";

#[test]
fn check_shows_place_line_and_fix_of_each_bad_file() {
    let bad = POLICY.replace("namespaces: [kube", "namespace: [kube");
    let room = Room::new().with("good.yaml", POLICY).with("bad.yaml", &bad);
    let text = said(&room.run(&["policy", "check", "good.yaml", "bad.yaml", "none.yaml"]), 1);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("good.yaml: valid (policy shop, 3 rules, revision "), "{text}");
    assert_eq!(lines[1], "bad.yaml:6:11: error: unknown field `namespace`", "{text}");
    assert!(lines[3].contains("6 |   match: {namespace: [kube-system]}"), "{text}");
    assert!(lines[4].ends_with("          ^"), "{text}");
    assert_eq!(lines[5], "fix: did you mean `namespaces`?", "{text}");
    assert!(text.contains("none.yaml: cannot be read: No such file"), "{text}");

    let found = data(&room.run(&["policy", "check", "good.yaml", "bad.yaml", "-o", "json"]), 1);
    assert_eq!((&found[0]["valid"], &found[0]["rules"]), (&json!(true), &json!(3)));
    let error = &found[1]["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&json!(6), &json!(11)));
    assert_eq!(error["fix"], "did you mean `namespaces`?");
    said(&room.run(&["policy", "check", "good.yaml"]), 0);
    said(&room.run(&["policy", "check"]), 2);
}

#[test]
fn check_warns_of_what_may_be_meant_and_strict_makes_it_fail() {
    let routine = "- name: routine\n  match: {resources: [deployments, widgets], verbs: [patch]}\n  allow: {}\n";
    let loose = POLICY.replace("- name: destructive", &format!("{routine}- name: destructive"));
    let room = Room::new().with("loose.yaml", &loose).with("good.yaml", POLICY);
    let text = said(&room.run(&["policy", "check", "loose.yaml"]), 0);
    assert!(text.starts_with("loose.yaml: valid (policy shop, 4 rules, revision "), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "loose.yaml:11:9: warning: rule `routine` allows what turns out to be destructive before rule `destructive` can ask"
    );
    assert!(lines[3].contains("11 | - name: routine") && lines[5].starts_with("fix: list the classes"), "{text}");
    assert_eq!(lines[6], "loose.yaml:12:36: warning: `widgets` is no built-in resource", "{text}");
    said(&room.run(&["policy", "check", "--strict", "loose.yaml"]), 1);
    said(&room.run(&["policy", "check", "--strict", "good.yaml"]), 0);
    let found = data(&room.run(&["policy", "check", "loose.yaml", "-o", "json"]), 0);
    let warnings = found[0]["warnings"].as_array().unwrap();
    assert_eq!((&found[0]["valid"], warnings.len()), (&json!(true), 2));
    assert_eq!((&warnings[1]["line"], &warnings[1]["column"]), (&json!(12), &json!(36)));
}

#[test]
fn explain_tells_rule_terms_and_why_no_other_rule() {
    let room = Room::new().with("policy.yaml", POLICY);
    let asked = ["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x", "--groups", "dev,ops"];
    let one = |more: &[&str]| room.run(&[&asked[..], more].concat());
    let text = said(&one(&["delete", "/api/v1/namespaces/shop?propagationPolicy=Orphan"]), 0);
    let expected = "\
agent:x in dev, ops on cluster default, policy shop REVISION

1. DELETE /api/v1/namespaces/shop?propagationPolicy=Orphan
   delete namespaces shop, risk mass
   propagationPolicy=Orphan
   ASKS by rule destructive: 2 people of sre, not the agent's owner, within 10m
";
    let revision = &text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(text.replace(revision.as_str(), "REVISION").starts_with(expected), "{text}");
    assert!(text.contains("not by  control-plane  namespaces wants kube-system, here is shop"), "{text}");
    assert!(text.contains("read           risk wants read, masked, here is mass"), "{text}");

    let value = data(&one(&["DELETE", "/api/v1/namespaces/kube-system", "-o", "json"]), 0);
    assert_eq!(value["effect"], "deny");
    let request = &value["requests"][0];
    assert_eq!(request["decision"]["rule"], "control-plane");
    assert_eq!(request["action"]["risk"], "escalation");
    assert_eq!(request["rules"][1]["tooLate"], json!(true));

    let text = said(&one(&["GET", "/api/v1/namespaces/a%2Fb"]), 0);
    assert!(text.contains("REFUSED before any rule: the request target is not canonical"), "{text}");
    let text = said(&one(&["GET", "/api/v1/nodes/n"]), 0);
    assert!(text.contains("ALLOWED by rule read"), "{text}");
}

#[test]
fn explain_reads_a_body_and_masks_what_it_says_of_it() {
    let room = Room::new()
        .with("policy.yaml", POLICY)
        .with("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: canary-7}\n");
    let arguments = ["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x", "-o", "json", "--body"];
    let more = ["secret.yaml", "--content-type", "application/yaml", "POST", "/api/v1/namespaces/shop/secrets"];
    let output = room.run(&[&arguments[..], &more].concat());
    let value = data(&output, 0);
    assert_eq!(value["requests"][0]["action"]["name"], "s");
    assert_eq!(value["effect"], "deny", "no rule speaks about the class `ask`");
    assert!(!said(&output, 0).contains("canary-7"));
}

#[test]
fn explain_says_what_is_missing_and_what_to_do() {
    let room = Room::new().with("policy.yaml", POLICY);
    let asked = ["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x"];
    let one = |more: &[&str]| room.run(&[&asked[..], more].concat());
    let words = complaint(&one(&["--", "kubectl", "get", "pods"]), 1);
    assert!(words.contains("kubectl is not there (looked in PATH)") && words.contains("next: install it"), "{words}");
    let words = complaint(&one(&["--", "kubectl", "--kubeconfig=admin", "delete", "ns", "shop"]), 2);
    assert!(words.contains("--kubeconfig would take kubectl to a real cluster"), "{words}");
    let words = complaint(&one(&[]), 2);
    assert!(words.contains("say what to explain"), "{words}");
    let words = complaint(&one(&["--", "/bin/true"]), 1);
    assert!(words.contains("true made no request"), "{words}");
    let nobody = ["policy", "explain", "--policy", "policy.yaml", "--as", "x", "GET", "/api"];
    let words = complaint(&room.run(&nobody), 2);
    assert!(words.contains("say agent:ID or human:ID"), "{words}");
    let two = ["policy", "explain", "--policy", "p", "--preset", "operate", "--as", "agent:x", "GET", "/api"];
    complaint(&room.run(&two), 2);
}

/// Nobody has to say which policy where there is a configuration.
#[test]
fn without_a_named_policy_that_of_the_configuration_here_is_meant() {
    let asked = ["policy", "explain", "--as", "agent:x", "DELETE", "/api/v1/namespaces/shop"];
    let words = complaint(&Room::new().run(&asked), 2);
    assert!(words.contains("which policy? --policy FILE, --config FILE or --preset NAME"), "{words}");
    assert!(words.contains("no configuration was found at lockgate.yaml"), "{words}");
    let room = Room::new().with("policy.yaml", POLICY).with("lockgate.yaml", CONFIGURATION);
    let text = said(&room.run(&asked), 0);
    assert!(text.contains("rule"), "{text}");
    let named = room.run(&[&asked[..2], &["--preset", "operate"], &asked[2..]].concat());
    assert!(said(&named, 0).contains("policy operate"), "what is named comes first");
}

/// What a program is given: nothing of its caller's clusters, and a kubeconfig and caches that are gone afterwards.
#[test]
fn explain_gives_a_program_nothing_but_the_stand_in() {
    let room = Room::new().with("policy.yaml", POLICY).with(
        "client.sh",
        "#!/bin/sh\nenv > seen.env\ncp \"$KUBECONFIG\" seen.kubeconfig\nstat -c %a \"$KUBECONFIG\" > seen.mode\nexit 7\n",
    );
    let script = room.0.join("client.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x", "--cluster", "shop"])
        .args(["--namespace", "web", "--", "./client.sh"])
        .current_dir(&room.0)
        .envs([("KUBECONFIG", "/real/kubeconfig"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HELM_KUBETOKEN", "t")])
        .envs([("HTTPS_PROXY", "http://proxy"), ("TMPDIR", room.0.to_str().unwrap())])
        .output()
        .unwrap();
    let words = complaint(&output, 1);
    assert!(words.contains("client.sh ended with exit code 7 before its first request"), "{words}");
    let read = |name: &str| std::fs::read_to_string(room.0.join(name)).unwrap();
    let seen = read("seen.env");
    for absent in ["/real/kubeconfig", "KUBERNETES_SERVICE_HOST", "HELM_KUBETOKEN", "HTTPS_PROXY"] {
        assert!(!seen.contains(absent), "{absent}\n{seen}");
    }
    assert_eq!(read("seen.mode").trim(), "600");
    let config: Value = serde_json::from_str(&read("seen.kubeconfig")).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    assert!(server.starts_with("http://127.0.0.1:") && server.ends_with("/clusters/shop"), "{server}");
    assert_eq!(config["contexts"][0]["context"]["namespace"], "web");
    let left: Vec<_> = std::fs::read_dir(&room.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("lockgate-explain")), "{left:?}");
}

#[test]
fn test_shows_a_diff_of_what_came_out_otherwise() {
    let test = "\
apiVersion: lockgate.dev/v1
kind: PolicyTest
metadata: {name: shop}
defaults: {subject: {id: bot}, cluster: {name: shop}}
mustAllow:
- get pods web -n shop
- DELETE /api/v1/namespaces/shop/pods/web
mustDeny:
- get pods -n kube-system
";
    let room = Room::new().with("policy.yaml", POLICY);
    std::fs::write(room.0.join("shop.test.yaml"), test).unwrap();
    let arguments = ["policy", "test", "shop.test.yaml", "--policy", "policy.yaml"];
    let text = said(&room.run(&arguments), 1);
    assert!(text.contains("FAIL shop.test.yaml:7: "), "{text}");
    assert!(text.contains("- verdict: allow\n+ verdict: ask\n"), "{text}");
    assert!(text.ends_with("FAILED: 2 of 3 cases hold\n"), "{text}");
    let value = data(&room.run(&[&arguments[..], &["-o", "json"]].concat()), 1);
    assert_eq!((&value["cases"], &value["failed"]), (&json!(3), &json!(1)));
    assert_eq!(value["tests"][0]["file"], "shop.test.yaml");

    let right = test.replace(
        "mustAllow:\n- get pods web -n shop\n- DELETE",
        "mustAllow:\n- get pods web -n shop\nmustAsk:\n- DELETE",
    );
    std::fs::write(room.0.join("shop.test.yaml"), right).unwrap();
    assert_eq!(said(&room.run(&arguments), 0), "ok: 3 of 3 cases hold\n");
    assert!(said(&room.run(&["policy", "check", "shop.test.yaml"]), 0).contains("valid (policy test shop, 3 cases)"));
}

fn record(
    number: u32,
    verb: &str,
    resource: &str,
    name: Option<&str>,
    risk: &str,
    effect: &str,
    status: Option<u16>,
) -> Value {
    json!({
        "id": format!("aud_00000000-0000-7000-8000-{number:012}"), "startedAt": format!("2026-11-25T01:00:{number:02}Z"),
        "origin": "http", "subject": {"issuer": "i", "id": "bot", "kind": "agent", "groups": ["dev"]},
        "source": {"ip": "127.0.0.1"}, "cluster": "shop", "method": "GET", "requestUri": "/clusters/shop/x",
        "action": {"verb": verb, "apiVersion": "v1", "resource": resource, "namespace": "shop", "name": name, "path": "/x",
            "risk": risk, "stream": "none"},
        "decision": {"effect": effect, "rule": "old", "policyRevision": "r", "reasons": ["because"]},
        "request": {"bytes": 0, "sha256": ""}, "upstream": status.map(|status| json!({"user": "agent:bot", "status": status})),
    })
}

fn history(room: &Room) -> Vec<Value> {
    let records = vec![
        record(5, "list", "secrets", None, "masked", "allow", Some(200)),
        record(4, "get", "pods", Some("web"), "masked", "allow", Some(200)),
        record(3, "delete", "pods", Some("web"), "destructive", "allow", Some(200)),
        record(2, "delete", "pods", Some("db"), "destructive", "deny", None),
        record(1, "create", "pods", Some("web"), "ask", "allow", Some(403)),
    ];
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(room.0.join("log.jsonl"), lines.join("\n")).unwrap();
    std::fs::write(room.0.join("log.json"), serde_json::to_string_pretty(&records).unwrap()).unwrap();
    records
}

#[test]
fn simulate_groups_what_would_change() {
    let room = Room::new().with("policy.yaml", POLICY);
    history(&room);
    let since = ["--since", "2026-11-25T00:00:00Z", "--policy", "policy.yaml"];
    for file in ["log.jsonl", "log.json"] {
        let value =
            data(&room.run(&[&["policy", "simulate", "--records", file, "-o", "json"], &since[..]].concat()), 0);
        assert_eq!((&value["requests"], &value["same"]), (&json!(5), &json!(2)), "{file}: {value}");
        let changed = value["changed"].as_array().unwrap();
        let effects: Vec<_> =
            changed.iter().map(|one| (&one["from"]["effect"], &one["to"]["effect"], &one["count"])).collect();
        let word = |text: &str| json!(text);
        assert_eq!(
            effects,
            [
                (&word("allow"), &word("deny"), &json!(1)),
                (&word("allow"), &word("ask"), &json!(1)),
                (&word("deny"), &word("ask"), &json!(1))
            ]
        );
    }
    let text = said(&room.run(&[&["policy", "simulate", "--records", "log.jsonl"], &since[..]].concat()), 0);
    assert!(text.contains("allow → ask  1 by rule destructive (was: rule old)"), "{text}");
    assert!(text.contains("aud_00000000-0000-7000-8000-000000000003  agent:bot  delete pods shop/web"), "{text}");
    let later =
        ["--since", "2026-11-25T00:00:00Z", "--until", "2026-11-25T01:00:03Z", "--policy", "policy.yaml", "-o", "json"];
    let value = data(&room.run(&[&["policy", "simulate", "--records", "log.jsonl"], &later[..]].concat()), 0);
    assert_eq!(value["requests"], 2);
    let words = complaint(&room.run(&["policy", "simulate", "--records", "none", "--policy", "policy.yaml"]), 1);
    assert!(words.contains("cannot read none"), "{words}");
}

#[test]
fn suggest_prints_what_happened_and_lists_what_did_not() {
    let room = Room::new();
    history(&room);
    let arguments =
        ["policy", "suggest", "--agent", "bot", "--records", "log.jsonl", "--since", "2026-11-25T00:00:00Z"];
    let policy = said(&room.run(&[&arguments[..], &["--only", "policy"]].concat()), 0);
    for line in [
        "# Not in it, because it did not happen or cannot be said:",
        "#   denied by rule old: delete pods db in namespace shop",
        "#   allowed, and refused by the cluster itself: create pods web in namespace shop",
        "# Tried on the same history: 5 of 5 decisions come out as they were.",
        "    names: [web]",
    ] {
        assert!(policy.lines().any(|one| one == line), "{line}\n{policy}");
    }
    std::fs::write(room.0.join("suggested.yaml"), &policy).unwrap();
    said(&room.run(&["policy", "check", "suggested.yaml"]), 0);
    let rbac = said(&room.run(&[&arguments[..], &["--only", "rbac"]].concat()), 0);
    assert!(
        rbac.contains("kind: Role\n") && rbac.contains("name: \"agent:bot\"") && !rbac.contains("create"),
        "{rbac}"
    );
    let arn = "arn:aws:iam::1:role/gate";
    let eks = ["--only", "eks", "--eks-cluster", "prod", "--region", "eu-west-1", "--principal-arn", arn];
    let eks = said(&room.run(&[&arguments[..], &eks].concat()), 0);
    assert!(eks.contains(&format!("--cluster-name prod --region eu-west-1 --principal-arn {arn}")), "{eks}");
    let nobody =
        ["policy", "suggest", "--agent", "nobody", "--records", "log.jsonl", "--since", "2026-11-25T00:00:00Z"];
    let words = complaint(&room.run(&nobody), 1);
    assert!(words.contains("nothing was recorded of nobody"), "{words}");
}

#[test]
fn completion_knows_the_commands() {
    let room = Room::new();
    let script = said(&room.run(&["completion", "bash"]), 0);
    for command in ["check", "explain", "schema", "simulate", "suggest", "test"] {
        assert!(
            script.contains(&format!("lockgate__subcmd__policy__subcmd__{command}"))
                || script.contains(&format!("lockgate__policy__{command}")),
            "{command}"
        );
    }
    // The generator for fish knows commands and options, no words of arguments.
    for (shell, word) in [("bash", "PolicyTest"), ("zsh", "PolicyTest"), ("fish", "schema")] {
        let script = said(&room.run(&["completion", shell]), 0);
        assert!(script.contains(word), "{shell} does not complete {word} of `policy schema`");
    }
    assert!(Path::new(&room.0).is_dir());
}

#[test]
fn schemas_are_plain_json_for_editors() {
    let room = Room::new();
    for (arguments, title) in [
        (&["policy", "schema"][..], "Lockgate Policy"),
        (&["policy", "schema", "Policy"], "Lockgate Policy"),
        (&["policy", "schema", "PolicyTest"], "Lockgate PolicyTest"),
    ] {
        let output = room.run(arguments);
        assert!(output.status.success(), "{output:?}");
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(schema["title"], title);
    }
    assert_eq!(room.run(&["policy", "schema", "Role"]).status.code(), Some(2));
}
