//! C17: `get NAME -w` and `wait` are lists and watches with a field selector, and a rule by name covers just those.

use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::http::{Door, Protocol};
use e2e::program::{end_of, lines_of, next_line, run, spawn};
use serde_json::{Value, json};

use super::lists::JSON;
use super::place::{Place, apply, everywhere, metadata};

const ONE: &str = "
- name: one
  match: {namespaces: ['$A', '$B'], resources: [configmaps], names: [app-config], verbs: [get, list, watch]}
  allow: {}
- name: discovery
  match: {nonResourceURLs: ['/api*']}
  allow: {}
";

async fn put(namespace: &str, name: &str, ready: &str) {
    let metadata = metadata(name, Some(namespace), "", "");
    apply(vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ready": ready}})]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_a_rule_by_name_covers_watch_and_wait_of_that_name() {
    let place = Place::new().await;
    let gateway = place.gateway("filter-c17", ONE).await;
    let agent = Agent::new(&gateway).await;
    place.grant(&agent).await;
    let here = place.first.as_str();
    put(here, "app-config", "no").await;
    let mut get = spawn(agent.kubectl([
        "get",
        "configmap",
        "app-config",
        "--namespace",
        here,
        "--watch",
        "--output-watch-events",
        "-o",
        "json",
    ]));
    let mut lines = lines_of(&mut get);
    let event = async |lines: &mut _| {
        // Each event is printed over many lines; the type stands alone, and the name once.
        let mut text = String::new();
        loop {
            text += &next_line(lines).await;
            if let Ok(event) = serde_json::from_str::<Value>(&text) {
                return event;
            }
        }
    };
    let first = event(&mut lines).await;
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("app-config")));
    let waiting = spawn(agent.kubectl([
        "wait",
        "--for=jsonpath={.data.ready}=yes",
        "configmap/app-config",
        "--namespace",
        here,
        "--timeout=60s",
    ]));
    put(here, "root", "yes").await;
    put(here, "app-config", "yes").await;
    let second = event(&mut lines).await;
    assert_eq!((&second["type"], &second["object"]["data"]["ready"]), (&json!("MODIFIED"), &json!("yes")));
    let waited = end_of(waiting).await.ok();
    assert!(waited.out().contains("condition met"), "{}", waited.text());
    for other in [vec!["get", "configmap", "root", "--watch"], vec!["wait", "--for=delete", "configmap/root"]] {
        let said = run(agent.kubectl([other, vec!["--namespace", here]].concat())).await;
        assert!(said.code == Some(1) && said.err().contains("root"), "{}", said.text());
    }
    place.remove(agent).await;
}

/// An exact name is one object; a term more narrows it further and may stay; what selects by exclusion or not at all does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_field_selectors_are_read_as_the_api_server_reads_them() {
    let place = Place::new().await;
    let gateway = place.gateway("filter-c17-raw", ONE).await;
    let agent = Agent::new(&gateway).await;
    place.grant(&agent).await;
    for namespace in [&place.first, &place.second] {
        put(namespace, "app-config", "yes").await;
    }
    let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
    let door = Door::to(&url, &agent.token, Protocol::Http1);
    let here = format!("/api/v1/namespaces/{}/configmaps", place.first);
    let own = format!("fieldSelector=metadata.name%3Dapp-config%2Cmetadata.namespace%3D{}", place.first);
    let cases: Vec<(&str, u16, usize)> = vec![
        ("fieldSelector=metadata.name%3Dapp-config", 200, 1),
        ("fieldSelector=metadata.name%3D%3Dapp-config", 200, 1),
        ("fieldSelector=metadata.name%3Dapp-config&fieldSelector=metadata.name%3Dapp-config", 200, 1),
        (&own, 200, 1),
        // The namespace is another: nothing is there, or nothing is given.
        ("fieldSelector=metadata.name%3Dapp-config%2Cmetadata.namespace%3Dx", 200, 0),
        ("fieldSelector=metadata.name%21%3Dapp-config", 403, 0),
        ("fieldSelector=metadata.name%3Droot", 403, 0),
        ("fieldSelector=", 403, 0),
        ("fieldSelector=metadata.name%3Dapp-config&fieldSelector=metadata.name%3Droot", 400, 0),
        ("fieldSelector=metadata.name%3Droot&fieldSelector=metadata.name%3Dapp-config", 400, 0),
        // No selector: the part that the rule gives.
        ("", 200, 1),
    ];
    for (query, status, count) in cases {
        for (path, count) in [(here.as_str(), count), ("/api/v1/configmaps", 2 * count)] {
            for watch in ["", "&watch=true&timeoutSeconds=1"] {
                let path = format!("{path}?{query}{watch}");
                let answer = door.get(&path, &[("accept", JSON)]).await;
                let text = answer.text();
                if status != 200 {
                    assert_eq!(answer.status.as_u16(), status, "{path}: {text}");
                    continue;
                }
                let elsewhere = path.contains("%3Dx") && answer.status.as_u16() == 403;
                assert!(answer.status.as_u16() == 200 || elsewhere, "{path}: {text}");
                let found = text.matches(r#""name":"app-config""#).count();
                let is_narrowed = query.contains("metadata.namespace");
                assert!(found == count || (is_narrowed && found <= 1), "{path}: {text}");
                assert!(!text.contains(r#""name":"root""#) && !text.contains(r#""name":"web-1""#), "{path}: {text}");
            }
        }
    }
    run(everywhere(&["get", "configmaps", "--namespace", &place.first])).await.ok();
    place.remove(agent).await;
}
