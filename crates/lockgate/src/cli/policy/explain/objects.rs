//! Objects that are not there: as much of each kind as clients look at before they send their next request.

use serde_json::{Value, json};

use super::discovery::Resource;
use crate::cli::policy::set;

const WHEN: &str = "2026-01-01T00:00:00Z";
/// The replicas of a workload that does not exist.
const REPLICAS: u32 = 3;

/// A plausible object.
pub(super) fn object(resource: &Resource, namespace: Option<&str>, name: &str, labels: &[(String, String)]) -> Value {
    let mut metadata = json!({
        "name": name, "uid": uid(name), "resourceVersion": "1", "generation": 1, "creationTimestamp": WHEN,
        "labels": {"app": name}, "annotations": {},
    });
    if let (Some(namespace), true) = (namespace, resource.namespaced) {
        set(&mut metadata, &["namespace"], namespace);
    }
    for (key, value) in labels {
        set(&mut metadata, &["labels", key], value.as_str());
    }
    let mut object = json!({"apiVersion": resource.group_version, "kind": resource.kind, "metadata": metadata});
    if let Some(fields) = fields(resource.kind, name).as_object_mut() {
        for (field, value) in std::mem::take(fields) {
            set(&mut object, &[&field], value);
        }
    }
    if resource.kind == "Pod" {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "example", "uid": uid("example"),
            "controller": true, "blockOwnerDeletion": true});
        set(&mut object, &["metadata", "ownerReferences"], json!([owner]));
    }
    object
}

/// The answer to `…/scale`.
pub(super) fn scale(namespace: Option<&str>, name: &str) -> Value {
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": name, "namespace": namespace, "uid": uid(name), "resourceVersion": "1"},
        "spec": {"replicas": REPLICAS}, "status": {"replicas": REPLICAS, "selector": format!("app={name}")}})
}

/// The same for the same name, so that "is it still the same object" is answered with yes.
pub(super) fn uid(name: &str) -> String {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("00000000-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
}

fn fields(kind: &str, name: &str) -> Value {
    let conditions = |of: &[&str]| -> Vec<Value> {
        let condition = |word: &&str| json!({"type": word, "status": "True", "lastTransitionTime": WHEN});
        of.iter().map(condition).collect()
    };
    match kind {
        "Deployment" => json!({
            "spec": workload(name),
            "status": {"observedGeneration": 1, "replicas": REPLICAS, "updatedReplicas": REPLICAS,
                "readyReplicas": REPLICAS, "availableReplicas": REPLICAS,
                "conditions": conditions(&["Available", "Progressing"])},
        }),
        "StatefulSet" | "ReplicaSet" | "ReplicationController" => json!({
            "spec": workload(name),
            "status": {"observedGeneration": 1, "replicas": REPLICAS, "readyReplicas": REPLICAS,
                "currentReplicas": REPLICAS, "updatedReplicas": REPLICAS, "availableReplicas": REPLICAS},
        }),
        "DaemonSet" => json!({
            "spec": {"selector": selector(name), "template": template(name), "updateStrategy": {"type": "RollingUpdate"}},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
                "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1, "numberMisscheduled": 0},
        }),
        "Job" => json!({
            "spec": {"template": template(name)},
            "status": {"succeeded": 1, "conditions": conditions(&["Complete"])},
        }),
        "CronJob" => json!({
            "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": template(name)}}}, "status": {},
        }),
        "Pod" => json!({
            "spec": {"nodeName": "node-1", "serviceAccountName": "default", "containers": containers()},
            "status": {"phase": "Running", "conditions": conditions(&["Ready", "ContainersReady", "PodScheduled"]),
                "containerStatuses": [{"name": "main", "ready": true, "restartCount": 0, "image": "example",
                    "imageID": "", "state": {"running": {"startedAt": WHEN}}}]},
        }),
        "Service" => json!({
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": name},
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}, "status": {"loadBalancer": {}},
        }),
        "Namespace" => json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
        "Node" => json!({"spec": {}, "status": {"conditions": conditions(&["Ready"])}}),
        "Secret" => json!({"type": "Opaque", "data": {}}),
        "ConfigMap" => json!({"data": {}}),
        "CertificateSigningRequest" => json!({
            "spec": {"request": "", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
            "status": {},
        }),
        "PersistentVolumeClaim" => json!({
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                "volumeName": "example"}, "status": {"phase": "Bound"},
        }),
        "Role" | "ClusterRole" => json!({"rules": []}),
        "RoleBinding" | "ClusterRoleBinding" => json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": [],
        }),
        _ => json!({}),
    }
}

fn workload(name: &str) -> Value {
    json!({"replicas": REPLICAS, "selector": selector(name), "template": template(name), "serviceName": name})
}

fn selector(name: &str) -> Value {
    json!({"matchLabels": {"app": name}})
}

fn template(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": containers()}})
}

fn containers() -> Value {
    json!([{"name": "main", "image": "example", "ports": [{"containerPort": 80, "protocol": "TCP"}]}])
}
