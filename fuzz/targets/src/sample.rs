//! Some callers, some of what they may ask for, and some objects that a patch may meet.

use lockgate_core::{Action, Options, Risk, Subject, SubjectKind};
use lockgate_policy::risk;
use lockgate_wire::{RequestInfo, Target, options};
use serde_json::{Value, json};

const REQUESTS: [(&str, &str); 14] = [
    ("GET", "/api/v1/namespaces/a/pods/b"),
    ("GET", "/api/v1/namespaces/a/pods"),
    ("GET", "/api/v1/secrets?watch=true"),
    ("GET", "/api/v1/pods?labelSelector=app%3Dweb&fieldSelector=metadata.namespace%21%3Dkube-system"),
    ("GET", "/healthz"),
    ("POST", "/api/v1/namespaces"),
    ("POST", "/api/v1/namespaces/a/pods"),
    ("POST", "/api/v1/namespaces/a/pods/b/exec?command=sh&tty=true"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ("PUT", "/apis/apps/v1/namespaces/kube-system/deployments/b"),
    ("PATCH", "/apis/example.com/v1/namespaces/a/widgets/b"),
    ("DELETE", "/api/v1/namespaces/a?dryRun=All"),
    ("DELETE", "/api/v1/namespaces/a/configmaps"),
    ("DELETE", "/api/v1/namespaces/a/configmaps/b"),
];

pub(crate) fn actions() -> Vec<(Action, Options)> {
    let read = |(method, path): (&str, &str)| {
        let target = Target::parse(&format!("/clusters/shop{path}")).expect("a path");
        let info = RequestInfo::of(method, &target).expect("a request");
        let content_type = (method == "PATCH").then_some("application/merge-patch+json");
        let options = options::effective(&info, &target, content_type, None).expect("options");
        let mut action = info.action(Risk::Escalation);
        action.risk = risk::classify(&risk::Request::of(&action, &options, None));
        (action, options)
    };
    REQUESTS.map(read).into()
}

pub(crate) fn subjects() -> [Subject; 2] {
    let agent = Subject {
        issuer: "https://idp.example".into(),
        id: "deployer".into(),
        kind: SubjectKind::Agent,
        owner: Some("olivia".into()),
        on_behalf_of: None,
        groups: vec!["deployers".into(), "sre".into()],
        token_id: None,
    };
    let nobody = Subject { id: "x".into(), kind: SubjectKind::Human, owner: None, groups: Vec::new(), ..agent.clone() };
    [agent, nobody]
}

/// Live objects, with lists whose items have names, have none, or share one.
pub(crate) fn objects() -> [Value; 2] {
    let metadata = json!({"name": "b", "namespace": "a", "uid": "u", "resourceVersion": "7", "labels": {"app": "web"},
        "annotations": {"k": "v"}, "finalizers": ["f", "g"], "ownerReferences": [{"kind": "App", "name": "x", "uid": "1"}]});
    let pod = json!({"serviceAccountName": "web", "tolerations": [{"key": "k"}, {"key": "l", "operator": "Exists"}],
        "containers": [
            {"name": "web", "image": "web:1", "args": ["x", "y"], "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]},
            {"name": "log", "image": "log:1"}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}, {"name": "w", "emptyDir": {}}]});
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2, "paused": false,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}},
        "status": {"replicas": 2, "conditions": [{"type": "Available", "status": "True"}]}});
    let mut widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "data": {"k": "djE="}, "spec": {"a": {"b": [1, 2]},
        "items": [{"name": "x", "v": 1}, {"name": "x", "v": 2}, {"v": 3}], "text": "t", "none": {}}, "status": {"ready": true}});
    for object in [&mut deployment, &mut widget] {
        object["metadata"] = metadata.clone();
    }
    [deployment, widget]
}
