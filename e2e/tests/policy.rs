//! `lockgate policy` against the real thing: the real kubectl and helm explained, history simulated, a suggestion that the real cluster
//! accepts, and a candidate in shadow mode that never decides.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::environment::{Environment, read};
use e2e::gateway::{Gateway, configuration};
use e2e::http::Door;
use e2e::person::{Who, lockgate, lockgate_with, text};
use e2e::program::{Said, Way, admin, administrator, kubectl, run};
use e2e::{unique, until};
use serde_json::{Value, json};
use tokio::process::Command;

/// `lockgate policy explain OPTIONS -- COMMAND`, as data.
async fn explain(options: &[&str], command: &[&str]) -> Value {
    let demo = &Environment::get().demo;
    let mut lockgate = Command::new(&demo.lockgate);
    lockgate.args(["policy", "explain", "--preset", "operate", "--as", "agent:x", "--output", "json"]);
    lockgate.args(options).arg("--").arg(if command[0] == "helm" { &demo.helm } else { &demo.kubectl });
    lockgate.args(&command[1..]);
    run(lockgate).await.ok().json()
}

/// The writes and sessions of an explanation: `delete namespaces shop: ask`.
fn writes(explained: &Value) -> Vec<String> {
    let line = |request: &Value| {
        let action = &request["action"];
        let part = action["subresource"].as_str().map(|part| format!("/{part}")).unwrap_or_default();
        let (verb, resource, name) = (text(action, "/verb"), text(action, "/resource"), text(action, "/name"));
        format!("{verb} {resource}{part} {name}: {}", text(request, "/effect"))
    };
    let requests = explained["requests"].as_array().expect("requests").iter();
    requests.filter(|request| !matches!(text(request, "/action/verb"), "get" | "list" | "watch")).map(line).collect()
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = Environment::get().file(&format!("policy-{}-{name}", unique()));
    std::fs::write(&path, content).expect("a file");
    path
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: '1'}
";

#[tokio::test]
async fn explain_hears_every_request_of_the_real_kubectl() {
    let web = file("web.yaml", WEB);
    let web = web.to_str().expect("a path");
    let cases: [(&[&str], &[&str], &[&str]); 12] = [
        (&[], &["delete", "namespace", "shop"], &["delete namespaces shop: ask"]),
        (
            &[],
            &["delete", "pods", "--all", "-n", "shop"],
            &["delete pods example-1: ask", "delete pods example-2: ask"],
        ),
        (&[], &["scale", "deployment", "web", "--replicas", "0"], &["patch deployments/scale web: ask"]),
        (&[], &["rollout", "restart", "deployment/web"], &["patch deployments web: allow"]),
        // In protobuf since 1.32.
        (&[], &["create", "secret", "generic", "s", "--from-literal", "a=b"], &["create secrets s: ask"]),
        (&[], &["apply", "-f", web], &["patch deployments web: allow", "patch configmaps settings: allow"]),
        (&["--absent"], &["apply", "-f", web], &["create deployments web: allow", "create configmaps settings: allow"]),
        (
            &[],
            &["apply", "--server-side", "-f", web],
            &["patch deployments web: allow", "patch configmaps settings: allow"],
        ),
        // Over WebSocket, then over SPDY.
        (&[], &["exec", "web", "--", "ls", "-l"], &["create pods/exec web: ask", "create pods/exec web: ask"]),
        (
            &[],
            &["drain", "n", "--ignore-daemonsets"],
            &["patch nodes n: ask", "create pods/eviction example-1: ask", "create pods/eviction example-2: ask"],
        ),
        (
            &[],
            &["create", "clusterrolebinding", "b", "--clusterrole", "admin", "--user", "u"],
            &["create clusterrolebindings b: deny"],
        ),
        (&[], &["create", "token", "default"], &["create serviceaccounts/token default: deny"]),
    ];
    for (options, command, expected) in cases {
        let explained = explain(options, &[&["kubectl"], command].concat()).await;
        let mut found = writes(&explained);
        // Evictions and deletes may be sent side by side.
        found.sort();
        let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        expected.sort();
        assert_eq!(found, expected, "kubectl {command:?}: {explained:#}");
    }
    let exec = explain(&[], &["kubectl", "exec", "web", "--", "ls", "-l"]).await;
    let request =
        exec["requests"].as_array().expect("requests").iter().find(|one| one["action"]["subresource"] == "exec");
    assert_eq!(request.expect("the exec")["options"]["exec"]["argv"], json!(["ls", "-l"]));
    // A raw request is heard too.
    let demo = &Environment::get().demo;
    let mut raw = Command::new(&demo.lockgate);
    raw.args(["policy", "explain", "--preset", "operate", "--as", "agent:x", "--"]);
    let said = run({
        raw.arg(&demo.kubectl).args(["delete", "--raw", "/api/v1/namespaces/shop"]);
        raw
    })
    .await;
    let text = said.text();
    assert!(text.contains("DELETE /api/v1/namespaces/shop") && text.contains("ASKS by rule mass"), "{text}");
}

/// What only waits for events is ended, and helm is a client like any other.
#[tokio::test]
async fn explain_ends_what_follows_and_takes_other_programs() {
    let watch = explain(&[], &["kubectl", "get", "pods", "--watch"]).await;
    assert_eq!(watch["command"]["end"], "onlyWaited", "{watch:#}");
    assert!(watch["requests"].as_array().expect("requests").iter().any(|one| one["action"]["verb"] == "watch"));
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/chart");
    let helm = explain(&[], &["helm", "install", "shop", chart.to_str().expect("a path")]).await;
    let found = writes(&helm);
    assert!(found.iter().any(|line| line.starts_with("create secrets sh.helm.release.v1.shop.v1: ")), "{helm:#}");
    assert!(found.len() > 1, "{found:?}");
}

/// The stand-in's discovery is that of the real cluster of the same version.
#[tokio::test]
async fn explain_answers_discovery_as_the_cluster_does() {
    let wide = ["api-resources", "--output", "wide", "--no-headers", "--sort-by", "name"];
    let lines = |text: &str| -> BTreeSet<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let explained = explain(&[], &[&["kubectl"], &wide[..]].concat()).await;
    let ours = lines(text(&explained, "/command/stdout"));
    assert!(ours.len() > 60, "{explained:#}");
    let theirs = lines(&admin(wide).await.out());
    // Custom resources are only known to a live cluster.
    let custom = |line: &&String| line.contains(".example.com/") || line.contains(".lockgate.test/");
    let missing: Vec<_> = theirs.difference(&ours).filter(|line| !custom(line)).collect();
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing {missing:#?}, invented {invented:#?}");
}

/// With a kubeconfig the live objects answer, through the gateway, and nothing is written.
#[tokio::test]
async fn explain_reads_the_live_cluster_and_leaves_it_alone() {
    let kubeconfig = Environment::get().demo.agent_kubeconfig.to_str().expect("a path");
    let replicas = async || admin(["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"]).await.out();
    let before = replicas().await;
    let scale = ["kubectl", "scale", "deployment", "web", "--namespace", "shop", "--replicas", "0"];
    let explained = explain(&["--kubeconfig", kubeconfig, "--namespace", "shop"], &scale).await;
    assert_eq!(writes(&explained), ["patch deployments/scale web: ask"], "{explained:#}");
    let patch = explained["requests"].as_array().expect("requests").last().expect("a request").clone();
    assert_eq!(patch["couldBe"], json!([]), "{patch:#}");
    assert!(patch["change"].to_string().contains(&format!("replicas {before} → 0")), "{patch:#}");
    assert_eq!(replicas().await, before);
    let missing = ["kubectl", "delete", "pod", "no-such-pod", "--namespace", "shop"];
    let explained = explain(&["--kubeconfig", kubeconfig], &missing).await;
    assert!(text(&explained, "/command/stderr").contains("not found"), "{explained:#}");
}

/// A candidate of one rule in front of the demo's policy.
fn candidate(name: &str, rule: &str) -> PathBuf {
    let policy = read(&Environment::get().demo.gateway_config.with_file_name("policy.yaml"));
    file(&format!("{name}.yaml"), &policy.replace("rules:\n", &format!("rules:\n{rule}\n")))
}

async fn auditor(arguments: &[&str]) -> Said {
    lockgate(Who::Auditor, arguments).await
}

#[tokio::test]
async fn simulate_finds_the_requests_that_a_candidate_would_decide_otherwise() {
    let name = format!("simulate-{}", unique());
    for _ in 0..3 {
        run(kubectl(Way::Through, ["get", "podtemplate", &name])).await;
    }
    let rule = format!("- {{name: {name}, match: {{resources: [podtemplates], names: [{name}]}}, deny: {{}}}}");
    let policy = candidate(&name, &rule);
    let arguments = ["policy", "simulate", "--since", "1h", "--policy", policy.to_str().expect("a path")];
    let found = until("the calls are in the log", || async {
        let value = auditor(&arguments).await.ok().json();
        let changed = value["changed"].as_array()?.iter().find(|one| text(one, "/to/rule") == name)?.clone();
        (changed["count"] == 3).then_some((value, changed))
    })
    .await;
    let (whole, changed) = found;
    assert_eq!((text(&changed, "/from/effect"), text(&changed, "/to/effect")), ("allow", "deny"));
    assert_eq!(changed["examples"].as_array().expect("examples").len(), 3);
    let id = text(&changed, "/examples/0/id").to_owned();
    assert_eq!(auditor(&["audit", "show", &id]).await.ok().json()["action"]["name"], json!(name));
    let same = whole["same"].as_u64().expect("a number");
    assert!(same > 0, "{whole:#}");
}

/// What is suggested for what the agent did here lets a fresh user do the same at the real cluster, and nothing else.
#[tokio::test]
async fn a_suggestion_lets_the_same_pass_at_the_cluster_and_no_more() {
    let (name, pod) = (format!("suggest-{}", unique()), Environment::get().demo.pod.clone());
    let since = now().await;
    let lines = |name: &str| {
        [
            format!("create configmap {name} --from-literal=a=1"),
            format!("get configmap {name}"),
            format!("label configmap {name} suggest=yes"),
            format!("get pods {pod}"),
            format!("exec {pod} -- true"),
            format!("logs {pod} --tail=1"),
            format!("delete configmap {name} --wait=false"),
        ]
    };
    for line in lines(&name) {
        run(kubectl(Way::Through, line.split_whitespace())).await.ok();
    }
    let suggest = ["policy", "suggest", "--agent", "shop-agent", "--since", &since];
    let suggested = until("the calls are in the log", || async {
        let value = auditor(&suggest).await;
        let value: Value = serde_json::from_slice(&value.stdout).ok()?;
        value["policy"].to_string().contains("configmaps").then_some(value)
    })
    .await;
    assert_eq!(suggested["checked"]["differs"], 0, "{suggested:#}");
    let user = format!("suggested-{}", unique());
    let objects = suggested["rbac"][0]["objects"].clone();
    assert!(objects.as_array().is_some_and(|objects| !objects.is_empty()), "{suggested:#}");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let list = list.replace("agent:shop-agent", &user).replace("lockgate-agent-shop-agent", &user);
    let manifest = file("rbac.json", &list);
    admin([std::ffi::OsStr::new("apply"), "-f".as_ref(), manifest.as_os_str()]).await;
    let as_user = |line: String| {
        let mut command = administrator(line.split_whitespace());
        command.args(["--as", &user]);
        async move { run(command).await }
    };
    for line in lines(&name) {
        // Options behind `--` belong to the command that is run.
        let said = if line.contains(" -- ") { exec_as(&user, &pod).await } else { as_user(line.clone()).await };
        said.ok();
    }
    for line in ["get leases", "delete namespace shop", "get secrets -n kube-system"] {
        let said = as_user(line.to_owned()).await;
        assert!(said.err().contains("forbidden"), "{line}: {}", said.text());
    }
    admin([std::ffi::OsStr::new("delete"), "-f".as_ref(), manifest.as_os_str()]).await;
}

async fn exec_as(user: &str, pod: &str) -> Said {
    run(administrator(["--as", user, "exec", pod, "--", "true"])).await
}

/// The time before anything that follows.
async fn now() -> String {
    let date = run({
        let mut date = Command::new("date");
        date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]);
        date
    })
    .await;
    date.ok().out().trim().to_owned()
}

/// A gateway with a candidate: it decides nothing, the log says where it differs, and a change of its file is taken.
#[tokio::test]
async fn a_candidate_in_shadow_mode_is_heard_by_nobody_and_read_in_the_log() {
    let environment = Environment::get();
    let directory = environment.directory("shadow");
    let policy = read(&environment.demo.gateway_config.with_file_name("policy.yaml"));
    let author = "metadata: {annotations: {lockgate.dev/author: jane@example.com}, ";
    let in_force = policy.replacen("metadata: {", author, 1);
    let (policy_file, shadow_file) = (directory.join("policy.yaml"), directory.join("candidate.yaml"));
    std::fs::write(&policy_file, &in_force).expect("the policy");
    std::fs::write(&shadow_file, &policy).expect("the candidate");
    let mut config = configuration(&directory.join("store"));
    config["policy"] = json!({"file": policy_file, "shadow": {"file": shadow_file}});
    let gateway = Gateway::start(&directory, &config).await;
    let token = e2e::token::agent().await;
    let door = || -> Door { gateway.door(&environment.demo.cluster, &token) };
    let name = format!("shadow-{}", unique());
    let path = format!("/api/v1/namespaces/shop/configmaps/{name}");
    let status = async || door().get(&path, &[]).await.status.as_u16();
    assert_eq!(status().await, 404, "let through to the cluster, which has no such object");

    let client = directory.join("auditor.yaml");
    let console = config.pointer("/listen/console").and_then(Value::as_str).expect("an address");
    let text_of =
        read(&environment.demo.auditor_client).replace(&environment.demo.console_url, &format!("https://{console}"));
    let home = environment.demo.auditor_client.parent().expect("a directory");
    std::fs::write(&client, absolute(&text_of, home)).expect("the client file");
    let list = async |more: &[&str]| -> Vec<Value> {
        let arguments = [&["audit", "list", "--name", &name], more].concat();
        run(lockgate_with(&client, &arguments)).await.ok().json().as_array().expect("a list").clone()
    };
    let record = until("the call is in the log", || async { list(&[]).await.first().cloned() }).await;
    assert_eq!(record["decision"]["policy"]["author"], "jane@example.com", "{record:#}");
    assert_eq!(record["decision"]["policy"]["digest"], record["decision"]["policyRevision"]);
    assert!(record["decision"]["policy"]["revision"].as_u64().is_some_and(|revision| revision > 0));
    assert!(record["decision"].get("shadow").is_none());

    let stricter =
        policy.replace("rules:\n", &format!("rules:\n- {{name: stricter, match: {{names: [{name}]}}, deny: {{}}}}\n"));
    std::fs::write(&shadow_file, &stricter).expect("the candidate");
    let differing = until("the changed candidate is evaluated", || async {
        assert_eq!(status().await, 404, "the candidate is never heard");
        list(&["--shadow-differs"]).await.first().cloned()
    })
    .await;
    let shadow = &differing["decision"]["shadow"];
    assert_eq!((&shadow["effect"], &shadow["rule"]), (&json!("deny"), &json!("stricter")), "{differing:#}");
    assert_eq!(differing["decision"]["effect"], "allow");

    std::fs::write(&shadow_file, "rules: nonsense\n").expect("the candidate");
    until("the bad candidate is refused", || async {
        assert_eq!(status().await, 404);
        read(&gateway.log).contains("the candidate in shadow mode is not taken").then_some(())
    })
    .await;
}

/// Relative paths of a client file, from where it was.
fn absolute(text: &str, home: &Path) -> String {
    let mut value: Value = serde_json::from_str(text).expect("the demo's client files are JSON");
    for pointer in ["/caFile", "/tokens", "/tokenFile", "/login/clientSecret/file"] {
        if let Some(path) = value.pointer_mut(pointer) {
            *path = home.join(path.as_str().expect("a path")).to_str().expect("a path").into();
        }
    }
    value.to_string()
}

/// What the guide shows of kubectl is what comes out.
#[tokio::test]
async fn the_guide_shows_what_explain_says_of_kubectl() {
    let demo = &Environment::get().demo;
    let guide = include_str!("../../docs/policy.md");
    let policy = guide.split("```yaml\n").find(|block| block.contains("kind: Policy\nmetadata: {name: shop}\n"));
    let policy = file("guide.yaml", policy.and_then(|block| block.split("```").next()).expect("the guide's shop.yaml"));
    let shown = guide.split("\n$ ").find(|block| block.starts_with("lockgate policy explain ")).expect("an explain");
    let (command, wanted) = shown.split("\n```").next().and_then(|shown| shown.split_once('\n')).expect("its output");
    let mut lockgate = Command::new(&demo.lockgate);
    for word in command.split(' ').skip(1) {
        if word == "shop.yaml" {
            lockgate.arg(&policy)
        } else {
            lockgate.arg(word)
        };
    }
    let directory = demo.kubectl.parent().expect("a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(directory.to_path_buf()).chain(std::env::split_paths(&path));
    lockgate.env("PATH", std::env::join_paths(paths).expect("paths"));
    let said = run(lockgate).await;
    let lines: Vec<String> = said.text().lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(lines.join("\n"), wanted, "{command}");
}
