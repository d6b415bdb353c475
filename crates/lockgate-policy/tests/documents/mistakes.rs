//! What people get wrong in a document, each with its place marked: `»` stands before the character that the refusal must
//! point at. A mistake without a mark is one of the whole document.

use crate::Kind;

/// By whom a mistake is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// No YAML, so that no schema is asked.
    YamlReader,
    /// The schema in the editor, and the parser.
    SchemaToo,
    /// A schema cannot say it.
    ParserAlone,
}

/// One mistake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mistake {
    pub(crate) kind: Kind,
    pub(crate) told: Told,
    /// What is wrong with it, in people's words.
    pub(crate) what: &'static str,
    marked: &'static str,
    whole: bool,
}

const MARK: char = '»';

impl Mistake {
    /// The document.
    pub(crate) fn text(&self) -> String {
        self.with_head().replace(MARK, "")
    }

    /// Line and column that are marked; zeros where the whole document is meant.
    pub(crate) fn place(&self) -> (u64, u64) {
        let marked = self.with_head();
        for (index, line) in marked.lines().enumerate() {
            if let Some((before, _)) = line.split_once(MARK) {
                return (index as u64 + 1, before.chars().count() as u64 + 1);
            }
        }
        (0, 0)
    }

    fn with_head(&self) -> String {
        let head = if self.whole { String::new() } else { self.kind.head() };
        format!("{head}{}\n", self.marked)
    }
}

const fn yaml(what: &'static str, marked: &'static str) -> Mistake {
    Mistake { kind: Kind::Policy, told: Told::YamlReader, what, marked, whole: false }
}

const fn shape(what: &'static str, marked: &'static str) -> Mistake {
    Mistake { told: Told::SchemaToo, ..yaml(what, marked) }
}

const fn meaning(what: &'static str, marked: &'static str) -> Mistake {
    Mistake { told: Told::ParserAlone, ..yaml(what, marked) }
}

const fn whole(mistake: Mistake) -> Mistake {
    Mistake { whole: true, ..mistake }
}

const fn of_test(mistake: Mistake) -> Mistake {
    Mistake { kind: Kind::PolicyTest, ..mistake }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Mistake> {
    let groups = [&OF_DOCUMENTS[..], &OF_MATCHES, &OF_EFFECTS, &OF_CONDITIONS, &OF_TESTS];
    groups.into_iter().flatten().copied()
}

/// Of the document and its fields.
pub(crate) const OF_DOCUMENTS: [Mistake; 21] = [
    yaml("a tab", "rules:\n\t»- name: a\n\t  allow: {}"),
    yaml("a bracket that is not closed", "rules:\n- name: a\n  match: {namespaces: »[shop}\n  allow: {}"),
    yaml("a quote that is not closed", "rules:\n- name: a\n  deny: {message: »\"Off limits.}\n"),
    yaml("a field further left than its sisters", "rules:\n  - name: a\n »match: {}\n"),
    yaml("a bare star", "rules:\n- name: a\n  match: {namespaces: [»*]}\n  allow: {}"),
    yaml("a field twice", "rules:\n- name: a\n  allow: {}\n  »allow: {}"),
    whole(shape("another version", "apiVersion: »lockgate.dev/v2\nkind: Policy\nrules: []")),
    whole(shape("another kind", "apiVersion: lockgate.dev/v1\nkind: »Role\nrules: []")),
    whole(yaml("nothing at all", "")),
    whole(shape("no rules", "apiVersion: lockgate.dev/v1\n»kind: Policy")),
    shape("rules by name", "rules:\n  »read: {allow: {}}"),
    shape("a word of another tool", "rules: []\n»spec: {}"),
    shape("a preset that nobody ships", "preset: »operator\nrules: []"),
    shape("the singular", "rules:\n- name: a\n  match: {»namespace: [shop]}\n  allow: {}"),
    shape("one word for a list", "rules:\n- name: a\n  match: {namespaces: »shop}\n  allow: {}"),
    shape("a list for one word", "rules:\n- name: »[a]\n  allow: {}"),
    shape("no name", "rules:\n- match: {}\n  »allow: {}"),
    shape("an empty name", "rules:\n- name: »''\n  allow: {}"),
    meaning("a name twice", "rules:\n- name: a\n  allow: {}\n- name: »a\n  deny: {}"),
    shape("a field for a test in a policy", "rules: []\n»mustAllow: [get pods]"),
    shape("metadata of Kubernetes", "metadata: {name: a, »namespace: shop}\nrules: []"),
];

/// Of what a rule matches.
pub(crate) const OF_MATCHES: [Mistake; 14] = [
    shape("a risk class that is none", "rules:\n- name: a\n  match: {risk: [»danger]}\n  allow: {}"),
    shape("a misspelt risk class", "rules:\n- name: a\n  match: {risk: [read, »desctructive]}\n  allow: {}"),
    shape("a command for a verb", "rules:\n- name: a\n  match: {verbs: [get, »exec]}\n  allow: {}"),
    shape("a verb in capitals", "rules:\n- name: a\n  match: {verbs: [»GET]}\n  allow: {}"),
    shape("a kind for a resource", "rules:\n- name: a\n  match: {resources: [»Deployment]}\n  allow: {}"),
    shape("a group with the resource", "rules:\n- name: a\n  match: {resources: [»deployments.apps]}\n  allow: {}"),
    shape("a resource's beginning", "rules:\n- name: a\n  match: {resources: [»deploy*]}\n  allow: {}"),
    shape("an empty list", "rules:\n- name: a\n  match: {names: »[]}\n  allow: {}"),
    shape("a star in front", "rules:\n- name: a\n  match: {namespaces: [»'*-prod']}\n  allow: {}"),
    shape("an empty namespace", "rules:\n- name: a\n  match: {namespaces: [»'']}\n  allow: {}"),
    shape("a selector as kubectl has it", "rules:\n- name: a\n  match: {labelSelector: »app=web}\n  allow: {}"),
    shape("a path without a slash", "rules:\n- name: a\n  match: {nonResourceURLs: [»healthz]}\n  allow: {}"),
    shape(
        "a path and a resource",
        "rules:\n- name: »a\n  match: {nonResourceURLs: [/healthz], resources: [pods]}\n  allow: {}",
    ),
    shape("a kind of subject", "rules:\n- name: a\n  match: {subjects: {kinds: [»robot]}}\n  allow: {}"),
];

/// Of effects and obligations.
pub(crate) const OF_EFFECTS: [Mistake; 23] = [
    shape("no effect", "rules:\n- name: »a\n  match: {verbs: [get]}"),
    shape("two effects", "rules:\n- name: »a\n  allow: {}\n  deny: {}"),
    shape("an effect with nothing behind it", "rules:\n- name: »a\n  allow:"),
    shape("an effect as a word", "rules:\n- name: a\n  »effect: allow"),
    shape("another word for an effect", "rules:\n- name: a\n  »permit: {}"),
    shape("an effect as a switch", "rules:\n- name: a\n  allow: »true"),
    shape("a mask that is none", "rules:\n- name: a\n  allow: {mask: »none}"),
    shape("neither yes nor no", "rules:\n- name: a\n  allow: {record: »sometimes}"),
    shape("approvers without groups", "rules:\n- name: a\n  ask: {approvers: »[sre]}"),
    shape("a group without a name", "rules:\n- name: a\n  ask: {approvers: {groups: [»'']}}"),
    shape("nobody to ask", "rules:\n- name: a\n  ask: {count: »0}"),
    shape("a number in words", "rules:\n- name: a\n  ask: {count: »two}"),
    shape("too many people", "rules:\n- name: a\n  ask: {count: »6}"),
    shape("a duration in words", "rules:\n- name: a\n  ask: {ttl: »10 minutes}"),
    meaning("too short a time", "rules:\n- name: a\n  ask: {ttl: »5s}"),
    shape("a time in days", "rules:\n- name: a\n  ask: {ttl: »7d}"),
    meaning("longer than a day", "rules:\n- name: a\n  ask: {ttl: »48h}"),
    shape("a scope that is not offered", "rules:\n- name: a\n  ask: {scopes: [»session]}"),
    shape("limits without a limit", "rules:\n- name: a\n  allow: {limits: »{}}"),
    shape("a rate of nothing", "rules:\n- name: a\n  allow: {limits: {rate: {requests: »0, per: 1m}}}"),
    meaning("a window of no time", "rules:\n- name: a\n  allow: {limits: {rate: {requests: 60, per: »0s}}}"),
    shape("a blast of nothing", "rules:\n- name: a\n  allow: {limits: {blast: {deletes: »0, per: 10m, deny: {}}}}"),
    shape("a blast without an end", "rules:\n- name: a\n  allow: {limits: {blast: »{deletes: 20, per: 10m}}}"),
];

/// Of conditions.
pub(crate) const OF_CONDITIONS: [Mistake; 17] = [
    yaml("an exclamation mark that YAML reads", "rules:\n- name: a\n  when: »!('sre' in subject.groups)\n  deny: {}"),
    yaml("a quoted word first", "rules:\n- name: a\n  when: 'sre' »in subject.groups\n  deny: {}"),
    meaning("half an expression", "rules:\n- name: a\n  when: action.verb ==»\n  allow: {}"),
    meaning("`and` for `&&`", "rules:\n- name: a\n  when: action.dryRun »and action.stdin\n  allow: {}"),
    meaning("a variable that is not there", "rules:\n- name: a\n  when: »claims.sub == 'x'\n  allow: {}"),
    meaning("a misspelt variable", "rules:\n- name: a\n  when: \"true && »objekt.spec.paused\"\n  allow: {}"),
    meaning(
        "a variable in the second line",
        "rules:\n- name: a\n  when: |\n    action.dryRun &&\n      »oldobject.spec.paused\n  allow: {}",
    ),
    meaning("a field that is not there", "rules:\n- name: a\n  when: action.»vreb == 'get'\n  allow: {}"),
    meaning("a field of a change", "rules:\n- {name: a, when: change.»replica.to > 1, allow: {}}"),
    meaning("a function that is not there", "rules:\n- {name: a, when: change.fields.»lenght() > 1, allow: {}}"),
    meaning(
        "a loop in a loop",
        "rules:\n- name: a\n  when: object.items.all(item, item.ports.»exists(port, port < 1024))\n  deny: {}",
    ),
    meaning("a pattern that is none", "rules:\n- {name: a, when: \"action.name.»matches('web-(')\", allow: {}}"),
    meaning("a pattern from elsewhere", "rules:\n- {name: a, when: action.name.»matches(object.pattern), allow: {}}"),
    meaning(
        "a pattern in a loop",
        "rules:\n- {name: a, when: \"subject.groups.exists(group, group.»matches('^sre-'))\", allow: {}}",
    ),
    meaning("a word for yes or no", "rules:\n- {name: a, when: »subject.id, allow: {}}"),
    meaning("a text compared with a number", "rules:\n- {name: a, when: \"action.name »== 3\", allow: {}}"),
    meaning("a time compared with a text", "rules:\n- {name: a, when: \"now »< '2026-12-24T00:00:00Z'\", allow: {}}"),
];

/// Of tests.
pub(crate) const OF_TESTS: [Mistake; 11] = [
    of_test(shape("a list that is none", "»mustPass: [get pods]")),
    of_test(shape("no case", "mustAllow: []")),
    of_test(meaning("a misspelt verb", "mustAllow:\n- »gett pods -n shop")),
    of_test(meaning("a command", "mustAllow:\n- »exec pods/web -n shop")),
    of_test(meaning("a singular", "mustAllow:\n- »get pod web -n shop")),
    of_test(meaning("two names", "mustAllow:\n- »get pods web db -n shop")),
    of_test(meaning("a flag without its value", "mustAllow:\n- »get pods web -n")),
    of_test(shape("a field that is none", "mustDeny:\n- {request: get pods, »rules: read}")),
    of_test(shape("what only an ask has", "mustAllow:\n- {request: »get pods, count: 2}")),
    of_test(shape("a time in words", "mustDeny:\n- {request: get pods, now: »noon}")),
    of_test(shape("a case without a request", "mustDeny:\n- »rule: read")),
];
