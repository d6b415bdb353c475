//! Risk classes that depend on the live object, and the facts of a change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::Risk::{Ask, Destructive, Escalation, Mass, Read, Write};
use lockgate_core::{Action, Options, PatchType, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::change::{Change, reviewed};
use lockgate_policy::risk::{Request, classify, classify_unreadable, depends_on_old_object};
use lockgate_policy::{Facts, Policy};
use serde_json::{Value, json};

/// One request on an object that is known; `what` as in `patch apps/deployments/scale`.
struct Case {
    what: &'static str,
    patch: Option<PatchType>,
    manager: Option<&'static str>,
    old: Value,
    body: Value,
}

impl Case {
    fn put(what: &'static str, old: &Value, body: Value) -> Self {
        Self { what, patch: None, manager: None, old: old.clone(), body }
    }

    fn patch(what: &'static str, patch: PatchType, old: &Value, body: Value) -> Self {
        Self { patch: Some(patch), ..Self::put(what, old, body) }
    }

    fn with<T>(&self, read: impl FnOnce(&Request<'_>) -> T) -> T {
        let (verb, target) = self.what.split_once(' ').unwrap();
        let mut parts = target.split('/');
        let options =
            Options { patch_type: self.patch, field_manager: self.manager.map(Into::into), ..Options::default() };
        read(&Request {
            verb: serde_json::from_value::<Verb>(json!(verb)).unwrap(),
            api_group: parts.next().filter(|group| *group != "-").unwrap_or_default(),
            resource: parts.next().unwrap(),
            subresource: parts.next(),
            namespace: Some("shop"),
            name: Some("web"),
            path: "",
            stream: Stream::None,
            options: &options,
            object: Some(&self.body),
            old_object: Some(&self.old),
        })
    }

    fn risk(&self) -> Risk {
        self.with(classify)
    }

    fn change(&self) -> Change {
        self.with(Change::of)
    }
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "uid": "u", "resourceVersion": "7", "labels": {"app": "web"}, "finalizers": ["example.com/hold"],
            "ownerReferences": [{"uid": "o", "kind": "App", "name": "shop"}]},
        "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "serviceAccountName": "web", "containers": [{"name": "web", "image": "web:1", "resources": {}}, {"name": "side", "image": "side:1"}],
            "volumes": [{"name": "s", "secret": {"secretName": "db"}}]}}},
        "status": {"replicas": 6}})
}

/// The object with one field replaced; a null removes it.
fn edited(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(key)),
        (Value::Object(fields), value) => drop(fields.insert(key.to_owned(), value)),
        (Value::Array(items), value) => items[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    object
}

const DEPLOYMENT: &str = "update apps/deployments";
const PATCH: &str = "patch apps/deployments";
const SPEC: &str = "/spec/template/spec";

#[test]
fn a_put_is_judged_by_what_differs() {
    let old = deployment();
    let table = [
        ("/spec/replicas", json!(6), Write),
        ("/spec/replicas", json!(7), Write),
        ("/spec/replicas", json!(3), Write),
        ("/spec/replicas", json!(2), Destructive),
        ("/spec/replicas", json!(0), Destructive),
        ("/spec/replicas", Value::Null, Destructive), // the API server makes it 1
        ("/spec/paused", json!(true), Destructive),
        ("/metadata/finalizers", Value::Null, Destructive),
        ("/metadata/finalizers", json!(["example.com/hold", "other/x"]), Write),
        ("/metadata/ownerReferences", json!([{"uid": "o", "kind": "App", "name": "shop"}, {"uid": "p"}]), Destructive),
        ("/metadata/ownerReferences", Value::Null, Write),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), Destructive),
        ("/metadata/labels", json!({}), Write),
        ("/spec/template/spec/containers/0/image", json!("web:2"), Write),
        ("/spec/template/spec/serviceAccountName", json!("admin"), Escalation),
        ("/spec/template/spec/hostNetwork", json!(true), Escalation),
        ("/spec/template/spec/volumes/0", json!({"name": "s", "secret": {"secretName": "other"}}), Ask),
        ("/spec/template/spec/volumes/0", json!({"name": "s", "emptyDir": {}}), Write),
    ];
    for (pointer, value, expected) in table {
        let case = Case::put(DEPLOYMENT, &old, edited(&old, pointer, value.clone()));
        assert_eq!(case.risk(), expected, "{pointer} = {value}");
    }
}

#[test]
fn every_kind_of_patch_is_judged_by_what_it_makes_of_the_object() {
    let old = deployment();
    let replicas = |number: i64| json!({"spec": {"replicas": number}});
    let operation = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    for (number, expected) in [(6, Write), (3, Write), (2, Destructive), (0, Destructive)] {
        for kind in [PatchType::Merge, PatchType::Strategic, PatchType::Apply] {
            assert_eq!(Case::patch(PATCH, kind, &old, replicas(number)).risk(), expected, "{kind:?} {number}");
            let scale = Case::patch("patch apps/deployments/scale", kind, &old, replicas(number));
            assert_eq!(scale.risk(), expected, "scale {kind:?} {number}");
        }
        let json = Case::patch(PATCH, PatchType::Json, &old, operation("/spec/replicas", json!(number)));
        assert_eq!(json.risk(), expected, "{number}");
        assert_eq!(json.change().replicas.to, (number != 6).then_some(number));
        assert_eq!(Case::put("update apps/deployments/scale", &old, replicas(number)).risk(), expected, "{number}");
    }
    // A Scale that names no replicas has none.
    for body in [json!({"spec": {}}), json!({"spec": null}), json!({})] {
        assert_eq!(Case::put("update apps/deployments/scale", &old, body.clone()).risk(), Destructive, "{body}");
    }
    let merge = |body: Value| Case::patch(PATCH, PatchType::Merge, &old, body).risk();
    assert_eq!(merge(json!({"metadata": null})), Destructive);
    assert_eq!(merge(json!({"metadata": {"finalizers": ["other/x"]}})), Destructive);
    let strategic = |body: Value| Case::patch(PATCH, PatchType::Strategic, &old, body).risk();
    assert_eq!(
        strategic(json!({"metadata": {"finalizers": ["other/x"]}})),
        Write,
        "a strategic patch adds to the list"
    );
    assert_eq!(
        strategic(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/hold"]}})),
        Destructive
    );
    assert_eq!(strategic(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["not/there"]}})), Write);
    let copy = json!([{"op": "copy", "from": "/spec/replicas", "path": "/metadata/annotations"}]);
    assert_eq!(Case::patch(PATCH, PatchType::Json, &old, copy).risk(), Write, "its value is known now");
    let takeover = edited(&old, "/spec/template/spec/containers/0/startupProbe", json!({"httpGet": {"path": "/etc"}}));
    let copy = json!([{"op": "copy", "from": format!("{SPEC}/containers/0/startupProbe/httpGet"), "path": format!("{SPEC}/volumes/0/hostPath")}]);
    assert_eq!(Case::patch(PATCH, PatchType::Json, &takeover, copy.clone()).risk(), Escalation);
    let moved = json!([{"op": "move", "from": "/metadata/finalizers/0", "path": "/metadata/labels/x"}]);
    assert_eq!(Case::patch(PATCH, PatchType::Json, &old, moved).risk(), Destructive);
    // What the API server would refuse now and could take in a moment is a human's matter.
    let refused = json!([{"op": "test", "path": "/spec/replicas", "value": 9}, {"op": "replace", "path": "/spec/replicas", "value": 5}]);
    assert_eq!(Case::patch(PATCH, PatchType::Json, &old, refused).risk(), Destructive);
}

#[test]
fn what_runs_with_privileges_escalates_and_what_stays_as_it_is_does_not() {
    let privileged = edited(&deployment(), "/spec/template/spec/hostPID", json!(true));
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    let case = Case::patch(PATCH, PatchType::Strategic, &privileged, image.clone());
    assert_eq!(case.risk(), Escalation);
    assert_eq!(case.change().privileged, ["hostPID"]);
    assert_eq!(Case::patch(PATCH, PatchType::Strategic, &deployment(), image).risk(), Write);
    let replicas = Case::patch(PATCH, PatchType::Merge, &privileged, json!({"spec": {"replicas": 7}}));
    assert_eq!(replicas.risk(), Write, "the template stays");
    let restated = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {"serviceAccountName": "web", "hostPID": true}}}});
    assert_eq!(Case::patch(PATCH, PatchType::Apply, &privileged, restated).risk(), Write);
}

#[test]
fn every_setting_that_the_baseline_standard_forbids_escalates() {
    let container = |context: Value| json!({"containers": [{"name": "c", "image": "i", "securityContext": context}]});
    let specs = [
        json!({"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}]}]}),
        json!({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}),
        json!({"volumes": [{"name": "v", "flexVolume": {"driver": "d"}}]}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
        container(json!({"procMount": "Unmasked"})),
        container(json!({"seccompProfile": {"type": "Unconfined"}})),
        container(json!({"appArmorProfile": {"type": "Unconfined"}})),
        container(json!({"seLinuxOptions": {"type": "spc_t"}})),
        container(json!({"windowsOptions": {"hostProcess": true}})),
        container(json!({"capabilities": {"add": ["NET_RAW"]}})),
        json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
        json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        json!({"containers": [{"name": "c", "image": "i", "livenessProbe": {"httpGet": {"host": "169.254.169.254"}}}]}),
        json!({"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]}),
    ];
    let old = deployment();
    for spec in specs {
        let body = json!({"spec": {"template": {"spec": spec}}});
        assert_eq!(Case::patch(PATCH, PatchType::Merge, &old, body.clone()).risk(), Escalation, "{spec}");
        let create = Case { old: Value::Null, ..Case::put("create apps/daemonsets", &old, body.clone()) };
        assert_eq!(create.risk(), Escalation, "{spec}");
        // A custom resource that holds a pod template: a controller makes pods of it.
        let foreign = Case::put("create example.com/rollouts", &old, body);
        assert_eq!(foreign.risk(), Escalation, "{spec}");
        let job = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}});
        assert_eq!(Case::put("create batch/cronjobs", &old, job).risk(), Escalation, "{spec}");
        let pod = Case::put("create -/pods", &old, json!({"spec": spec}));
        assert_eq!(pod.risk(), Escalation, "{spec}");
    }
    let unconfined = json!({"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(
        Case::put("create apps/deployments", &old, json!({"spec": {"template": unconfined}})).risk(),
        Escalation
    );
    let harmless = json!({"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}], "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "seLinuxOptions": {"level": "s0"}}}],
        "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}});
    let create = Case::put("create apps/deployments", &old, json!({"spec": {"template": {"spec": harmless}}}));
    assert_eq!(create.risk(), Write);
}

#[test]
fn rows_of_certain_resources() {
    let service = json!({"spec": {"selector": {"app": "web"}, "type": "ClusterIP"}});
    let patch = |what: &'static str, old: &Value, body: Value| Case::patch(what, PatchType::Merge, old, body).risk();
    let of_service = |body: Value| patch("patch -/services", &service, body);
    assert_eq!(of_service(json!({"spec": {"selector": {"app": "web"}}})), Write, "the same");
    assert_eq!(of_service(json!({"spec": {"selector": {"app": "evil"}}})), Destructive);
    assert_eq!(of_service(json!({"spec": {"selector": null}})), Destructive);
    assert_eq!(of_service(json!({"spec": {"externalIPs": ["1.2.3.4"]}})), Ask);
    assert_eq!(of_service(json!({"spec": {"type": "ExternalName", "externalName": "evil"}})), Ask);
    let namespace = json!({"metadata": {"labels": {"team": "a", "pod-security.kubernetes.io/enforce": "restricted"}}});
    let of_namespace = |what: &'static str, body: Value| patch(what, &namespace, body);
    assert_eq!(of_namespace("patch -/namespaces", json!({"metadata": {"labels": {"team": "b"}}})), Write);
    assert_eq!(of_namespace("patch -/namespaces", json!({"metadata": {"labels": null}})), Ask);
    let dropped = Case::put("update -/namespaces", &namespace, json!({"metadata": {"labels": {"team": "a"}}}));
    assert_eq!(dropped.risk(), Ask);
    assert_eq!(Case::put("update -/namespaces", &namespace, namespace.clone()).risk(), Write);
    let role = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "a"}}});
    assert_eq!(patch("patch -/serviceaccounts", &role, json!({"metadata": {"annotations": {"x": "y"}}})), Ask);
    let other = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "b"}}});
    assert_eq!(patch("patch -/serviceaccounts", &role, other), Escalation);
    let definition = json!({"spec": {"versions": [{"name": "v1", "served": true}, {"name": "v2", "served": true, "storage": true}]}});
    let put = |versions: Value| {
        let body = json!({"spec": {"versions": versions}});
        Case::put("update apiextensions.k8s.io/customresourcedefinitions", &definition, body).risk()
    };
    assert_eq!(put(definition["spec"]["versions"].clone()), Ask);
    assert_eq!(put(json!([{"name": "v2", "served": true, "storage": true}])), Mass);
    assert_eq!(put(json!([{"name": "v1", "served": false}, {"name": "v2", "served": true, "storage": true}])), Mass);
    let autoscaler = json!({"spec": {"maxReplicas": 10}});
    let of_autoscaler = |most: i64| {
        let body = json!({"spec": {"maxReplicas": most}});
        patch("patch autoscaling/horizontalpodautoscalers", &autoscaler, body)
    };
    assert_eq!((of_autoscaler(5), of_autoscaler(4), of_autoscaler(12)), (Write, Destructive, Write));
    let cron = json!({"spec": {"suspend": false}});
    assert_eq!(patch("patch batch/cronjobs", &cron, json!({"spec": {"suspend": true}})), Destructive);
    assert_eq!(
        patch("patch batch/cronjobs", &json!({"spec": {"suspend": true}}), json!({"spec": {"suspend": true}})),
        Write
    );
}

#[test]
fn the_live_object_is_read_only_where_it_counts() {
    let old = deployment();
    let depends = |case: Case| case.with(depends_on_old_object);
    let patch = |what: &'static str, body: Value| depends(Case::patch(what, PatchType::Strategic, &old, body));
    let annotation =
        json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "t"}}}}});
    assert!(!patch(PATCH, annotation), "rollout restart");
    assert!(!patch(PATCH, json!({"metadata": {"labels": {"a": "b"}}})), "label");
    assert!(!patch("patch -/configmaps", json!({"data": {"a": "b"}})));
    assert!(!patch("patch networking.k8s.io/ingresses", json!({"spec": {"rules": []}})));
    assert!(!patch("patch rbac.authorization.k8s.io/roles", json!({"rules": []})), "an escalation in any case");
    assert!(!patch("patch apps/deployments/status", json!({"status": {}})));
    assert!(!depends(Case::put("create apps/deployments", &old, old.clone())));
    for body in [
        json!({"spec": {"replicas": 3}}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}),
        json!({"metadata": {"finalizers": []}}),
        json!({"metadata": null}),
        json!({"spec": null}),
    ] {
        assert!(patch(PATCH, body.clone()), "{body}");
    }
    assert!(patch("patch -/services", json!({"spec": {"selector": {"a": "b"}}})));
    assert!(!patch("patch -/services", json!({"spec": {"sessionAffinity": "None"}})));
    assert!(patch("patch apps/deployments/scale", json!({"spec": {"replicas": 3}})));
    assert!(depends(Case::put("update -/configmaps", &old, json!({}))));
    assert!(depends(Case::patch("patch -/configmaps", PatchType::Apply, &old, json!({}))));
    let unreadable =
        Case::patch("patch apps/deployments/scale", PatchType::Merge, &old, json!({"spec": {"replicas": 3}}));
    assert_eq!(unreadable.with(classify_unreadable), Destructive);
    assert_eq!(unreadable.with(|request| classify(&request.with_old_object(None))), Write);
}

#[test]
fn the_facts_of_a_change_are_the_same_by_every_way_to_make_it() {
    let old = deployment();
    let image = |container: &str| json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": container, "image": "web:2"}]}}}});
    let mut whole = old.clone();
    whole["spec"]["replicas"] = json!(1);
    whole["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:2");
    let mut merged = json!({"spec": {"replicas": 1, "template": {"spec": {"containers": whole["spec"]["template"]["spec"]["containers"]}}}});
    merged["metadata"] = json!({"labels": {"app": "web"}});
    let operations = json!([{"op": "replace", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}]);
    let cases = [
        Case::put(DEPLOYMENT, &old, whole),
        Case::patch(PATCH, PatchType::Merge, &old, merged),
        Case::patch(PATCH, PatchType::Strategic, &old, image("web")),
        Case::patch(PATCH, PatchType::Apply, &old, image("web")),
        Case::patch(PATCH, PatchType::Json, &old, operations),
    ];
    let mut first = None;
    for case in &cases {
        let change = case.change();
        let said = serde_json::to_value(&change).unwrap();
        assert_eq!(said["replicas"], json!({"from": 6, "to": 1}), "{:?}", case.patch);
        assert_eq!(said["images"], json!([{"container": "web", "from": "web:1", "to": "web:2"}]), "{:?}", case.patch);
        let mut fields = change.fields.clone();
        fields.sort();
        assert_eq!(fields, ["spec.replicas", "spec.template.spec.containers.image"], "{:?}", case.patch);
        assert_eq!(change.in_words(), ["replicas 6 → 1", "image web:1 → web:2"]);
        let expected = first.get_or_insert(said.clone());
        assert_eq!(said, *expected, "{:?}", case.patch);
        assert_eq!(
            case.with(reviewed),
            Some(json!([["spec.replicas", 6], ["spec.template.spec.containers.image", "web:1"]])),
            "{:?}",
            case.patch
        );
    }
}

#[test]
fn the_facts_without_a_live_object_are_those_of_the_body() {
    let old = Value::Null;
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "web"}]});
    let change = Case::put("create rbac.authorization.k8s.io/rolebindings", &old, binding).change();
    assert_eq!(change.rbac.role_ref, "ClusterRole/cluster-admin");
    assert_eq!(change.rbac.subjects, ["ServiceAccount/shop/web"]);
    let role = json!({"rules": [{"verbs": ["get", "*"], "apiGroups": [""], "resources": ["secrets"]}]});
    let change = Case::put("create rbac.authorization.k8s.io/roles", &old, role).change();
    assert_eq!((change.rbac.verbs, change.rbac.resources), (vec!["*".into(), "get".into()], vec!["secrets".into()]));
    let pod = json!({"spec": {"serviceAccountName": "web", "containers": [{"name": "a", "image": "i", "envFrom": [{"secretRef": {"name": "db"}}]}]}});
    let change = Case::put("create -/pods", &old, pod).change();
    assert!(!change.compared);
    assert_eq!((change.service_account.to.as_deref(), change.secrets), (Some("web"), vec!["db".into()]));
    assert_eq!(change.images[0].to, "i");
    let operations = json!([{"op": "add", "path": "/spec/template/spec/containers/0/image", "value": "i"}, {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}]);
    let case = Case::patch(PATCH, PatchType::Json, &old, operations);
    let change = case.with(|request| Change::of(&request.with_old_object(None)));
    let mut fields = change.fields;
    fields.sort();
    assert_eq!(fields, ["metadata.labels.a/b", "spec.template.spec.containers.image"]);
    assert_eq!(Case::put("delete -/pods", &old, json!({})).change(), Change::default());
    assert_eq!(Case::put("get -/pods", &old, json!({})).risk(), Risk::Masked);
    assert_eq!(Case::put("create authorization.k8s.io/selfsubjectaccessreviews", &old, json!({})).risk(), Read);
}

/// Of an object that nobody read a patch touches whatever it replaces, not only what it puts there.
#[test]
fn fuzz_patch_what_is_replaced_as_a_whole_is_touched_as_a_whole() {
    let touched = |patch_type: PatchType, body: Value| {
        let mut fields = Case::patch(PATCH, patch_type, &Value::Null, body).with(|request| {
            let change = Change::of(&request.with_old_object(None));
            assert!(!change.compared);
            change.fields
        });
        fields.sort();
        fields
    };
    let containers = "spec.template.spec.containers";
    let (image, name) = (format!("{containers}.image"), format!("{containers}.name"));
    let pod = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let json = |operations: Value| touched(PatchType::Json, operations);
    assert_eq!(
        json(json!([{"op": "replace", "path": "/spec", "value": {"replicas": 4}}])),
        ["spec", "spec.replicas"],
        "and all else in it goes away"
    );
    let again = json!([{"op": "remove", "path": "/spec/a"}, {"op": "add", "path": "/spec/a", "value": {"x": 1}}]);
    assert_eq!(json(again), ["spec.a", "spec.a.x"]);
    assert_eq!(
        json(json!([{"op": "move", "from": "/spec/a", "path": "/metadata/labels/a"}])),
        ["metadata.labels.a", "spec.a"]
    );
    assert_eq!(json(json!([{"op": "replace", "path": "", "value": {"data": {"k": "v"}}}])), ["*", "data.k"]);
    let from_the_end = json!([{"op": "replace", "path": "/spec/template/spec/containers/-1/image", "value": "i"}]);
    assert_eq!(json(from_the_end), [image.as_str()]);
    assert_eq!(json(json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}])), [""; 0]);

    let merged = touched(PatchType::Merge, pod(json!([{"name": "web", "image": "i"}])));
    assert_eq!(merged, [containers, &image, &name], "a merge patch replaces the list");
    assert_eq!(touched(PatchType::Strategic, pod(json!([{"name": "web", "image": "i"}]))), [image.as_str(), &name]);
    let removed = touched(PatchType::Strategic, pod(json!([{"name": "web", "$patch": "delete"}])));
    assert_eq!(removed, [containers, &name]);
    assert_eq!(touched(PatchType::Strategic, json!({"spec": {"$patch": "delete"}})), ["spec"]);
    assert_eq!(touched(PatchType::Strategic, json!({"spec": {"$retainKeys": ["a"], "a": 1}})), ["spec", "spec.a"]);
    assert_eq!(touched(PatchType::Strategic, json!({"spec": {"$setElementOrder/a": ["b"]}})), ["spec"], "it is made");
    assert_eq!(touched(PatchType::Merge, json!({})), [""; 0]);

    let put = |what: &'static str| {
        let case = Case::put(what, &Value::Null, json!({"spec": {"replicas": 4}}));
        case.with(|request| Change::of(&request.with_old_object(None)).fields)
    };
    assert_eq!(put("update apps/deployments"), ["spec.replicas", "*"], "and all that it leaves out goes away");
    assert_eq!(put("update apps/deployments/scale"), ["spec.replicas"]);
    assert_eq!(put("create apps/deployments"), ["spec.replicas"]);
    assert_eq!(touched(PatchType::Apply, json!({"spec": {"replicas": 4}})), ["*", "spec.replicas"]);
}

/// `$ref` in a schema is a field. Directives are those of a strategic merge patch, by their whole names.
#[test]
fn fuzz_patch_a_name_that_begins_with_a_dollar_may_be_a_field() {
    let old = json!({"spec": {"schema": {"$ref": "a"}}});
    let fields = |patch_type, body| Case::patch(PATCH, patch_type, &old, body).change().fields;
    assert_eq!(fields(PatchType::Merge, json!({"spec": {"schema": {"$ref": "b"}}})), ["spec.schema.$ref"]);
    assert_eq!(fields(PatchType::Merge, json!({"spec": {"$patch": "delete"}})), ["spec.$patch"]);
    assert_eq!(fields(PatchType::Strategic, json!({"spec": {"$nullpatch": "delete"}})), ["spec.$nullpatch"]);
}

#[test]
fn fuzz_patch_items_are_told_apart_when_they_share_a_name_and_keep_their_order() {
    let old = json!({"spec": {"steps": [{"name": "a", "v": 1}, {"name": "b", "v": 2}]}});
    let fields =
        |steps: Value| Case::patch(PATCH, PatchType::Merge, &old, json!({"spec": {"steps": steps}})).change().fields;
    let twice = fields(json!([{"name": "a", "v": 9}, {"name": "a", "v": 1}, {"name": "b", "v": 2}]));
    assert!(twice.contains(&"spec.steps.v".to_owned()), "{twice:?}");
    assert_eq!(fields(json!([{"name": "b", "v": 2}, {"name": "a", "v": 1}])), ["spec.steps"]);
    assert_eq!(fields(json!([{"name": "b", "v": 2}, {"name": "c"}])), ["spec.steps.name", "spec.steps.v"]);
}

#[test]
fn fuzz_patch_a_key_with_dots_is_not_the_field_that_it_looks_like() {
    let old = json!({"metadata": {"name": "web"}, "spec": {}});
    let case =
        Case::patch(PATCH, PatchType::Merge, &old, json!({"metadata.name": {"x": 1}, "metadata": {"name": "web"}}));
    assert_eq!(case.change().fields, ["metadata.name.x"]);
}

#[test]
fn more_fields_than_the_limit_end_in_a_star() {
    let data: serde_json::Map<String, Value> = (0..600).map(|index| (format!("k{index}"), json!("v"))).collect();
    let change = Case::put("create -/configmaps", &Value::Null, json!({"data": data})).change();
    assert_eq!((change.fields.len(), change.fields.last().unwrap().as_str()), (501, "*"));
}

/// The guide's example of conditions.
#[test]
fn the_example_of_the_guide_does_what_it_says() {
    let guide = include_str!("../../../docs/policy.md");
    let example = guide.split("```yaml\n").find(|block| block.contains("kind: Policy\nmetadata: {name: conditions}"));
    let policy = Policy::parse(example.unwrap().split("```").next().unwrap()).unwrap();
    let subject = Subject {
        issuer: "https://idp".into(),
        id: "deployer".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: Vec::new(),
        token_id: None,
    };
    let decides = |case: &Case| {
        case.with(|request| {
            let action = Action {
                verb: request.verb,
                api_group: request.api_group.into(),
                api_version: "v1".into(),
                resource: request.resource.into(),
                subresource: request.subresource.map(Into::into),
                namespace: request.namespace.map(Into::into),
                name: request.name.map(Into::into),
                path: String::new(),
                risk: classify(request),
                stream: Stream::None,
            };
            let facts = Facts { object: request.object, old_object: request.old_object, ..Facts::new(request.options) };
            assert!(policy.needs_old_object(&subject, "shop", &action, &facts));
            policy.decide(&subject, "shop", &action, &facts).rule
        })
    };
    let old = deployment();
    let replicas = |number: i64| Case::patch(PATCH, PatchType::Merge, &old, json!({"spec": {"replicas": number}}));
    assert_eq!(decides(&replicas(4)).as_deref(), Some("autoscale-within-reason"));
    assert_eq!(decides(&replicas(1)), None);
    let image = |image: &str, more: Value| {
        let container = json!({"name": "web", "image": image, "env": more});
        let body = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        Case::patch(PATCH, PatchType::Strategic, &old, body)
    };
    let ours = "registry.example.com/shop/web:2";
    assert_eq!(decides(&image(ours, Value::Null)).as_deref(), Some("images-of-our-registry"));
    assert_eq!(decides(&image("evil:2", Value::Null)), None);
    assert_eq!(decides(&image(ours, json!([{"name": "A", "value": "b"}]))), None);
}

/// Every field that conditions see is in the guide's table.
#[test]
fn the_guide_names_every_field() {
    let guide = include_str!("../../../docs/policy-reference.md");
    let Value::Object(fields) = serde_json::to_value(Change::default()).unwrap() else { panic!("an object") };
    for field in fields.keys() {
        assert!(guide.contains(&format!("`change.{field}`")), "{field}");
    }
}
