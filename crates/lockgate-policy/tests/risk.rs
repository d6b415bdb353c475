//! The risk table, row by row.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_core::Risk::{Ask, Destructive, Escalation, Masked, Mass, Read, Stream as Streams, Write};
use lockgate_core::{Options, PatchType, Risk, Stream, Verb};
use lockgate_policy::risk::{Request, classify};
use serde_json::{Value, json};

/// `verb group/resource[/subresource]`, with the core group as `-`.
fn classify_with(what: &str, namespace: Option<&str>, name: &str, options: &Options, object: Option<&Value>) -> Risk {
    let (verb, target) = what.split_once(' ').unwrap();
    let mut parts = target.split('/');
    let group = parts.next().filter(|group| *group != "-").unwrap_or_default();
    let (resource, subresource) = (parts.next().unwrap(), parts.next());
    let verb = serde_json::from_value::<Verb>(json!(verb)).unwrap();
    let stream = match subresource {
        Some("exec") => Stream::Exec,
        Some("proxy") => Stream::Proxy,
        _ => Stream::None,
    };
    let name = Some(name).filter(|name| !name.is_empty());
    let request = Request {
        verb,
        api_group: group,
        resource,
        subresource,
        namespace,
        name,
        path: "",
        stream,
        options,
        object,
        old_object: None,
    };
    classify(&request)
}

fn plain(what: &str) -> Risk {
    classify_with(what, Some("shop"), "web", &Options::default(), None)
}

fn with(what: &str, object: Value) -> Risk {
    classify_with(what, Some("shop"), "web", &Options::default(), Some(&object))
}

fn json_patch(what: &str, operations: Value) -> Risk {
    let options = Options { patch_type: Some(PatchType::Json), ..Options::default() };
    classify_with(what, Some("shop"), "web", &options, Some(&operations))
}

#[test]
fn rows_decided_by_verb_and_resource() {
    let table = [
        ("get -/nodes", Read),
        ("list -/services", Read),
        ("watch networking.k8s.io/ingresses", Read),
        ("get apps/deployments/scale", Read),
        ("create authorization.k8s.io/selfsubjectaccessreviews", Read),
        ("create authorization.k8s.io/selfsubjectrulesreviews", Read),
        ("create authentication.k8s.io/selfsubjectreviews", Read),
        ("get -/secrets", Masked),
        ("list -/secrets", Masked),
        ("get -/pods/log", Masked),
        ("list -/configmaps", Masked),
        ("list -/events", Masked),
        ("get apps/deployments", Masked),
        ("get apps/controllerrevisions", Masked),
        ("get apps/replicasets", Masked),
        ("get example.com/widgets", Masked),
        ("get -/nodes/proxy", Escalation),
        ("create -/nodes/proxy", Escalation),
        ("get -/services/proxy", Streams),
        ("create -/pods/proxy", Streams),
        ("get -/pods/exec", Streams),
        ("create -/pods/exec", Streams),
        ("create -/pods/attach", Streams),
        ("get -/pods/portforward", Streams),
        ("patch -/pods/ephemeralcontainers", Escalation),
        ("update -/pods/ephemeralcontainers", Escalation),
        ("create -/pods", Ask),
        ("create batch/jobs", Ask),
        ("create batch/cronjobs", Ask),
        ("create -/serviceaccounts/token", Escalation),
        ("create certificates.k8s.io/certificatesigningrequests", Escalation),
        ("update certificates.k8s.io/certificatesigningrequests/approval", Escalation),
        ("create rbac.authorization.k8s.io/roles", Escalation),
        ("patch rbac.authorization.k8s.io/clusterrolebindings", Escalation),
        ("delete rbac.authorization.k8s.io/rolebindings", Escalation),
        ("create admissionregistration.k8s.io/mutatingwebhookconfigurations", Escalation),
        ("delete admissionregistration.k8s.io/validatingadmissionpolicybindings", Escalation),
        ("update apiregistration.k8s.io/apiservices", Escalation),
        ("create eks.services.k8s.aws/accessentries", Escalation),
        ("create eks.services.k8s.aws/podidentityassociations", Escalation),
        ("delete networking.k8s.io/networkpolicies", Ask),
        ("update -/resourcequotas", Ask),
        ("delete -/limitranges", Ask),
        ("create scheduling.k8s.io/priorityclasses", Ask),
        ("patch flowcontrol.apiserver.k8s.io/flowschemas", Ask),
        ("delete policy/poddisruptionbudgets", Ask),
        ("update discovery.k8s.io/endpointslices", Ask),
        ("create apps/deployments", Write),
        ("patch apps/statefulsets", Write),
        ("patch autoscaling/horizontalpodautoscalers", Write),
        ("create networking.k8s.io/ingresses", Write),
        ("create -/services", Write),
        ("update -/configmaps", Write),
        ("patch -/pods", Write),
        ("delete apps/deployments", Destructive),
        ("delete -/pods", Destructive),
        ("delete -/services", Destructive),
        ("delete networking.k8s.io/ingresses", Destructive),
        ("delete -/configmaps", Destructive),
        ("delete -/secrets", Destructive),
        ("delete example.com/widgets", Destructive),
        ("create -/pods/eviction", Destructive),
        ("deletecollection -/pods", Mass),
        ("deletecollection -/secrets", Mass),
        ("deletecollection example.com/widgets", Mass),
        ("delete -/namespaces", Mass),
        ("update -/namespaces/finalize", Mass),
        ("delete -/persistentvolumeclaims", Mass),
        ("patch -/persistentvolumes", Mass),
        ("delete storage.k8s.io/storageclasses", Mass),
        ("delete snapshot.storage.k8s.io/volumesnapshots", Mass),
        ("delete velero.io/backups", Mass),
        ("delete apiextensions.k8s.io/customresourcedefinitions", Mass),
        ("delete -/nodes", Destructive),
        ("patch -/nodes", Destructive),
        ("patch apps/deployments/status", Destructive),
        ("update -/nodes/status", Destructive),
        ("update example.com/widgets/status", Destructive),
        ("delete -/events", Escalation),
        ("deletecollection events.k8s.io/events", Escalation),
        ("create -/secrets", Ask),
        ("update -/secrets", Ask),
        ("patch -/secrets", Ask),
        ("create authentication.k8s.io/tokenreviews", Ask),
        ("create authorization.k8s.io/subjectaccessreviews", Ask),
        ("create authorization.k8s.io/localsubjectaccessreviews", Ask),
        ("create example.com/widgets", Ask),
        ("patch example.com/widgets", Ask),
        ("create -/pods/unheard", Ask),
        ("get -/pods/unheard", Masked),
    ];
    for (what, expected) in table {
        assert_eq!(plain(what), expected, "{what}");
    }
}

#[test]
fn the_control_plane_and_the_gateway_are_off_limits_for_change() {
    for namespace in ["kube-system", "lockgate"] {
        for what in ["patch apps/deployments", "create -/configmaps", "delete -/pods", "create -/pods/exec"] {
            let risk = classify_with(what, Some(namespace), "web", &Options::default(), None);
            assert_eq!(risk, Escalation, "{what} in {namespace}");
        }
        assert_eq!(classify_with("get -/pods", Some(namespace), "web", &Options::default(), None), Masked);
    }
    assert_eq!(classify_with("delete -/namespaces", None, "kube-system", &Options::default(), None), Escalation);
    assert_eq!(
        classify_with("patch -/configmaps", Some("x"), "aws-auth", &Options::default(), Some(&json!({}))),
        Escalation
    );
}

#[test]
fn pods_that_take_over_a_node_or_an_identity_escalate() {
    let pod_specs = [
        json!({"hostNetwork": true}),
        json!({"hostPID": true}),
        json!({"hostIPC": true}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
        json!({"containers": [{"securityContext": {"privileged": true}}]}),
        json!({"initContainers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}),
        json!({"serviceAccountName": "admin"}),
        json!({"serviceAccount": "admin"}),
        json!({"nodeName": "node-1"}),
        json!({"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}),
        json!({"tolerations": [{"operator": "Exists"}]}),
        json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
    ];
    for spec in pod_specs {
        assert_eq!(with("create -/pods", json!({"spec": spec})), Escalation, "{spec}");
        let template = json!({"spec": {"template": {"spec": spec}}});
        assert_eq!(with("create apps/deployments", template.clone()), Escalation, "{spec}");
        assert_eq!(with("patch apps/daemonsets", template), Escalation, "{spec}");
        let cron = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}});
        assert_eq!(with("create batch/cronjobs", cron), Escalation, "{spec}");
        let operations = json!([{"op": "add", "path": "/spec/template/spec", "value": spec}]);
        assert_eq!(json_patch("patch apps/deployments", operations), Escalation, "{spec}");
    }
    let deep = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/securityContext/privileged", "value": true}]);
    assert_eq!(json_patch("patch apps/deployments", deep), Escalation);
    let add = json!([{"op": "add", "path": "/spec/template/spec/containers/0/securityContext/capabilities/add/-", "value": "NET_ADMIN"}]);
    assert_eq!(json_patch("patch apps/deployments", add), Escalation);
    let harmless = json!({"spec": {"template": {"spec": {"hostNetwork": false, "serviceAccountName": "default",
        "containers": [{"image": "web:2"}]}}}});
    assert_eq!(with("patch apps/deployments", harmless), Write);
    let secret = json!({"spec": {"template": {"spec": {"volumes": [{"name": "s", "secret": {"secretName": "db"}}]}}}});
    assert_eq!(with("patch apps/deployments", secret), Ask);
}

#[test]
fn outages_without_a_delete_are_destructive() {
    let table = [
        ("patch apps/deployments", json!({"spec": {"replicas": 0}})),
        ("patch apps/deployments/scale", json!({"spec": {"replicas": 0}})),
        ("update apps/statefulsets/scale", json!({"spec": {"replicas": 0}})),
        ("patch apps/deployments", json!({"spec": {"paused": true}})),
        ("patch batch/cronjobs", json!({"spec": {"suspend": true}})),
        ("patch -/services", json!({"spec": {"selector": {"app": "other"}}})),
        ("patch apps/deployments", json!({"metadata": {"finalizers": null}})),
        ("patch example.com/widgets", json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}})),
        ("patch apps/deployments", json!({"metadata": {"ownerReferences": [{"uid": "1"}]}})),
        ("update -/configmaps", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
    ];
    for (what, object) in table {
        assert_eq!(with(what, object.clone()), Destructive, "{what} {object}");
    }
    for path in ["/metadata/finalizers", "/metadata/finalizers/0"] {
        assert_eq!(json_patch("patch -/configmaps", json!([{"op": "remove", "path": path}])), Destructive, "{path}");
    }
    assert_eq!(
        json_patch("patch apps/deployments", json!([{"op": "replace", "path": "/spec/replicas", "value": 0}])),
        Destructive
    );
    assert_eq!(with("patch apps/deployments", json!({"spec": {"replicas": 3}})), Write);
    assert_eq!(with("create apps/deployments", json!({"spec": {"replicas": 0}})), Write);
}

#[test]
fn identities_guard_rails_and_definitions() {
    let kind = |kind: &str| with("create -/secrets", json!({"type": kind}));
    assert_eq!(kind("kubernetes.io/service-account-token"), Escalation);
    assert_eq!(kind("bootstrap.kubernetes.io/token"), Escalation);
    assert_eq!(kind("Opaque"), Ask);
    let role = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:…"}}});
    assert_eq!(with("patch -/serviceaccounts", role), Escalation);
    let role = json!([{"op": "add", "path": "/metadata/annotations/eks.amazonaws.com~1role-arn", "value": "arn:…"}]);
    assert_eq!(json_patch("patch -/serviceaccounts", role), Escalation);
    let pod_security = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    assert_eq!(with("patch -/namespaces", pod_security), Ask);
    assert_eq!(with("patch -/namespaces", json!({"metadata": {"labels": {"team": "a"}}})), Write);
    assert_eq!(with("create -/services", json!({"spec": {"externalIPs": ["1.2.3.4"]}})), Ask);
    assert_eq!(with("create -/services", json!({"spec": {"type": "ExternalName"}})), Ask);
    let definition = "apiextensions.k8s.io/customresourcedefinitions";
    let webhook = json!({"spec": {"conversion": {"strategy": "Webhook"}}});
    assert_eq!(with(&format!("patch {definition}"), webhook), Escalation);
    assert_eq!(with(&format!("patch {definition}"), json!({"spec": {"versions": []}})), Mass);
    assert_eq!(with(&format!("update {definition}"), json!({"spec": {}})), Mass);
    assert_eq!(with(&format!("create {definition}"), json!({"spec": {"versions": []}})), Ask);
}

/// A reviewer took a node over with these: the value that arrives is not in the request.
#[test]
fn a_json_patch_that_copies_or_moves_escalates_whatever_it_touches() {
    let table = [
        json!([{"op": "copy", "from": "/spec/template/spec/containers/0/startupProbe/httpGet", "path": "/spec/template/spec/volumes/0/hostPath"}]),
        json!([{"op": "move", "from": "/spec/paused", "path": "/spec/template/spec/hostNetwork"}]),
        json!([{"op": "replace", "path": "/spec/x", "value": 1}, {"op": "copy", "from": "/a", "path": "/b"}]),
    ];
    for operations in table {
        assert_eq!(json_patch("patch apps/deployments", operations.clone()), Escalation, "{operations}");
    }
    assert_eq!(
        json_patch("patch apps/deployments", json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}])),
        Write
    );
}

#[test]
fn a_pod_that_reads_a_secret_into_its_environment_asks() {
    let container = |part: serde_json::Value| json!({"spec": {"template": {"spec": {"containers": [part]}}}});
    let by_key = json!({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]});
    let whole = json!({"envFrom": [{"secretRef": {"name": "db"}}]});
    for part in [by_key, whole] {
        assert_eq!(with("patch apps/deployments", container(part.clone())), Ask, "{part}");
    }
}

#[test]
fn oracles_on_masked_fields_escalate() {
    let table = [
        json!([{"op": "test", "path": "/data/password", "value": "x"}]),
        json!([{"op": "test", "path": "", "value": {}}]),
        json!([{"op": "copy", "from": "/data/password", "path": "/metadata/annotations/x"}]),
        json!([{"op": "move", "from": "/data", "path": "/metadata/annotations"}]),
    ];
    for operations in table {
        assert_eq!(json_patch("patch -/secrets", operations.clone()), Escalation, "{operations}");
    }
    assert_eq!(json_patch("patch -/secrets", json!([{"op": "test", "path": "/metadata/labels/a", "value": "b"}])), Ask);
    let select = |selector: &str| {
        let options = Options { field_selector: Some(selector.into()), ..Options::default() };
        classify_with("list -/secrets", Some("shop"), "", &options, None)
    };
    assert_eq!(select("data.password=x"), Escalation);
    assert_eq!(select("type=Opaque,metadata.name!=a"), Masked);
}

#[test]
fn a_dry_run_in_effect_is_masked_but_for_collections_secrets_and_reviews() {
    let options = Options { dry_run: true, ..Options::default() };
    let dry = |what: &str| classify_with(what, Some("shop"), "web", &options, None);
    for what in [
        "delete apps/deployments",
        "create rbac.authorization.k8s.io/roles",
        "patch policy/poddisruptionbudgets",
        "delete -/namespaces",
    ] {
        assert_eq!(dry(what), Masked, "{what}");
    }
    assert_eq!(dry("patch example.com/widgets"), Ask, "an aggregated server may do it anyway");
    assert_eq!(dry("deletecollection -/pods"), Mass);
    assert_eq!(dry("patch -/secrets"), Ask);
    assert_eq!(dry("create -/serviceaccounts/token"), Escalation);
    assert_eq!(dry("create authentication.k8s.io/tokenreviews"), Ask);
    assert_eq!(dry("create -/pods/exec"), Streams);
}

#[test]
fn an_apply_that_could_create_is_judged_as_a_create_too() {
    let options = Options { patch_type: Some(PatchType::Apply), ..Options::default() };
    assert_eq!(classify_with("patch batch/jobs", Some("shop"), "j", &options, Some(&json!({"spec": {}}))), Ask);
    assert_eq!(classify_with("patch apps/deployments", Some("shop"), "d", &options, Some(&json!({"spec": {}}))), Write);
}

#[test]
fn non_resource_paths() {
    let at = |verb: Verb, path: &str| {
        let options = Options::default();
        classify(&Request {
            verb,
            api_group: "",
            resource: "",
            subresource: None,
            namespace: None,
            name: None,
            path,
            stream: Stream::None,
            options: &options,
            object: None,
            old_object: None,
        })
    };
    let open = [
        "/",
        "/api",
        "/api/v1",
        "/apis/apps/v1",
        "/openapi/v3",
        "/version",
        "/version/",
        "/healthz",
        "/livez/etcd",
        "/readyz",
        "/metrics",
    ];
    for path in open {
        assert_eq!(at(Verb::Get, path), Read, "{path}");
    }
    for path in
        ["/logs/kube-apiserver.log", "/debug/pprof/heap", "/configz", "/apiserver", "/metrics/slis/x", "/healthzz"]
    {
        assert_eq!(at(Verb::Get, path), Ask, "{path}");
    }
    assert_eq!(at(Verb::Post, "/api"), Ask);
}

#[test]
fn bypass_10_an_unknown_resource_is_never_routine() {
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        let risk = plain(&format!("{verb} installed-a-moment-ago.example.com/things"));
        assert!(risk >= Ask, "{verb}: {risk:?}");
    }
    let rollout = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]}}}});
    assert_eq!(with("create argoproj.io/rollouts", rollout), Escalation);
    assert_eq!(plain("get installed-a-moment-ago.example.com/things"), Masked);
}

#[test]
fn bypass_9_11_12_code_runs_behind_whatever_verb() {
    for what in
        ["patch -/pods/ephemeralcontainers", "get -/nodes/proxy", "create -/nodes/proxy", "delete -/nodes/proxy"]
    {
        assert_eq!(plain(what), Escalation, "{what}");
    }
    for what in ["get -/pods/exec", "create -/pods/exec", "get -/pods/attach", "get -/services/proxy"] {
        assert_eq!(plain(what), Streams, "{what}");
    }
}

#[test]
fn a_deletion_at_once_is_at_least_an_outage() {
    let options = Options { grace_period_seconds: Some(0), ..Options::default() };
    let at_once = |what: &str| classify_with(what, Some("shop"), "web", &options, None);
    assert_eq!(plain("delete policy/poddisruptionbudgets"), Ask);
    assert_eq!(at_once("delete policy/poddisruptionbudgets"), Destructive);
    assert_eq!(at_once("delete -/namespaces"), Mass);
}
