//! What the cluster must grant the impersonated agent for what was seen: a Role for each namespace, a ClusterRole for the rest,
//! their bindings; and, for EKS, what Lockgate's own identity needs to speak as this agent and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_core::Subject;
use serde_json::{Value, json};

use super::seen::{Seen, Sight};
use super::slug;

const RBAC: &str = "rbac.authorization.k8s.io";
/// Names are kept where there are at most so many.
const NAMES_FEW: usize = 5;
/// The Kubernetes group of Lockgate's access entry.
const GATEWAY_GROUP: &str = "lockgate-gateway";

/// A rule of a role that is being put together: group, names, resources, verbs.
type Draft = (String, Option<BTreeSet<String>>, BTreeSet<String>, BTreeSet<String>);

/// The objects for one cluster, in the order in which to apply them.
pub(super) fn objects(seen: &Seen, subject: &Subject, cluster: &str) -> Vec<Value> {
    let mut by_namespace: BTreeMap<Option<&str>, Vec<Draft>> = BTreeMap::new();
    let mut urls: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
    for (grant, sight) in seen.grants.iter().filter(|(grant, _)| grant.cluster == cluster) {
        if grant.resource.is_empty() {
            let paths = sight.names.iter().flat_map(|path| patterns(path)).collect();
            urls.entry(paths).or_default().insert(grant.verb.to_owned());
            continue;
        }
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        let draft = (grant.group.clone(), names(grant.verb, sight), one(&grant.resource), one(grant.verb));
        by_namespace.entry(grant.namespace.as_deref()).or_default().push(draft);
    }
    let mut objects = Vec::new();
    by_namespace.entry(None).or_default();
    for (namespace, drafts) in by_namespace {
        let mut rules: Vec<Value> = merge(drafts).iter().map(rule).collect();
        if namespace.is_none() {
            rules.extend(urls.iter().map(|(urls, verbs)| json!({"nonResourceURLs": urls, "verbs": verbs})));
        }
        if !rules.is_empty() {
            objects.extend(role(subject, namespace, &rules));
        }
    }
    objects
}

/// A name says nothing about what is being made or listed.
fn names(verb: &str, sight: &Sight) -> Option<BTreeSet<String>> {
    let nameless = matches!(verb, "create" | "deletecollection") || sight.names.is_empty() || sight.any_name;
    (!nameless && sight.names.len() <= NAMES_FEW).then(|| sight.names.clone())
}

fn patterns(path: &str) -> Vec<String> {
    for root in ["/apis", "/api", "/openapi", "/version"] {
        if path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return vec![root.to_owned(), format!("{root}/*")];
        }
    }
    vec![path.to_owned()]
}

/// Unites verbs, then resources, of rules that are the same in everything else.
fn merge(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut verbs: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (group, names, resources, its_verbs) in drafts {
        verbs.entry((group, names, resources)).or_default().extend(its_verbs);
    }
    let mut resources: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for ((group, names, its_resources), verbs) in verbs {
        resources.entry((group, names, verbs)).or_default().extend(its_resources);
    }
    resources.into_iter().map(|((group, names, verbs), resources)| (group, names, resources, verbs)).collect()
}

fn rule((group, names, resources, verbs): &Draft) -> Value {
    match names {
        Some(names) => json!({"apiGroups": [group], "resources": resources, "resourceNames": names, "verbs": verbs}),
        None => json!({"apiGroups": [group], "resources": resources, "verbs": verbs}),
    }
}

/// A role and its binding to the user that Lockgate impersonates.
fn role(subject: &Subject, namespace: Option<&str>, rules: &[Value]) -> [Value; 2] {
    let name = format!("lockgate-{}", slug(&subject.name()));
    let (kind, binding) =
        if namespace.is_some() { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
    let metadata = match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    [
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": metadata, "rules": rules}),
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": binding, "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": subject.name()}]}),
    ]
}

/// For the gateway on EKS: its access entry gives it a group and no policy; that group may impersonate this one agent.
pub(super) fn eks(seen: &Seen, subject: &Subject, place: &Eks<'_>) -> Vec<Value> {
    let name = format!("lockgate-impersonates-{}", slug(&subject.name()));
    let groups: Vec<String> = seen.groups.iter().map(|group| format!("lockgate:{group}")).collect();
    let mut rules = vec![json!({"apiGroups": [""], "resources": ["users"], "resourceNames": [subject.name()],
        "verbs": ["impersonate"]})];
    if !groups.is_empty() {
        rules.push(json!({"apiGroups": [""], "resources": ["groups"], "resourceNames": groups,
            "verbs": ["impersonate"]}));
    }
    if let Some(owner) = &subject.owner {
        rules.push(json!({"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/lockgate.dev/owner"],
            "resourceNames": [owner], "verbs": ["impersonate"]}));
    }
    vec![
        json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig",
            "metadata": {"name": place.cluster, "region": place.region},
            "accessConfig": {"authenticationMode": "API", "accessEntries": [{"principalARN": place.principal,
                "type": "STANDARD", "kubernetesGroups": [GATEWAY_GROUP]}]}}),
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}),
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": GATEWAY_GROUP}]}),
    ]
}

/// What an access entry names.
pub(super) struct Eks<'e> {
    pub(super) cluster: &'e str,
    pub(super) region: &'e str,
    pub(super) principal: &'e str,
}

impl Eks<'_> {
    /// The same with the AWS command line.
    pub(super) fn command(&self) -> String {
        format!(
            "aws eks create-access-entry --cluster-name {} --region {} --principal-arn {} --type STANDARD \
             --kubernetes-groups {GATEWAY_GROUP}",
            self.cluster, self.region, self.principal
        )
    }
}
