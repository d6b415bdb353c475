//! What an agent did, boiled down while its history is read: memory grows with the kinds of request, not with their number.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_core::{Action, AuditRecord, Effect, MaskProfile, PatchType, Stream, Subject, Terms, Verb};

/// Kinds of request that are told apart.
const KINDS_MAX: usize = 20_000;
/// Names of one kind that are remembered; with more of them the kind stands for any name.
const NAMES_MAX: usize = 1_000;
/// Commands of one kind that are remembered.
const COMMANDS_MAX: usize = 100;
/// Requests that are listed as left out.
const LEFT_OUT_MAX: usize = 50;

/// A kind of request: everything but the object's name and the command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) cluster: String,
    /// `None`: in no namespace, or in all.
    pub(super) namespace: Option<String>,
    pub(super) group: String,
    /// `pods` or `pods/exec`; empty for paths that are no resource.
    pub(super) resource: String,
    pub(super) verb: &'static str,
    pub(super) risk: String,
    /// The answer was not masked: then what was asked for is kept exactly.
    pub(super) mask_off: bool,
    /// The labels that an unmasked list asked for.
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// Whether one object is named.
    pub(super) named: bool,
}

/// What was seen of a kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    pub(super) names: BTreeSet<String>,
    /// More names than are remembered.
    pub(super) any_name: bool,
    pub(super) commands: BTreeSet<Vec<String>>,
    pub(super) any_command: bool,
    /// The rules that asked.
    pub(super) rules: BTreeSet<String>,
}

/// What the cluster must grant for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    pub(super) cluster: String,
    pub(super) namespace: Option<String>,
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) verb: &'static str,
}

/// The history of one agent.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) subject: Option<Subject>,
    pub(super) groups: BTreeSet<String>,
    pub(super) did: BTreeMap<(Kind, &'static str), Sight>,
    /// Kinds of which some request was denied.
    pub(super) denied: BTreeSet<Kind>,
    pub(super) grants: BTreeMap<Grant, Sight>,
    /// Requests that did not go through, in words, with how often.
    pub(super) left_out: BTreeMap<String, u64>,
    /// The terms of the rules that asked.
    pub(super) terms: BTreeMap<String, Terms>,
    pub(super) requests: u64,
    pub(super) overflowed: bool,
}

impl Seen {
    pub(super) fn add(&mut self, record: &AuditRecord) {
        self.requests += 1;
        if let Some(subject) = &record.subject {
            self.groups.extend(subject.groups.iter().cloned());
            self.subject.get_or_insert_with(|| subject.clone());
        }
        let (Some(action), Some(decision)) = (&record.action, &record.decision) else {
            return self.leave_out(record, "refused before any rule was asked");
        };
        let kind = kind(record, action);
        if !happened(record) {
            if decision.by_policy() == Effect::Deny {
                self.denied.insert(kind);
            }
            let rule = decision.rule.as_ref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
            let why = match (decision.effect, &record.upstream) {
                (_, Some(_)) => "allowed, and refused by the cluster itself".to_owned(),
                (Effect::Deny, None) if decision.policy_effect.is_some() => {
                    "stopped by a limit, a freeze or a human's earlier no".to_owned()
                }
                (Effect::Deny, None) => format!("denied{rule}"),
                (Effect::Ask, None) => format!("asked about{rule}, and not approved or not sent again"),
                (Effect::Allow, None) => "allowed, and did not reach the cluster".to_owned(),
            };
            return self.leave_out(record, &why);
        }
        if !lockgate_policy::nameable(action) {
            return self.leave_out(record, "of something that no cluster can have");
        }
        for grant in grants(record, action) {
            let sight = bounded(&mut self.grants, grant, &mut self.overflowed);
            sight.extend_names(grant_name(action));
        }
        let sight = bounded(&mut self.did, (kind, decision.effect.as_str()), &mut self.overflowed);
        let name = if action.is_resource() { action.name.as_deref() } else { Some(action.path.as_str()) };
        sight.extend_names(name);
        if let Some(exec) = record.options.exec.as_ref().filter(|exec| !exec.argv.is_empty()) {
            sight.any_command |= sight.commands.len() >= COMMANDS_MAX && !sight.commands.contains(&exec.argv);
            if !sight.any_command {
                sight.commands.insert(exec.argv.clone());
            }
        }
        if decision.effect == Effect::Ask {
            sight.rules.extend(decision.rule.clone());
        }
    }

    fn leave_out(&mut self, record: &AuditRecord, why: &str) {
        let what = match &record.action {
            Some(action) => in_words(action),
            None => format!("{} {}", record.method, record.request_uri.split('?').next().unwrap_or_default()),
        };
        let line = format!("{why}: {what}");
        if self.left_out.len() < LEFT_OUT_MAX || self.left_out.contains_key(&line) {
            *self.left_out.entry(line).or_default() += 1;
        }
    }
}

impl Sight {
    fn extend_names(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        if self.names.len() >= NAMES_MAX && !self.names.contains(name) {
            self.any_name = true;
        } else {
            self.names.insert(name.to_owned());
        }
    }
}

/// The entry of a key; when there are too many, one that nobody reads.
fn bounded<'m, K: Ord + Clone>(map: &'m mut BTreeMap<K, Sight>, key: K, overflowed: &mut bool) -> &'m mut Sight {
    if map.len() >= KINDS_MAX && !map.contains_key(&key) {
        *overflowed = true;
    }
    map.entry(key).or_default()
}

/// Whether it reached the cluster and the cluster did not forbid it.
pub(super) fn happened(record: &AuditRecord) -> bool {
    record.upstream.as_ref().is_some_and(|upstream| !matches!(upstream.status, Some(401 | 403)))
}

fn kind(record: &AuditRecord, action: &Action) -> Kind {
    let risk = serde_json::to_value(action.risk).ok();
    let decision = record.decision.as_ref();
    let named = action.name.is_some() || !action.is_resource();
    let unmasked = decision.is_some_and(|decision| decision.mask == MaskProfile::Off);
    let allowed = decision.is_some_and(|decision| decision.effect == Effect::Allow);
    let labels =
        record.options.label_selector.as_deref().filter(|_| unmasked && allowed && !named).and_then(equalities);
    Kind {
        cluster: record.cluster.clone(),
        namespace: action.namespace.clone().filter(|_| action.is_resource()),
        group: action.api_group.clone(),
        resource: if action.is_resource() { action.resource_path() } else { String::new() },
        verb: action.verb.as_str(),
        mask_off: unmasked && (named || labels.is_some()),
        labels,
        risk: risk.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
        named,
    }
}

/// `a=b,c=d` as labels; `None` when the selector says anything else.
fn equalities(selector: &str) -> Option<BTreeMap<String, String>> {
    let one = |term: &str| {
        let (key, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        let plain = |text: &str| !text.is_empty() && !text.contains(['!', '=', '(', ')', ' ']);
        (plain(key) && plain(value)).then(|| (key.to_owned(), value.to_owned()))
    };
    selector.split(',').map(one).collect()
}

/// What the cluster's RBAC is asked for one request.
fn grants(record: &AuditRecord, action: &Action) -> Vec<Grant> {
    let grant = |verb: &'static str, resource: String| Grant {
        cluster: record.cluster.clone(),
        // A request on a namespace is a matter of the cluster's.
        namespace: action.namespace.clone().filter(|_| action.is_resource() && action.resource != "namespaces"),
        group: action.api_group.clone(),
        resource,
        verb,
    };
    if !action.is_resource() {
        return vec![grant(action.verb.as_str(), String::new())];
    }
    let own = action.resource_path();
    let mut grants = vec![grant(action.verb.as_str(), own.clone())];
    if matches!(action.stream, Stream::Exec | Stream::Attach | Stream::Portforward) {
        // Over WebSocket it is a GET, which current API servers let pass only with `create` too.
        grants.push(grant(Verb::Get.as_str(), own));
        return grants;
    }
    let applies = record.options.patch_type == Some(PatchType::Apply);
    if applies && record.upstream.as_ref().and_then(|upstream| upstream.status) == Some(201) {
        grants.push(grant(Verb::Create.as_str(), own));
    }
    let writes = !action.verb.is_read() && action.verb != Verb::Create;
    if writes && action.name.is_some() {
        // What approvers are shown, and what a change is compared with, is read as the agent.
        grants.push(grant(Verb::Get.as_str(), action.resource.clone()));
    }
    grants
}

/// RBAC knows no name of what is being made; paths stand in the place of names.
fn grant_name(action: &Action) -> Option<&str> {
    if action.is_resource() { action.name.as_deref() } else { Some(action.path.as_str()) }
}

fn in_words(action: &Action) -> String {
    if !action.is_resource() {
        return format!("{} {}", action.verb, action.path);
    }
    let place = match &action.namespace {
        Some(namespace) if action.resource != "namespaces" => format!(" in namespace {namespace}"),
        _ => String::new(),
    };
    let name = action.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{} {}{name}{place}", action.verb, action.resource_path())
}
