//! `policy explain` where labels decide that nobody has read, and where a condition could not be evaluated.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use super::{Room, complaint, data, said};

const POLICY: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}
- {name: no-host-network, match: {resources: [deployments]}, when: 'has(object.spec.template.spec.hostNetwork)', deny: {}}
- {name: rest, allow: {}}
";

const ASKED: [&str; 6] = ["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x"];

#[test]
fn explain_says_that_a_verdict_by_labels_is_not_certain_and_on_which_labels_it_depends() {
    let room = Room::new().with("policy.yaml", POLICY);
    for (method, path) in [
        ("DELETE", "/api/v1/namespaces/shop/configmaps/webc"),
        ("GET", "/api/v1/namespaces/shop/pods/toolbox/log"),
        ("GET", "/api/v1/namespaces/shop/pods/toolbox"),
    ] {
        let text = said(&room.run(&[&ASKED[..], &[method, path]].concat()), 0);
        let expected = "not certain: depends on the object's labels: denied if team=finance (rule no-finance)";
        assert!(text.contains(expected) && !text.contains("Narrow"), "{text}");
        let value = data(&room.run(&[&ASKED[..], &[method, path, "-o", "json"]].concat()), 0);
        let depends = json!([{"rule": "no-finance", "effect": "deny", "labels": ["team=finance"]}]);
        assert_eq!(value["requests"][0]["dependsOnLabels"], depends, "{path}");
    }
}

#[test]
fn explain_says_which_condition_could_not_be_evaluated_and_what_to_write() {
    let only_conditions: String =
        POLICY.lines().filter(|line| !line.contains("no-finance")).map(|line| format!("{line}\n")).collect();
    let body = r#"{"metadata": {"annotations": {"a": "b"}}, "spec": {}}"#;
    let room = Room::new().with("policy.yaml", &only_conditions).with("annotate.json", body);
    let of = ["--body", "annotate.json", "--content-type", "application/merge-patch+json", "PATCH"];
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    let text = said(&room.run(&[&ASKED[..], &of, &[path]].concat()), 0);
    for expected in [
        "DENIED by rule no-host-network",
        "condition of rule no-host-network could not be evaluated (no such key: template): it counts against the request",
        "write `has(object.spec.template) && has(object.spec.template.spec) && …` before it",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let value = data(&room.run(&[&ASKED[..], &["-o", "json"], &of, &[path]].concat()), 0);
    let request = &value["requests"][0];
    assert!(request["decision"]["reasons"].to_string().contains("could not be evaluated"), "{request}");
    assert!(request["rules"][0]["condition"]["fix"].as_str().unwrap().starts_with("has(object.spec.template) && "));
}

const OWN: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- {name: own, when: \"oldObject.metadata.labels['team'] == 'web'\", allow: {}}
- {name: root, match: {names: [root]}, deny: {}}
- {name: read, match: {risk: [read, masked]}, allow: {}}
";

#[test]
fn explain_is_not_certain_where_the_live_object_decides_a_condition() {
    let room = Room::new().with("policy.yaml", OWN);
    let delete = ["DELETE", "/api/v1/namespaces/shop/configmaps/a"];
    let text = said(&room.run(&[&ASKED[..], &delete].concat()), 0);
    let expected = "not certain: depends on the object as it is in the cluster: allowed if \
                    `oldObject.metadata.labels['team'] == 'web'` (rule own), else denied (no rule)";
    assert!(text.contains(expected) && !text.contains("not there for this request"), "{text}");
    let value = data(&room.run(&[&ASKED[..], &delete, &["-o", "json"]].concat()), 0);
    let depends = &value["requests"][0]["dependsOnObject"];
    assert_eq!(
        (&depends[0]["rule"], &depends[0]["effect"], &depends[1]["effect"]),
        (&json!("own"), &json!("allow"), &json!("deny"))
    );

    let list = said(&room.run(&[&ASKED[..], &["GET", "/api/v1/namespaces/shop/configmaps"]].concat()), 0);
    assert!(list.contains("the answer is filtered") && list.contains("some is denied by rule root"), "{list}");
}

/// What `kubectl proxy` would serve, once for each connection.
fn serve(room: &Room, status: &str, body: &Value) -> std::thread::JoinHandle<String> {
    let script = "#!/bin/sh\nfor last; do :; done\n/bin/ln -s \"$TMPDIR/cluster.sock\" \"$last\"\nexec /bin/sleep 60\n";
    let (socket, file) = (room.0.join("cluster.sock"), room.0.join("kubectl"));
    drop(std::fs::remove_file(&socket));
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            // The first connection only sees whether it listens.
            let Some(Ok(first)) = head.next() else { continue };
            assert!(head.any(|line| line.unwrap().is_empty()), "a whole head");
            stream.write_all(answer.as_bytes()).unwrap();
            return first;
        }
    })
}

#[test]
fn explain_reads_the_object_that_method_and_path_name_from_the_cluster_of_the_kubeconfig() {
    let room = Room::new().with("policy.yaml", OWN);
    let asked = |method: &str, path: &str| {
        room.run(&[&ASKED[..], &["--kubeconfig", "admin.kubeconfig", method, path, "-o", "json"]].concat())
    };
    let path = "/api/v1/namespaces/shop/configmaps/a";
    let labelled = |team: &str| json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "shop", "labels": {"team": team}}});
    for (team, effect) in [("web", "allow"), ("other", "deny")] {
        let served = serve(&room, "200 OK", &labelled(team));
        let value = data(&asked("DELETE", path), 0);
        assert_eq!(served.join().unwrap(), format!("GET {path} HTTP/1.1"));
        assert_eq!(
            (&value["effect"], &value["requests"][0]["dependsOnObject"]),
            (&json!(effect), &json!([])),
            "{value:#}"
        );
    }
    let served = serve(&room, "403 Forbidden", &json!({"kind": "Status", "message": "not you"}));
    let words = complaint(&asked("DELETE", path), 1);
    served.join().unwrap();
    assert!(
        words.contains("cannot be read for the explanation: the cluster says 403") && words.contains("not you"),
        "{words}"
    );
}
