//! What kubectl and helm send, as Lockgate's log has it: `tests/oracle/recorded.tsv`, which the oracle tests send again.
//!
//! `cargo xtask codegen requests` runs it. The clients work through a gateway before an API server that has neither controllers nor a node,
//! so that commands which wait for something are told not to; what counts is what they ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a tool for developers"
)]

use std::collections::BTreeSet;
use std::path::Path;

use e2e::environment::program;
use e2e::oracle::{Agent, Release, Stand};
use e2e::program::run;
use serde_json::Value;
use tokio::process::Command;

/// Larger bodies are cut to what names the object.
const BODY_BYTES_MAX: usize = 2_048;

/// One line is one command of kubectl; what it says and whether it succeeds does not matter.
const STORY: &str = "
version
api-resources
api-versions
cluster-info
auth whoami
auth can-i --list
auth can-i delete pods
auth can-i get pods/log --subresource=log
explain pods
get pods
get pods -o json
get pods -o wide -l app=web
get pods a -o yaml
get pods a --subresource=status
get pod/a deployment/a service/a
get all
get pods -A --chunk-size=2
get pods --field-selector metadata.name=a
get pods --field-selector=status.phase=Running,spec.nodeName!=a -A
get events --sort-by=.lastTimestamp
get events --for=pod/a
get --raw /healthz
get --raw /api/v1/namespaces/oracle/pods?limit=1
get widgets,gadgets
get widgets.v1beta1.example.com a
get secrets a -o jsonpath={.data}
get crd widgets.example.com
get nodes
get clusterroles system:node -o name
get pods -w --request-timeout=1s
get pod a --watch-only --request-timeout=1s
wait --for=delete pod/absent --timeout=1s
wait --for=condition=Ready pod/a --timeout=1s
describe pod a
describe deployment a
describe secret a
describe node a
describe crd widgets.example.com
top pods
top nodes
logs a
logs a -c app --tail=3 --timestamps
logs -l app=web --prefix
logs deployment/a --previous
logs -f a --request-timeout=1s
exec a -- ls -l /
exec -i a -c app -- sh -c id
attach a
cp a:/etc/passwd passwd
port-forward pod/a 0:80
port-forward service/a 0:443
debug a --image=nobody.example.com/debug -q
debug node/a --image=nobody.example.com/debug -q
create configmap made --from-literal=k=v
create configmap made --from-literal=k=v --dry-run=server
create secret generic made --from-literal=k=v
create secret tls made-tls --cert=absent --key=absent
create deployment made --image=nobody.example.com/app
create job made --image=nobody.example.com/app -- id
create cronjob made --image=nobody.example.com/app --schedule=@daily -- id
create job made-by-hand --from=cronjob/made
create service clusterip made --tcp=80:80
create ingress made --rule=example.com/*=made:80
create serviceaccount made
create token a
create token a --bound-object-kind=Pod --bound-object-name=a
create role made --verb=get --resource=pods
create rolebinding made --role=made --serviceaccount=oracle:made
create clusterrole made --verb=get --resource=nodes
create clusterrolebinding made --clusterrole=made --user=made
create namespace made
create quota made --hard=pods=3
create poddisruptionbudget made --selector=app=web --min-available=1
create priorityclass made --value=1
run made --image=nobody.example.com/app
run made-dry --image=nobody.example.com/app --dry-run=server
expose deployment made --port=80
autoscale deployment made --max=3
scale deployment made --replicas=0
scale widget a --replicas=2
set image deployment/made app=nobody.example.com/app:2
set env deployment/made A=b
set resources deployment/made --limits=cpu=1
set serviceaccount deployment/made a
set selector service/made app=made
label pod a x=y
label pods --all z=1
annotate pod a x=y --overwrite
patch deployment made -p {\"spec\":{\"replicas\":1}}
patch deployment made --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":2}]
patch widget a --type=merge -p {\"spec\":{\"replicas\":3}}
patch pod a --subresource=status --type=merge -p {\"status\":{\"phase\":\"Running\"}}
rollout status deployment/made --timeout=1s
rollout history deployment/made
rollout restart deployment/made
rollout pause deployment/made
rollout resume deployment/made
rollout undo deployment/made
apply -f MANIFEST
apply -f MANIFEST
diff -f MANIFEST
apply --server-side --force-conflicts -f MANIFEST
apply --prune -l app=nothing -f MANIFEST
replace -f MANIFEST
replace --force --grace-period=0 -f MANIFEST --wait=false
cordon a
uncordon a
drain a --ignore-daemonsets --timeout=1s --force
taint nodes a x=y:NoSchedule
certificate approve absent
proxy --port=1
delete -f MANIFEST --wait=false
delete pod made --now --wait=false
delete deployment made --cascade=orphan --wait=false
delete pods -l app=nothing
delete configmaps --all --dry-run=server
delete job made made-by-hand --cascade=foreground --wait=false
delete namespace made --dry-run=server
delete clusterrole made
";

const MANIFEST: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: applied}
data: {k: v}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: applied}
spec: {replicas: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: applied}
spec:
  selector: {matchLabels: {app: applied}}
  template:
    metadata: {labels: {app: applied}}
    spec: {containers: [{name: app, image: nobody.example.com/app}]}
";

#[tokio::main]
async fn main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let stand = Stand::start(Release::Current, &[]).await;
    e2e::oracle::prepare(&stand).await;
    let kubeconfig = stand.kubeconfig(Agent::Resident);
    let directory = kubeconfig.parent().unwrap();
    let manifest = directory.join("manifest.yaml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    for line in STORY.lines().filter(|line| !line.is_empty()) {
        let mut kubectl = stand.kubectl(&kubeconfig);
        kubectl.args(line.split(' ').map(|word| word.replace("MANIFEST", manifest.to_str().unwrap())));
        // A command that would serve or follow for ever is ended.
        let mut ended = Command::new("timeout");
        ended.arg("10").arg(kubectl.as_std().get_program()).args(kubectl.as_std().get_args()).current_dir(directory);
        eprintln!("{:?} kubectl {line}", run(ended).await.code);
    }
    let chart = tests.join("clients/chart");
    let chart = chart.to_str().unwrap();
    let image = ["--set", "image=nobody.example.com/app"];
    for arguments in [
        [&["install", "corner", chart], &image[..]].concat(),
        [&["upgrade", "corner", chart, "--set", "greeting=welcome"], &image[..]].concat(),
        vec!["list"],
        vec!["status", "corner"],
        vec!["history", "corner"],
        vec!["get", "all", "corner"],
        vec!["rollback", "corner", "1"],
        vec!["uninstall", "corner"],
    ] {
        let mut helm = Command::new(program("LOCKGATE_E2E_HELM"));
        helm.args(&arguments).args(["--namespace", "oracle", "--kubeconfig"]).arg(&kubeconfig);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(variable, directory);
        }
        eprintln!("{:?} helm {arguments:?}", run(helm).await.code);
    }
    let (records, _events) = stand.logs().await;
    let lines: BTreeSet<String> = records.iter().filter_map(recorded).collect();
    let head = "# What kubectl and helm send: method, target, content type, body. Made by `cargo xtask codegen requests`; do not edit.\n";
    let text = lines.iter().fold(head.to_owned(), |text, line| text + line + "\n");
    std::fs::write(tests.join("oracle/recorded.tsv"), text).unwrap();
    println!("{} requests from {} records", lines.len(), records.len());
}

/// A record's request on one line; None for calls that no client made.
fn recorded(record: &Value) -> Option<String> {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if record.get("parentId").is_some() {
        return None;
    }
    let target = text("/requestUri").strip_prefix("/clusters/shop")?;
    // Tokens of a list's next page are of one API server only.
    let target = if target.is_empty() { "/" } else { target };
    if target.contains("continue=") {
        return None;
    }
    let body = record.pointer("/request/payload").filter(|payload| !payload.is_null());
    let (content_type, body) = match body {
        None => (String::new(), String::new()),
        Some(body) => {
            // Protobuf was decoded: its JSON is sent again.
            let media_type = text("/request/contentType").split(';').next().unwrap_or_default();
            let kind = if media_type.ends_with("protobuf") { "application/json" } else { media_type };
            (kind.to_owned(), shortened(body).to_string())
        }
    };
    Some(format!("{}\t{target}\t{content_type}\t{body}", text("/method")))
}

fn shortened(body: &Value) -> Value {
    if body.is_array() || body.to_string().len() <= BODY_BYTES_MAX {
        return body.clone();
    }
    let mut short = serde_json::json!({"metadata": {}});
    for pointer in ["/apiVersion", "/kind", "/metadata/name", "/metadata/generateName", "/metadata/namespace"] {
        if let Some(value) = body.pointer(pointer) {
            match pointer.strip_prefix("/metadata/") {
                Some(field) => short["metadata"][field] = value.clone(),
                None => short[&pointer[1..]] = value.clone(),
            }
        }
    }
    short
}
