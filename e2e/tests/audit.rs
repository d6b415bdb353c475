//! Every call is in the log, and the log joins the cluster's own: our record's id is the `Audit-ID` that the API server wrote, and the user is the
//! agent on both sides.

use std::collections::{BTreeMap, BTreeSet};

use e2e::environment::{AGENT_USER, Environment};
use e2e::http::{Door, Protocol};
use e2e::person::{Who, lockgate, records, text};
use e2e::program::{Way, kubectl, run, run_with_input};
use e2e::{sha256, unique, until};
use serde_json::Value;

/// The cluster's finished events of the agent through the gateway, by audit id.
fn clusters_events() -> BTreeMap<String, Value> {
    let events = Environment::get().cluster_events().into_iter();
    let is_agents = |event: &Value| {
        text(event, "/impersonatedUser/username") == AGENT_USER
            && text(event, "/user/username").starts_with("system:serviceaccount:lockgate:")
            && text(event, "/stage") == "ResponseComplete"
    };
    events.filter(is_agents).map(|event| (text(&event, "/auditID").to_owned(), event)).collect()
}

fn bare(record: &Value) -> &str {
    text(record, "/id").trim_start_matches("aud_")
}

#[tokio::test]
async fn every_call_of_a_run_is_in_both_logs() {
    let name = format!("audit-{}", unique());
    let through = |line: String| async move { run(kubectl(Way::Through, line.split_whitespace())).await };
    through(format!("create configmap {name} --from-literal=a=1")).await.ok();
    through(format!("get configmap {name}")).await.ok();
    through(format!("label configmap {name} audit=yes")).await.ok();
    through(format!("patch configmap {name} -p {{\"data\":{{\"b\":\"2\"}}}}")).await.ok();
    through(format!("delete configmap {name}")).await.ok();
    assert_eq!(through(format!("get configmap {name}")).await.code, Some(1));

    let ours = until("all calls are finished in the log", || async {
        let ours = records(&["--name", &name]).await;
        let finished = ours.iter().all(|record| record["finishedAt"].is_string());
        (finished && ours.len() >= 6).then_some(ours)
    })
    .await;
    let verbs: BTreeSet<&str> = ours.iter().map(|record| text(record, "/action/verb")).collect();
    assert!(verbs.is_superset(&BTreeSet::from(["get", "patch", "delete"])), "{verbs:?}");
    let theirs = until("the cluster has written them too", || async {
        let theirs = clusters_events();
        ours.iter().all(|record| theirs.contains_key(bare(record))).then_some(theirs)
    })
    .await;
    for record in &ours {
        let event = &theirs[bare(record)];
        assert_eq!(text(event, "/verb"), text(record, "/action/verb"));
        assert_eq!(event["responseStatus"]["code"], record["response"]["status"], "{record}");
        assert_eq!(text(event, "/objectRef/name"), name);
        assert_eq!(text(record, "/upstream/user"), AGENT_USER);
        assert_eq!(text(record, "/subject/id"), "shop-agent");
        assert_eq!(text(record, "/decision/effect"), "allow");
        assert!(!text(record, "/decision/rule").is_empty() && !text(record, "/decision/policyRevision").is_empty());
        assert!(text(record, "/source/userAgent").starts_with("kubectl"), "{record}");
        assert_eq!(text(record, "/source/ip"), "127.0.0.1");
        assert!(text(record, "/startedAt") <= text(record, "/finishedAt"));
    }
}

#[tokio::test]
async fn nothing_reaches_the_cluster_without_a_record() {
    // Whatever ran before in this environment, and one call of our own.
    run(kubectl(Way::Through, ["get", "pods"])).await.ok();
    let theirs = clusters_events();
    assert!(!theirs.is_empty());
    let ids: Vec<String> = theirs.keys().cloned().collect();
    // The log is asked for a bounded page at a time; older calls by their ids.
    let known: BTreeSet<String> = records(&[]).await.iter().map(|record| bare(record).to_owned()).collect();
    let mut asked = 0;
    for id in ids.iter().rev().filter(|id| !known.contains(*id)).take(50) {
        asked += 1;
        let said = lockgate(Who::Auditor, &["audit", "show", id]).await;
        assert_eq!(said.code, Some(0), "the cluster saw {id}: {}\n{}", theirs[id], said.text());
    }
    println!(
        "{} calls in the cluster's log, {} in the newest page of ours, {asked} asked for by id",
        ids.len(),
        known.len()
    );
}

#[tokio::test]
async fn a_refusal_is_on_record_and_not_in_the_clusters_log() {
    let name = format!("audit-{}", unique());
    let binding = ["create", "clusterrolebinding", &name, "--clusterrole=cluster-admin", "--user=agent:shop-agent"];
    let refused = run(kubectl(Way::Through, binding)).await;
    assert_eq!(refused.code, Some(1), "{}", refused.text());
    let records = records(&["--effect", "deny", "--verb", "create", "--resource", "clusterrolebindings"]).await;
    let record = records.iter().find(|record| record.to_string().contains(&name)).expect("the refusal is on record");
    assert_eq!((text(record, "/outcome"), text(record, "/decision/rule")), ("refused", "escalation"));
    assert!(record["upstream"]["status"].is_null());
    assert!(!clusters_events().contains_key(bare(record)));
}

/// The payload is what was sent: its size and digest are those of the exact bytes.
#[tokio::test]
async fn the_payload_is_on_record() {
    let name = format!("audit-{}", unique());
    let body =
        format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"a": "1"}}}}"#);
    let door = Door::agent(Way::Through, Protocol::Http2).await;
    let headers =
        [("content-type", "application/json"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.2")];
    let path = "/api/v1/namespaces/shop/configmaps?dryRun=All";
    assert_eq!(door.send("POST", path, &headers, body.as_bytes()).await.status, 201);
    let record = until("the call is finished in the log", || async {
        let records = records(&["--verb", "create", "--resource", "configmaps"]).await;
        records.into_iter().find(|record| record.to_string().contains(&name) && record["finishedAt"].is_string())
    })
    .await;
    assert_eq!(record["request"]["bytes"].as_u64(), Some(body.len() as u64));
    assert_eq!(record["request"]["sha256"], sha256(body.as_bytes()));
    assert_eq!(text(&record, "/request/contentType"), "application/json");
    assert!(record["options"]["dryRun"].to_string().contains("All") || record["options"]["dryRun"] == true, "{record}");
    // C21: what a client writes about its address is not believed.
    assert_eq!(text(&record, "/source/ip"), "127.0.0.1");
    assert!(!record.to_string().contains("eyJ"), "no token is on record");
}

#[tokio::test]
async fn the_log_is_for_people() {
    let said = lockgate(Who::Agent, &["audit", "list"]).await;
    assert_ne!(said.code, Some(0), "{}", said.out());
    let yaml = lockgate(Who::Auditor, &["audit", "list", "--limit", "2"]).await.ok();
    assert_eq!(yaml.json().as_array().map(Vec::len), Some(2));
    let nonsense = lockgate(Who::Auditor, &["audit", "show", "nonsense"]).await;
    assert_eq!(nonsense.code, Some(2), "{}", nonsense.text());
    drop(run_with_input(kubectl(Way::Through, ["auth", "whoami"]), b"").await.ok());
}
