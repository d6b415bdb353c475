//! Numbers and patches whose effect is not what their spelling suggests. The bodies are the values that the decoder gives; what
//! the API server stores of each was seen at a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_core::Risk::{Ask, Destructive, Escalation, Masked, Write};
use lockgate_core::{Action, Options, PatchType, Risk, Stream, Verb};
use lockgate_policy::change::Change;
use lockgate_policy::risk::{Request, classify, depends_on_old_object, effect_key};
use serde_json::{Value, json};

/// A write of `web` in `shop`.
struct Sent {
    action: Action,
    options: Options,
    body: Value,
}

fn write(what: &str, patch_type: Option<PatchType>, body: Value) -> Sent {
    let (verb, target) = what.split_once(' ').unwrap();
    let mut parts = target.split('/');
    let action = Action {
        verb: serde_json::from_value::<Verb>(json!(verb)).unwrap(),
        api_group: parts.next().unwrap().into(),
        api_version: "v1".into(),
        resource: parts.next().unwrap().into(),
        subresource: parts.next().map(Into::into),
        namespace: Some("shop".into()),
        name: Some("web".into()),
        path: String::new(),
        risk: Destructive,
        stream: Stream::None,
    };
    Sent { action, options: Options { patch_type, ..Options::default() }, body }
}

impl Sent {
    fn risk(&self, old: Option<&Value>) -> Risk {
        classify(&Request::of(&self.action, &self.options, Some(&self.body)).with_old_object(old))
    }

    fn change(&self, old: Option<&Value>) -> Change {
        Change::of(&Request::of(&self.action, &self.options, Some(&self.body)).with_old_object(old))
    }

    fn removes(&self, old: Option<&Value>) -> bool {
        effect_key(&self.action, &self.options, &self.change(old)).is_some()
    }
}

fn deployment() -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 3, "template": {"spec": {"containers": [
        {"name": "web", "image": "a:1", "ports": [{"containerPort": 80}]}]}}}, "status": {"replicas": 3}})
}

const MERGE: Option<PatchType> = Some(PatchType::Merge);
const STRATEGIC: Option<PatchType> = Some(PatchType::Strategic);
const APPLY: Option<PatchType> = Some(PatchType::Apply);
const JSON: Option<PatchType> = Some(PatchType::Json);

#[test]
fn a_host_port_written_as_a_float_or_beyond_32_bits_escalates() {
    for port in [json!(81), json!(81.0), json!(8.1e1), json!(4_294_967_377_u64), json!("81"), json!(0.5), json!(1e300)]
    {
        let body = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "web", "ports": [{"containerPort": 80, "hostPort": port}]}]}}}});
        for patch_type in [MERGE, STRATEGIC, APPLY] {
            let write = write("patch apps/deployments", patch_type, body.clone());
            assert_eq!(write.risk(Some(&deployment())), Escalation, "{port} {patch_type:?}");
            assert_eq!(write.risk(None), Escalation, "{port} {patch_type:?} unread");
        }
    }
    let harmless = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "ports": [{"containerPort": 80, "hostPort": 0.0}]}]}}}});
    assert_eq!(write("patch apps/deployments", STRATEGIC, harmless).risk(Some(&deployment())), Write);
}

#[test]
fn replicas_that_are_stored_as_none_are_an_outage_however_they_are_written() {
    let spellings = [
        json!(0),
        json!(-0.0),
        json!(0.0),
        json!(4_294_967_296_u64),
        json!(-4_294_967_296_i64),
        json!(0.5),
        json!("0"),
    ];
    for replicas in spellings {
        for (what, patch_type) in [
            ("patch apps/deployments", MERGE),
            ("patch apps/deployments", STRATEGIC),
            ("patch apps/deployments", APPLY),
            ("patch apps/deployments/scale", MERGE),
            ("patch apps/deployments/scale", APPLY),
            ("update apps/deployments/scale", None),
        ] {
            let write = write(what, patch_type, json!({"spec": {"replicas": replicas}}));
            for old in [Some(deployment()), None] {
                assert_eq!(write.risk(old.as_ref()), Destructive, "{what} {patch_type:?} {replicas} {old:?}");
                assert_eq!(write.change(old.as_ref()).replicas.to, Some(0), "{what} {patch_type:?} {replicas}");
                assert!(write.removes(old.as_ref()), "{what} {patch_type:?} {replicas}");
            }
        }
    }
    let cut = write("patch apps/deployments", STRATEGIC, json!({"spec": {"replicas": 4_294_967_297_u64}}));
    assert_eq!((cut.risk(Some(&deployment())), cut.change(Some(&deployment())).replicas.to), (Destructive, Some(1)));
}

#[test]
fn an_autoscaler_s_maximum_written_as_a_float_is_a_cut() {
    let old = json!({"spec": {"minReplicas": 1, "maxReplicas": 10}});
    for maximum in [json!(1), json!(1.0), json!(4_294_967_297_u64), json!("1")] {
        let write =
            write("patch autoscaling/horizontalpodautoscalers", APPLY, json!({"spec": {"maxReplicas": maximum}}));
        assert_eq!(write.risk(Some(&old)), Destructive, "{maximum}");
    }
}

#[test]
fn a_copy_of_what_is_missing_scales_to_none() {
    for operations in [
        json!([{"op": "copy", "from": "/status/observedGeneration", "path": "/spec/replicas"}]),
        json!([{"op": "copy", "from": "/foo", "path": "/spec"}]),
        json!([{"op": "copy", "from": "/metadata", "path": "/spec"}]),
        json!([{"op": "add", "path": "/spec/replicas"}]),
        json!([{"op": "remove", "path": "/spec"}]),
        json!([{"op": "add", "path": "/spec/replicas", "value": 5}, {"op": "add", "path": "/spec", "value": {}}]),
    ] {
        let write = write("patch apps/deployments/scale", JSON, operations.clone());
        assert_eq!(write.change(Some(&deployment())).replicas.to, Some(0), "{operations}");
        assert!(write.risk(Some(&deployment())) >= Destructive, "{operations}");
        assert!(write.removes(Some(&deployment())), "{operations}");
        assert!(write.risk(None) >= Destructive, "{operations} unread");
        assert!(write.removes(None), "{operations} unread");
    }
    let up =
        write("patch apps/deployments/scale", JSON, json!([{"op": "replace", "path": "/spec/replicas", "value": 4}]));
    assert_eq!((up.risk(Some(&deployment())), up.removes(Some(&deployment()))), (Write, false));
    assert_eq!((up.risk(None), up.removes(None)), (Write, false));
}

#[test]
fn an_effect_that_cannot_be_worked_out_is_the_denied_one() {
    let old = deployment();
    let unclear = write(
        "patch apps/deployments",
        JSON,
        json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "9"}, {"op": "replace", "path": "/spec/replicas", "value": 4}]),
    );
    let change = unclear.change(Some(&old));
    assert!(change.undetermined && !change.compared);
    assert!(unclear.removes(Some(&old)));
    // Of an object that is not known: what the request leaves out may be what matters.
    for (what, patch_type, body) in [
        ("update apps/deployments", None, json!({"spec": {"replicas": 3}})),
        ("patch apps/deployments", APPLY, json!({"metadata": {"labels": {"a": "b"}}})),
        ("patch apps/deployments", MERGE, json!({"metadata": null})),
        ("patch apps/deployments", MERGE, json!({"spec": {"replicas": null}})),
        ("update apps/deployments/scale", None, json!({})),
    ] {
        let write = write(what, patch_type, body.clone());
        assert!(write.removes(None), "{what} {body}");
    }
    for (what, patch_type, body) in [
        ("patch apps/deployments", MERGE, json!({"metadata": {"labels": {"a": "b"}}})),
        ("patch apps/deployments", STRATEGIC, json!({"spec": {"replicas": 4}})),
        ("update apps/deployments/scale", None, json!({"spec": {"replicas": 4}})),
        ("create apps/deployments", None, json!({"spec": {"replicas": 4}})),
    ] {
        let write = write(what, patch_type, body.clone());
        assert!(!write.removes(None), "{what} {body}");
    }
    // A question without a body is about no request in particular.
    let asked = write("patch apps/deployments", MERGE, Value::Null);
    assert_eq!(effect_key(&asked.action, &asked.options, &Change::default()), None);
}

#[test]
fn a_replace_of_what_is_missing_adds_it() {
    let pause =
        write("patch apps/deployments", JSON, json!([{"op": "replace", "path": "/spec/paused", "value": true}]));
    let change = pause.change(Some(&deployment()));
    assert!(change.compared && change.paused, "{change:?}");
    assert_eq!(pause.risk(Some(&deployment())), Destructive);
}

#[test]
fn a_job_s_parallelism_counts_as_its_replicas() {
    let old = json!({"spec": {"parallelism": 4}});
    let job = |number: Value| write("patch batch/jobs", MERGE, json!({"spec": {"parallelism": number}}));
    for (number, expected) in
        [(json!(0), Destructive), (json!(1), Destructive), (json!(2), Write), (json!(-0.0), Destructive)]
    {
        assert!(depends_on_old_object(&Request::of(
            &job(json!(1)).action,
            &job(json!(1)).options,
            Some(&job(json!(1)).body)
        )));
        assert_eq!(job(number.clone()).risk(Some(&old)), expected, "{number}");
    }
    assert_eq!(job(json!(0)).risk(None), Destructive);
    assert!(job(json!(0)).removes(Some(&old)));
    // Of another kind it says nothing.
    let other = write("patch apps/deployments", MERGE, json!({"spec": {"parallelism": 0}}));
    assert_eq!(other.risk(Some(&deployment())), Write);
}

#[test]
fn a_disruption_budget_that_is_changed_asks_as_its_delete_does() {
    let old = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {}}});
    let budget = |body: Value| write("patch policy/poddisruptionbudgets", MERGE, body);
    for body in
        [json!({"spec": {"minAvailable": 0}}), json!({"spec": {"maxUnavailable": "100%", "minAvailable": null}})]
    {
        assert_eq!(budget(body.clone()).risk(Some(&old)), Ask, "{body}");
        assert_eq!(budget(body.clone()).risk(None), Ask, "{body}");
    }
    let apply = write("patch policy/poddisruptionbudgets", APPLY, json!({"spec": {"minAvailable": 2}}));
    assert_eq!(apply.risk(Some(&old)), Write, "it stays as it is");
    assert_eq!(budget(json!({"metadata": {"labels": {"a": "b"}}})).risk(None), Write);
}

#[test]
fn an_app_armor_annotation_that_lifts_the_profile_escalates() {
    const NAME: &str = "container.apparmor.security.beta.kubernetes.io/web";
    let annotated = |profile: &str| json!({"spec": {"template": {"metadata": {"annotations": {NAME: profile}}}}});
    for patch_type in [MERGE, STRATEGIC, APPLY] {
        let write = write("patch apps/deployments", patch_type, annotated("unconfined"));
        assert_eq!((write.risk(None), write.risk(Some(&deployment()))), (Escalation, Escalation), "{patch_type:?}");
    }
    let path = format!("/spec/template/metadata/annotations/{}", NAME.replace('/', "~1"));
    let operations = json!([{"op": "add", "path": path, "value": "unconfined"}]);
    assert_eq!(write("patch apps/deployments", JSON, operations).risk(None), Escalation);
    let pod = json!({"metadata": {"annotations": {NAME: "unconfined"}}, "spec": {"containers": [{"name": "web", "image": "a"}]}});
    assert_eq!(write("create /pods", None, pod).risk(None), Escalation);
    for profile in ["runtime/default", "localhost/own", ""] {
        assert_eq!(write("patch apps/deployments", MERGE, annotated(profile)).risk(None), Write, "{profile}");
    }
}

#[test]
fn a_dry_run_counts_only_where_the_api_server_itself_keeps_it() {
    for (what, expected) in [
        ("patch apps/deployments", Masked),
        ("patch apps/somethingnew", Masked),
        ("patch example.com/widgets", Destructive),
        ("patch metrics.k8s.io/pods", Destructive),
    ] {
        let mut write = write(what, MERGE, json!({"spec": {"replicas": 0}}));
        write.options.dry_run = true;
        assert_eq!(write.risk(None), expected, "{what}");
        assert_eq!(write.removes(None), expected != Masked, "{what}");
    }
}
