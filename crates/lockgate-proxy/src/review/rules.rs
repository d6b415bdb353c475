//! What a SelfSubjectRulesReview lists: of the cluster's rules what Lockgate allows too. What needs approval is not listed,
//! since it is no right; it is told beside the list, as is what a list of rights cannot say.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_core::{Effect, Verb};
use lockgate_policy::{Depends, risk};
use lockgate_wire::review::rules::{Answer, PathRule, ResourceRule};
use lockgate_wire::review::{self, Question, Resource};

use super::{Standpoint, Verdict};

/// Most verdicts for one answer; what is beyond is left out, and said to be.
const VERDICTS_MAX: usize = 20_000;

/// Most things that are told of one rule.
const TOLD_MAX: usize = 12;

/// Verdicts between two chances for other tasks.
const VERDICTS_AT_ONCE: usize = 64;

const ANY: &str = "*";

/// The cluster's answer, cut to what Lockgate allows in `namespace`; the note says what a list cannot.
pub(crate) async fn cut(standpoint: &Standpoint, namespace: &str, answer: &mut Answer) -> String {
    let mut cut = Cut { standpoint, namespace, verdicts: 0, told: Told::default() };
    let mut resources = Vec::new();
    for rule in std::mem::take(&mut answer.resources) {
        resources.extend(cut.resources(&rule).await);
    }
    let mut paths = Vec::new();
    for rule in std::mem::take(&mut answer.paths) {
        paths.extend(cut.paths(&rule).await);
    }
    answer.resources = resources;
    answer.paths = paths;
    cut.told.in_words()
}

struct Cut<'s> {
    standpoint: &'s Standpoint,
    namespace: &'s str,
    verdicts: usize,
    told: Told,
}

/// What is allowed, gathered by what differs least: (verbs, group, names) → resources.
#[derive(Default)]
struct Rows {
    /// (group, resource, names) → verbs, in order.
    verbs: BTreeMap<(String, String, Vec<String>), Vec<String>>,
}

impl Cut<'_> {
    async fn resources(&mut self, rule: &ResourceRule) -> Vec<ResourceRule> {
        if self.keeps_whole(rule).await {
            return vec![rule.clone()];
        }
        let verbs = self.verbs(&rule.verbs);
        let mut rows = Rows::default();
        for (group, resource) in self.expanded(rule) {
            for verb in &verbs {
                self.breathe().await;
                if self.verdicts >= VERDICTS_MAX {
                    self.told.left_out = true;
                    return rows.merged();
                }
                self.one(rule, *verb, &group, &resource, &mut rows);
            }
        }
        rows.merged()
    }

    /// Whether a rule with wildcards can stay as it is: everything in it is allowed.
    async fn keeps_whole(&mut self, rule: &ResourceRule) -> bool {
        let wild =
            rule.api_groups.iter().any(|group| group == ANY) || rule.resources.iter().any(|one| one.contains(ANY));
        if !wild {
            return false;
        }
        for verb in self.verbs(&rule.verbs) {
            for group in &rule.api_groups {
                self.breathe().await;
                let verdict = self.standpoint.verdict_on(&self.question(group, ANY, ""), verb);
                if verdict.effect != Effect::Allow || verdict.but.is_some() {
                    return false;
                }
            }
        }
        true
    }

    fn one(&mut self, rule: &ResourceRule, verb: Verb, group: &str, resource: &str, rows: &mut Rows) {
        let word = verb.as_str();
        if !rule.resource_names.is_empty() {
            for name in &rule.resource_names {
                let verdict = self.standpoint.verdict_on(&self.question(group, resource, name), verb);
                self.told.of(&verdict, word, group, &format!("{resource}/{name}"));
                if verdict.effect == Effect::Allow {
                    rows.add(group, resource, vec![name.clone()], word);
                }
            }
            return;
        }
        let verdict = self.standpoint.verdict_on(&self.question(group, resource, ""), verb);
        self.told.of(&verdict, word, group, resource);
        if verdict.effect == Effect::Allow {
            return rows.add(group, resource, Vec::new(), word);
        }
        // What is given by name alone can be listed by name.
        let named =
            verdict.exceptions.iter().filter(|one| one.effect == Effect::Allow && one.depends == Depends::Object);
        let names: BTreeSet<&String> = named.flat_map(|exception| &exception.names).collect();
        let allowed = |name: &&&String| {
            self.standpoint.verdict_on(&self.question(group, resource, name), verb).effect == Effect::Allow
        };
        let allowed: Vec<String> = names.iter().filter(allowed).map(|name| (*name).clone()).collect();
        self.verdicts = self.verdicts.saturating_add(names.len());
        if !allowed.is_empty() {
            rows.add(group, resource, allowed, word);
        }
    }

    async fn paths(&mut self, rule: &PathRule) -> Vec<PathRule> {
        let mut kept = Vec::new();
        for path in self.expanded_paths(rule) {
            let mut verbs = Vec::new();
            for verb in &rule.verbs {
                self.breathe().await;
                let question = Question::Path { verb: verb.clone(), path: path.clone() };
                let verdict = self.standpoint.verdict(Some(&question));
                let whole = verdict.but.is_none() || !path.ends_with(ANY);
                if verdict.effect == Effect::Ask || verdict.effect == Effect::Allow && whole {
                    self.told.of(&verdict, verb, "", &path);
                }
                if verdict.effect == Effect::Allow && whole {
                    verbs.push(verb.clone());
                } else if verb == ANY {
                    // Not all of them; some, then.
                    let allowed = |one: &Verb| {
                        let verdict = self.standpoint.verdict_on(&question, *one);
                        verdict.effect == Effect::Allow && verdict.but.is_none()
                    };
                    verbs.extend(question.verbs().into_iter().filter(allowed).map(|one| one.as_str().to_owned()));
                }
            }
            if !verbs.is_empty() {
                kept.push(PathRule { verbs, paths: vec![path] });
            }
        }
        merged_paths(kept)
    }

    /// The verbs of a rule that requests have.
    fn verbs(&self, verbs: &[String]) -> Vec<Verb> {
        let question = |verb: &String| Question::Resource { verb: verb.clone(), resource: Resource::default() };
        let mut known: Vec<Verb> = Vec::new();
        for verb in verbs.iter().flat_map(|verb| question(verb).verbs()) {
            if !known.contains(&verb) {
                known.push(verb);
            }
        }
        known
    }

    /// Group and resource of everything in a rule; of a wildcard, what is known by name.
    fn expanded(&mut self, rule: &ResourceRule) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        let mut known: Option<BTreeSet<(String, String)>> = None;
        for group in &rule.api_groups {
            for resource in &rule.resources {
                if group != ANY && !resource.contains(ANY) {
                    found.insert((group.clone(), resource.clone()));
                    continue;
                }
                self.told.unknown_resources = true;
                let known = known.get_or_insert_with(|| known_resources(self.standpoint));
                let fits = |(own_group, own): &&(String, String)| {
                    (group == ANY || group == own_group) && covers(resource, own)
                };
                found.extend(known.iter().filter(fits).cloned());
                if group == ANY && !resource.contains(ANY) {
                    found.extend(known.iter().filter(|(_, own)| own == resource).cloned());
                }
            }
        }
        found
    }

    fn expanded_paths(&self, rule: &PathRule) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for path in &rule.paths {
            if path == ANY || path == "/*" {
                found.extend(risk::OPEN_PATHS.iter().map(|path| (*path).to_owned()));
                found.extend(self.standpoint.policy.listed_paths());
            } else {
                found.insert(path.clone());
            }
        }
        found
    }

    fn question(&self, group: &str, resource: &str, name: &str) -> Question {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Question::Resource {
            verb: String::new(),
            resource: Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                namespace: self.namespace.to_owned(),
                name: name.to_owned(),
                ..Resource::default()
            },
        }
    }

    /// Counts a verdict, and lets others run from time to time.
    async fn breathe(&mut self) {
        self.verdicts = self.verdicts.saturating_add(1);
        if self.verdicts.is_multiple_of(VERDICTS_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }
}

/// Kubernetes' own resources with their subresources, and what the policy names in other groups. A rule about several
/// groups and several resources names pairs that do not exist (`pods.batch`); of Kubernetes' own groups all is known.
fn known_resources(standpoint: &Standpoint) -> BTreeSet<(String, String)> {
    let own: BTreeSet<&str> = risk::built_in().map(|(group, _)| group).collect();
    let named = standpoint.policy.listed_resources().into_iter();
    let mut known: BTreeSet<(String, String)> = named.filter(|(group, _)| !own.contains(group.as_str())).collect();
    for (group, resource) in risk::built_in() {
        known.insert((group.to_owned(), resource.to_owned()));
        let below = review::subresources(group, resource).iter();
        known.extend(below.map(|subresource| (group.to_owned(), format!("{resource}/{subresource}"))));
    }
    known
}

/// Whether RBAC's `*`, `*/scale` or `pods/*` covers a resource.
fn covers(pattern: &str, resource: &str) -> bool {
    match (pattern.split_once('/'), resource.split_once('/')) {
        (None, _) => pattern == ANY || pattern == resource,
        (Some((above, below)), Some((own, own_below))) => {
            (above == ANY || above == own) && (below == ANY || below == own_below)
        }
        (Some(_), None) => false,
    }
}

impl Rows {
    fn add(&mut self, group: &str, resource: &str, names: Vec<String>, verb: &str) {
        self.verbs.entry((group.to_owned(), resource.to_owned(), names)).or_default().push(verb.to_owned());
    }

    /// Resources of one group with the same verbs and names in one row.
    fn merged(self) -> Vec<ResourceRule> {
        let mut merged: BTreeMap<(String, Vec<String>, Vec<String>), Vec<String>> = BTreeMap::new();
        for ((group, resource, names), verbs) in self.verbs {
            merged.entry((group, verbs, names)).or_default().push(resource);
        }
        let row = |((group, verbs, resource_names), resources)| ResourceRule {
            verbs,
            api_groups: vec![group],
            resources,
            resource_names,
        };
        merged.into_iter().map(row).collect()
    }
}

fn merged_paths(rows: Vec<PathRule>) -> Vec<PathRule> {
    let mut merged: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for row in rows {
        merged.entry(row.verbs).or_default().extend(row.paths);
    }
    merged.into_iter().map(|(verbs, paths)| PathRule { verbs, paths }).collect()
}

/// What a list of rights cannot say.
#[derive(Default)]
struct Told {
    /// By the rule that asks, and whom: what.
    asked: BTreeMap<(String, String), Vec<String>>,
    /// By how a rule decides otherwise on a part: of what.
    parts: BTreeMap<String, Vec<String>>,
    /// The cluster gives `*`, and not all of that is known by name.
    unknown_resources: bool,
    /// There was too much to look at.
    left_out: bool,
}

impl Told {
    fn of(&mut self, verdict: &Verdict, verb: &str, group: &str, resource: &str) {
        let dot = if group.is_empty() { "" } else { "." };
        let what = format!("{verb} {resource}{dot}{group}");
        match (verdict.effect, &verdict.by) {
            (Effect::Ask, Some(by)) => self.asked.entry(by.clone()).or_default().push(what),
            (Effect::Allow, _) => {
                if let Some(but) = &verdict.but {
                    self.parts.entry(but.clone()).or_default().push(what);
                }
            }
            (Effect::Ask | Effect::Deny, _) => {}
        }
    }

    fn in_words(&self) -> String {
        let mut sentences = Vec::new();
        for ((rule, people), what) in &self.asked {
            sentences
                .push(format!("not listed, since it needs approval by {people} (rule {rule:?}): {}", listed(what)));
        }
        for (but, what) in &self.parts {
            sentences.push(format!("of what is listed, {but}: {}", listed(what)));
        }
        if self.unknown_resources {
            let text = "the cluster gives `*`: listed are Kubernetes' own resources and those that the policy names; ask \
                        about another one by one (kubectl auth can-i VERB RESOURCE)";
            sentences.push(text.to_owned());
        }
        if self.left_out {
            sentences.push("the cluster's rules are too many to look at all of them".to_owned());
        }
        if sentences.is_empty() { String::new() } else { format!("Lockgate: {}", sentences.join("; ")) }
    }
}

fn listed(what: &[String]) -> String {
    let more = what.len().saturating_sub(TOLD_MAX);
    let shown = what.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
