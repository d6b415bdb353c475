//! kubectl as a restricted agent: what it prints, counts and deletes.

use std::collections::BTreeSet;

use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::http::{Door, Protocol};
use e2e::program::{Said, run};

use super::lists::{JSON, TABLE};
use super::place::{OBJECTS, Place, everywhere};

const WARNING: &str = "Warning: only objects that your rules let you see are listed";

const EXCEPTION: &str = "
- name: exception
  match: {resources: [secrets], names: [super-secret]}
  deny: {message: Nobody reads this one.}
- name: rest
  match: {namespaces: ['filter-*', default], verbs: [get, list, watch]}
  allow: {}
- name: discovery
  match: {nonResourceURLs: ['/api*']}
  allow: {}
";

const SOME: &str = "
- name: web
  match: {namespaces: ['$A', '$B'], names: ['web-*'], resources: [configmaps, widgets]}
  allow: {}
- name: discovery
  match: {nonResourceURLs: ['/api*']}
  allow: {}
";

fn words(said: &Said) -> BTreeSet<String> {
    said.out().lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

fn set<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// C16, as far as real requests go: one denied name takes nothing else away, and the refusal names the exception.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c16_one_denied_name_hides_one_object_and_every_way_to_count_says_so() {
    let place = Place::new().await;
    let gateway = place.gateway("filter-c16", EXCEPTION).await;
    let agent = Agent::new(&gateway).await;
    place.grant(&agent).await;
    let kubectl = |line: String| {
        let command = agent.kubectl(line.split_whitespace());
        async { run(command).await }
    };
    let here = place.first.as_str();
    let mut gets = BTreeSet::new();
    for (name, ..) in OBJECTS {
        let said = kubectl(format!("get secret {name} --namespace {here}")).await;
        if said.code == Some(0) {
            gets.insert(name.to_owned());
        } else {
            assert!(
                said.err().contains("Nobody reads this one.") && said.err().contains("exception"),
                "{}",
                said.err()
            );
        }
    }
    assert_eq!(gets, set(["web-1", "web-2", "db-1", "db-2", "root"]));
    for more in ["", "--chunk-size=1", "--chunk-size=0", "-o wide", "--show-labels", "--sort-by=.metadata.name"] {
        let said = kubectl(format!("get secrets --namespace {here} --no-headers {more}")).await.ok();
        assert_eq!(words(&said), gets, "{more}");
        assert_eq!(said.err().trim(), WARNING, "{more}");
    }
    let names: BTreeSet<String> = gets.iter().map(|name| format!("secret/{name}")).collect();
    assert_eq!(words(&kubectl(format!("get secrets --namespace {here} -o name")).await.ok()), names);
    let items = kubectl(format!("get secrets --namespace {here} -o json")).await.ok().json();
    assert_eq!(items["items"].as_array().map(Vec::len), Some(gets.len()));
    let all = kubectl(format!("get secrets,configmaps,widgets.{} -n {here} -o name", place.group)).await.ok();
    assert!(!all.out().contains("secret/super-secret"), "{}", all.out());
    assert!(all.out().contains("configmap/super-secret"), "the exception is for Secrets: {}", all.out());
    let everywhere = kubectl("get secrets --all-namespaces --no-headers".to_owned()).await.ok();
    let ours =
        everywhere.out().lines().filter(|line| line.contains(place.group.trim_end_matches(".example.com"))).count();
    assert_eq!(ours, 2 * gets.len(), "{}", everywhere.out());
    let described = kubectl(format!("describe secrets --namespace {here}")).await.ok();
    assert_eq!(described.out().matches("Name:").count(), gets.len(), "{}", described.out());

    // What the answer says of its being a part depends on rules and request, never on what was left out.
    let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
    let door = Door::to(&url, &agent.token, Protocol::Http1);
    let secrets = format!("/api/v1/namespaces/{here}/secrets");
    let mut heads = Vec::new();
    for query in
        ["", "?labelSelector=team%3Dweb", "?labelSelector=team%3Ddb", "?labelSelector=nobody%3Dhome", "?limit=1"]
    {
        for accept in [JSON, TABLE] {
            let answer = door.get(&format!("{secrets}{query}"), &[("accept", accept)]).await;
            let mut head: Vec<String> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
            head.sort();
            assert!(answer.json()["metadata"].get("remainingItemCount").is_none(), "{query}");
            heads.push((head, answer.header("warning").to_owned()));
        }
    }
    assert!(heads.iter().all(|head| *head == heads[0] && !head.1.is_empty()), "{heads:?}");
    let asked_for_less = door.get(&format!("{secrets}?fieldSelector=metadata.name%21%3Dsuper-secret"), &[]).await;
    assert_eq!(asked_for_less.header("warning"), "", "all that was asked for is there");
    place.remove(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_all_deletes_what_may_be_seen_and_a_collection_delete_refuses() {
    let place = Place::new().await;
    let gateway = place.gateway("filter-deletes", SOME).await;
    let agent = Agent::new(&gateway).await;
    place.grant(&agent).await;
    let kubectl = |line: String| {
        let command = agent.kubectl(line.split_whitespace());
        async { run(command).await }
    };
    let left = |kind: String, namespace: String| async move {
        let said = run(everywhere(&["get", &kind, "--namespace", &namespace, "-o", "name"])).await.ok();
        let names = said.out().lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect::<BTreeSet<_>>();
        names.into_iter().filter(|name| name != "kube-root-ca.crt").collect::<BTreeSet<_>>()
    };
    let all = set(OBJECTS.map(|(name, ..)| name));
    let others = set(["db-1", "db-2", "root", "super-secret"]);
    let (first, second) = (place.first.as_str(), place.second.as_str());
    let configmaps = |namespace: &str| left("configmaps".to_owned(), namespace.to_owned());

    // In one request there is no telling them apart: nothing is deleted.
    let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
    let door = Door::to(&url, &agent.token, Protocol::Http1);
    for query in [
        "",
        "?dryRun=All",
        "?labelSelector=team%3Dweb",
        "?fieldSelector=metadata.name%21%3Droot",
        "?fieldSelector=metadata.name%3Dweb-1",
        "?limit=1",
    ] {
        let path = format!("/api/v1/namespaces/{first}/configmaps{query}");
        let refused = door.send("DELETE", &path, &[("content-type", JSON)], b"").await;
        assert_eq!(refused.status.as_u16(), 403, "{path}: {}", refused.text());
        let raw = kubectl(format!("delete --raw {path}")).await;
        assert!(raw.code == Some(1) && raw.err().contains("Delete them by name"), "{}", raw.text());
    }
    assert_eq!(configmaps(first).await, all);

    let dry = kubectl(format!("delete configmaps --all --namespace {first} --dry-run=server")).await;
    assert_eq!(configmaps(first).await, all, "{}", dry.text());
    let named = kubectl(format!("delete configmaps -l team=db --namespace {first}")).await.ok();
    assert_eq!(named.out().trim(), "No resources found", "{}", named.text());
    let one = kubectl(format!("delete configmap db-1 --namespace {first}")).await;
    assert_eq!(one.code, Some(1), "{}", one.text());
    // kubectl lists, and deletes one by one.
    let said = kubectl(format!("delete configmaps --all --namespace {first}")).await.ok();
    assert_eq!(said.out().lines().count(), 2, "{}", said.text());
    assert_eq!((configmaps(first).await, configmaps(second).await), (others.clone(), all.clone()));
    kubectl(format!("delete configmap web-1 --namespace {second}")).await.ok();
    assert!(!configmaps(second).await.contains("web-1"));
    let widgets = format!("widgets.{}", place.group);
    kubectl(format!("delete {widgets} --all --all-namespaces")).await.ok();
    for namespace in [first, second] {
        assert_eq!(left(widgets.clone(), namespace.to_owned()).await, others);
    }
    place.remove(agent).await;
}
