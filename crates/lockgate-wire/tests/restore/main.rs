//! Placeholders that come back: every kind of write, every profile, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod asks;
mod patches;
mod random;
mod releases;
mod whole;

use lockgate_core::Secret;
use lockgate_wire::mask::restore::{Live, Masking, Restored, Unrestorable, Values, Write, restore};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile};
use serde_json::{Value, json};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const PROFILES: [Profile; 3] = [Profile::Strict, Profile::Balanced, Profile::Secrets];

/// Objects of one resource under one profile.
#[derive(Debug, Clone, Copy)]
struct Kind {
    group: &'static str,
    resource: &'static str,
    profile: Profile,
}

const SECRETS: Kind = Kind { group: "", resource: "secrets", profile: Profile::Secrets };
const MAPS: Kind = Kind { group: "", resource: "configmaps", profile: Profile::Strict };
const DEPLOYMENTS: Kind = Kind { group: "apps", resource: "deployments", profile: Profile::Strict };
const WIDGETS: Kind = Kind { group: "example.com", resource: "widgets", profile: Profile::Strict };

impl Kind {
    fn masking(self) -> Masking {
        Masking::new(self.group, self.resource, self.profile, MaskLimits::default())
    }

    /// As the agent sees it.
    fn masked(self, object: &str) -> String {
        let plan = MaskPlan::for_resource(self.group, self.resource, false, self.profile);
        let mut masker = Masker::new(plan, MaskLimits::default());
        let mut output = Vec::new();
        masker.push(object.as_bytes(), &mut output).unwrap();
        masker.finish(&mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn live(self, object: &str) -> Live {
        Live::read(&Secret::new(object.as_bytes().to_vec()), &self.masking()).unwrap()
    }

    fn restore(self, body: &str, write: Write, object: &str) -> Result<Option<Restored>, Unrestorable> {
        restore(body.as_bytes(), write, Values::AsGiven, &self.live(object), &self.masking())
    }

    /// What is sent instead of the body.
    #[track_caller]
    fn sent(self, body: &str, write: Write, object: &str) -> String {
        String::from_utf8(self.restore(body, write, object).unwrap().expect("a placeholder").body).unwrap()
    }

    /// The fields for which there is no value.
    #[track_caller]
    fn refused(self, body: &str, write: Write, object: &str) -> Vec<String> {
        match self.restore(body, write, object).map(|_| ()) {
            Err(Unrestorable::Fields(fields)) => fields.into_iter().map(|field| field.path).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What a dry run sends.
    fn tried(self, body: &Value, write: Write, object: &Value) -> Value {
        let live = self.live(&object.to_string());
        let body = body.to_string();
        match restore(body.as_bytes(), write, Values::AsTheyStand, &live, &self.masking()).unwrap() {
            Some(restored) => serde_json::from_slice(&restored.unpinned).unwrap(),
            None => serde_json::from_str(&body).unwrap(),
        }
    }
}

/// A Secret with kubectl's copy of itself.
fn secret() -> Value {
    let copy = json!({"apiVersion": "v1", "data": {"password": "aHVudGVyMg==", "user": "YWRh"}, "kind": "Secret",
        "metadata": {"annotations": {}, "name": "db", "namespace": "shop"}});
    json!({"apiVersion": "v1", "data": {"password": "aHVudGVyMg==", "user": "YWRh"}, "kind": "Secret",
        "metadata": {"annotations": {LAST_APPLIED: format!("{copy}\n")}, "name": "db", "namespace": "shop",
            "resourceVersion": "7", "uid": "u-1"}, "type": "Opaque"})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7", "uid": "u-1"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "web", "image": "web:1", "command": ["/bin/web"], "args": ["--password=one", "--password=two", "plain"],
             "env": [{"name": "A", "value": "first"}, {"name": "B", "value": "second"}]},
            {"name": "side", "image": "side:1", "env": [{"name": "A", "value": "third"}]}]}}}})
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
