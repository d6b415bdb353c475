//! An agent that humans stop stays stopped: three denials freeze its changes until a human clears it, and what was denied stays
//! denied whatever the request looks like. Each on a gateway and with an agent of the test's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::agent::Agent;
use e2e::environment::{Environment, read};
use e2e::gateway::{Gateway, configuration};
use e2e::person::{approver_at, lockgate_with, text};
use e2e::program::{Said, admin, end_of, run, run_with_input, spawn, spawn_piped};
use e2e::{unique, until};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

/// A gateway and its people.
struct Place {
    gateway: Gateway,
    approver: PathBuf,
}

impl Place {
    /// With the demo's policy, after these rules.
    async fn new(name: &str, rules: &str, hold: &str) -> Self {
        let directory = Environment::get().directory(name);
        let mut config = configuration(&directory.join("store"));
        let policy = read(Path::new(config["policy"]["file"].as_str().unwrap()));
        let policy = policy.replace("\nrules:\n", &format!("\nrules:\n{rules}"));
        assert!(policy.contains(rules), "the demo's policy has rules");
        std::fs::write(directory.join("policy.yaml"), policy).unwrap();
        config["policy"] = json!({"file": "policy.yaml"});
        config["limits"]["hold"] = hold.into();
        let gateway = Gateway::start(&directory, &config).await;
        let approver = approver_at(&gateway.console, &directory).await;
        Self { gateway, approver }
    }

    async fn lockgate(&self, arguments: &[&str]) -> Said {
        run(lockgate_with(&self.approver, arguments)).await
    }

    async fn pending(&self, name: &str) -> String {
        until(&format!("the request on {name} is held"), || async {
            let list = self.lockgate(&["approvals", "list", "--state", "pending"]).await.ok().json();
            let is_it = |approval: &&Value| text(approval, "/action/name") == name;
            list.as_array()?.iter().find(is_it).map(|approval| text(approval, "/id").to_owned())
        })
        .await
    }

    /// The agent's command is held and denied; gives the ticket and what the command said.
    async fn denied(&self, agent: &Agent, command: &[&str], name: &str, note: &str) -> (String, Said) {
        let held = spawn(agent.kubectl(command));
        let id = self.pending(name).await;
        self.lockgate(&["approvals", "deny", &id, "--note", note]).await.ok();
        let said = end_of(held).await;
        assert_eq!(said.code, Some(1), "{}", said.text());
        (id, said)
    }
}

async fn namespace() -> String {
    let name = format!("limits-{}", unique());
    admin(["create", "namespace", &name]).await;
    name
}

#[tokio::test]
async fn three_denied_commands_freeze_the_agent_until_a_human_clears_it() {
    let place = Place::new("limits-freeze", "", "40s").await;
    let agent = Agent::new(&place.gateway).await;
    let pod = Environment::get().demo.pod.as_str();
    // A shell that is open all the while.
    let mut shell = agent.kubectl(["exec", "-i", pod, "--", "sh", "-c", "echo ready; cat"]);
    shell.stdin(Stdio::piped());
    let mut shell = spawn_piped(shell);
    let typing = shell.stdin.take();
    let mut ready = [0; 6];
    e2e::within("the shell is open", shell.stdout.as_mut().unwrap().read_exact(&mut ready)).await.unwrap();

    let mut namespaces = Vec::new();
    for number in 1..=3 {
        let name = namespace().await;
        let (id, said) = place.denied(&agent, &["delete", "namespace", &name], &name, "leave it alone").await;
        assert!(said.err().contains("leave it alone") && said.err().contains(&id), "{number}: {}", said.text());
        namespaces.push(name);
    }
    let shell = end_of(shell).await;
    drop(typing);
    assert!(shell.code != Some(0) && shell.err().contains("agent frozen"), "the open shell ends: {}", shell.text());

    let name = format!("limits-{}", unique());
    let create = || run(agent.kubectl(["create", "configmap", &name, "--from-literal=a=b"]));
    for said in [
        create().await,
        run(agent.kubectl(["exec", pod, "--", "id"])).await,
        run(agent.kubectl(["delete", "namespace", &namespaces[0]])).await,
        run(agent.kubectl(["scale", "deployment", "web", "--replicas=2"])).await,
    ] {
        assert_eq!(said.code, Some(1), "{}", said.text());
        assert!(said.err().contains("Freeze frz_") && said.err().contains("lockgate agents clear"), "{}", said.text());
    }
    run(agent.kubectl(["get", "pods"])).await.ok();
    run(agent.kubectl(["logs", pod, "--tail=1"])).await.ok();
    run(agent.kubectl(["auth", "can-i", "get", "pods"])).await.ok();

    let list = place.lockgate(&["agents", "list", "--frozen"]).await.ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(text(&list[0], "/subject/id"), agent.name);
    assert_eq!(list[0]["freeze"]["cause"]["approvals"].as_array().map(Vec::len), Some(3));
    for own in [
        ["agents", "clear", agent.name.as_str(), "--note", "let me"],
        ["agents", "freeze", "shop-agent", "--note", "him too"],
    ] {
        let said = agent.lockgate(&own).await;
        assert!(said.code != Some(0), "an agent clears and freezes nobody: {}", said.text());
    }
    let cleared = place.lockgate(&["agents", "clear", &agent.name, "--note", "it promised"]).await.ok().json();
    assert_eq!(text(&cleared, "/cleared/note"), "it promised");
    create().await.ok();
    let events = place.lockgate(&["agents", "show", text(&list[0], "/key")]).await.ok().json();
    assert_eq!(events["freezes"][0]["cleared"]["note"], "it promised", "{events}");

    admin(["delete", "configmap", &name]).await;
    for name in namespaces {
        admin(["delete", "namespace", &name, "--wait=false"]).await;
    }
    agent.remove().await;
}

const ASK_DELETES: &str = "- name: deployments-go
  match: {apiGroups: [apps], resources: [deployments], verbs: [delete, deletecollection]}
  ask: {approvers: {groups: [sre]}, ttl: 10m}
";

/// Deletes of the demo's `routine` rule would be let through, scaling too: the human's word counts for more.
#[tokio::test]
async fn what_was_denied_stays_denied_in_every_guise() {
    let place = Place::new("limits-guises", ASK_DELETES, "40s").await;
    let agent = Agent::new(&place.gateway).await;
    let demo = Environment::get();
    let (name, other) = (format!("guise-{}", unique()), format!("guise-other-{}", unique()));
    for name in [&name, &other] {
        let image = format!("--image={}", demo.demo.image);
        admin(["create", "deployment", name, &image, "--", "sleep", "infinity"]).await;
        let finalizer = json!({"metadata": {"finalizers": ["example.com/wait"]}}).to_string();
        admin(["patch", "deployment", name, "--type=merge", "--patch", &finalizer]).await;
    }
    let note = "checkout depends on it";
    let (id, _) = place.denied(&agent, &["delete", "deployment", &name, "--wait=false"], &name, note).await;

    let collection = format!("/apis/apps/v1/namespaces/{}/deployments?labelSelector=app%3D{name}", demo.demo.namespace);
    let orphan = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}]}});
    let strip = json!({"metadata": {"finalizers": null}});
    let guises: Vec<Vec<String>> = [
        vec!["delete", "deployment", &name, "--wait=false"],
        vec!["delete", "deployment", &name, "--wait=false", "--cascade=orphan"],
        vec!["delete", "deployment", "--selector", &format!("app={name}"), "--wait=false"],
        vec!["delete", "--raw", &collection],
        vec!["scale", "deployment", &name, "--replicas=0"],
        vec!["patch", "deployment", &name, "--type=merge", "--patch", r#"{"spec":{"replicas":0}}"#],
        vec![
            "patch",
            "deployment",
            &name,
            "--type=json",
            "--patch",
            r#"[{"op":"replace","path":"/spec/replicas","value":0}]"#,
        ],
        vec!["patch", "deployment", &name, "--type=merge", "--patch", &orphan.to_string()],
        vec!["patch", "deployment", &name, "--type=merge", "--patch", &strip.to_string()],
    ]
    .into_iter()
    .map(|words| words.into_iter().map(str::to_owned).collect())
    .collect();
    for guise in &guises {
        let said = run(agent.kubectl(guise)).await;
        assert!(
            said.code == Some(1) && said.err().contains(&id) && said.err().contains(note),
            "{guise:?}: {}",
            said.text()
        );
    }
    // A PUT of the whole object without its finalizers.
    let mut object = run(agent.kubectl(["get", "deployment", &name, "-o", "json"])).await.ok().json();
    object["metadata"].as_object_mut().unwrap().remove("finalizers");
    let replaced = run_with_input(agent.kubectl(["replace", "-f", "-"]), object.to_string().as_bytes()).await;
    assert!(replaced.code == Some(1) && replaced.err().contains(&id), "{}", replaced.text());
    let live = admin(["get", "deployment", &name, "-o", "json"]).await.json();
    assert_eq!((&live["spec"]["replicas"], live["metadata"].get("deletionTimestamp")), (&json!(1), None), "untouched");

    // Something else on the same object, dry runs, and the same on another object are not what was denied.
    run(agent.kubectl(["annotate", "deployment", &name, "example.com/a=b"])).await.ok();
    run(agent.kubectl(["scale", "deployment", &name, "--replicas=0", "--dry-run=server"])).await.ok();
    run(agent.kubectl(["scale", "deployment", &other, "--replicas=0"])).await.ok();
    let held = spawn(agent.kubectl(["delete", "deployment", &other, "--wait=false"]));
    let second = place.pending(&other).await;
    place.lockgate(&["approvals", "approve", &second, "--note", "go ahead"]).await.ok();
    end_of(held).await.ok();

    let own = agent.lockgate(&["approvals", "reopen", &id, "--note", "let me"]).await;
    assert!(own.code != Some(0), "{}", own.text());
    place.lockgate(&["approvals", "reopen", &id, "--note", "the team agrees"]).await.ok();
    run(agent.kubectl(["scale", "deployment", &name, "--replicas=0"])).await.ok();

    for name in [&name, &other] {
        admin(["patch", "deployment", name, "--type=merge", "--patch", r#"{"metadata":{"finalizers":null}}"#]).await;
        admin(["delete", "deployment", name, "--ignore-not-found", "--wait=false"]).await;
    }
    agent.remove().await;
}

const LIMITED: &str = "- name: few-deletes
  match: {namespaces: [shop], apiGroups: [\"\"], resources: [configmaps], verbs: [delete]}
  allow: {limits: {blast: {deletes: 2, per: 10m, ask: {approvers: {groups: [sre]}}}}}
- name: slow-lists
  match: {namespaces: [shop], apiGroups: [\"\"], resources: [configmaps], verbs: [list]}
  allow: {limits: {rate: {requests: 1, per: 5s}}}
";

/// More than the rule lets go by itself asks a human, also across a restart; too fast is waited out by kubectl itself.
#[tokio::test]
async fn limits_of_a_rule_hold_and_survive_a_restart() {
    let name = "limits-rules";
    let place = Place::new(name, LIMITED, "40s").await;
    let agent = Agent::new(&place.gateway).await;
    let configmaps: Vec<_> = (0..3).map(|number| format!("{}-{number}", agent.name)).collect();
    for configmap in &configmaps {
        admin(["create", "configmap", configmap]).await;
    }
    run(agent.kubectl(["delete", "configmap", &configmaps[0]])).await.ok();
    run(agent.kubectl(["delete", "configmap", &configmaps[1]])).await.ok();
    let held = spawn(agent.kubectl(["delete", "configmap", &configmaps[2]]));
    let id = place.pending(&configmaps[2]).await;
    let ticket = place.lockgate(&["approvals", "show", &id]).await.ok().json();
    assert_eq!(text(&ticket, "/action/risk"), "mass", "{ticket}");
    let record = place.lockgate(&["audit", "show", text(&ticket, "/auditId")]).await.ok().json();
    assert!(record["decision"]["reasons"].to_string().contains("2 objects are removed already"), "{record}");
    place.lockgate(&["approvals", "approve", &id, "--note", "fine"]).await.ok();
    end_of(held).await.ok();

    for _ in 0..2 {
        run(agent.kubectl(["get", "configmaps", "--chunk-size=0"])).await.ok();
    }
    let records = place.lockgate(&["audit", "list", "--verb", "list", "--resource", "configmaps"]).await.ok().json();
    let codes: Vec<_> = records.as_array().unwrap().iter().map(|record| record["response"]["status"].clone()).collect();
    assert!(codes.contains(&json!(429)) && codes.contains(&json!(200)), "kubectl waits and tries again: {codes:?}");
    for configmap in &configmaps {
        admin(["delete", "configmap", configmap, "--ignore-not-found"]).await;
    }

    // The same store, another process.
    let Place { gateway, approver } = place;
    let directory = approver.parent().unwrap().to_owned();
    let mut config: Value = serde_json::from_str(&read(&directory.join("lockgate.yaml"))).unwrap();
    let Gateway { mut child, .. } = gateway;
    child.kill().await.unwrap();
    config["limits"]["hold"] = "1s".into();
    let gateway = Gateway::start(&directory, &config).await;
    let configmap = format!("{}-again", agent.name);
    admin(["create", "configmap", &configmap]).await;
    let said = run(agent.kubectl(["delete", "configmap", &configmap])).await;
    assert!(said.code == Some(1) && said.err().contains("needs a human's approval"), "{}", said.text());
    admin(["delete", "configmap", &configmap]).await;
    drop(gateway);
    agent.remove().await;
}
