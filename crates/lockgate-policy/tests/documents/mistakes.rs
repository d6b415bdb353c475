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
    let groups = [
        &OF_DOCUMENTS[..],
        &OF_EMPTY_VALUES,
        &OF_TAGS,
        &OF_DEAD_WORDS,
        &OF_PLACES,
        &OF_MATCHES,
        &OF_EFFECTS,
        &OF_CONDITIONS,
        &OF_TESTS,
    ];
    groups.into_iter().flatten().copied()
}

/// Of the document and its fields.
pub(crate) const OF_DOCUMENTS: [Mistake; 22] = [
    yaml("a tab", "rules:\n\t»- name: a\n\t  allow: {}"),
    yaml("a bracket that is not closed", "rules:\n- name: a\n  match: {namespaces: »[shop}\n  allow: {}"),
    yaml("a quote that is not closed", "rules:\n- name: a\n  deny: {message: »\"Off limits.}\n"),
    yaml("a field further left than its sisters", "rules:\n  - name: a\n »match: {}\n"),
    yaml("a bare star", "rules:\n- name: a\n  match: {namespaces: [»*]}\n  allow: {}"),
    yaml("a field twice", "rules:\n- name: a\n  allow: {}\n  »allow: {}"),
    whole(shape("another version", "apiVersion: »lockgate.dev/v2\nkind: Policy\nrules: []")),
    whole(shape("another kind", "apiVersion: lockgate.dev/v1\nkind: »Role\nrules: []")),
    whole(yaml("nothing at all", "")),
    whole(yaml("nothing but a comment", "---\n# to be written")),
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

/// Of values that were left empty: without one, the field would be as good as left out.
pub(crate) const OF_EMPTY_VALUES: [Mistake; 23] = [
    shape(
        "groups to be filled in",
        "rules:\n- name: a\n  match:\n    subjects:\n      »groups:      # TODO\n  allow: {}",
    ),
    shape(
        "groups to be filled in, in one line",
        "rules:\n- name: a\n  match: {subjects: {»groups: }, namespaces: [shop]}\n  allow: {}",
    ),
    shape("namespaces to be filled in", "rules:\n- name: a\n  match: {»namespaces: , verbs: [get]}\n  allow: {}"),
    shape("a tilde for a list", "rules:\n- name: a\n  match: {»names: ~}\n  allow: {}"),
    shape("the word null", "rules:\n- name: a\n  match: {»risk: null}\n  allow: {}"),
    shape("the word null in capitals", "rules:\n- name: a\n  match: {»clusters: NULL}\n  allow: {}"),
    shape("an entry to be filled in", "rules:\n- name: a\n  match:\n    namespaces:\n    -»\n  allow: {}"),
    shape("null for an entry", "rules:\n- name: a\n  match: {namespaces: [shop, »null]}\n  allow: {}"),
    shape("a match to be filled in", "rules:\n- name: a\n  »match:\n  allow: {}"),
    shape("subjects to be filled in", "rules:\n- name: a\n  match:\n    »subjects:\n  allow: {}"),
    shape("subjects with nothing in them", "rules:\n- name: a\n  match: {subjects: »{}}\n  allow: {}"),
    shape("a label's value", "rules:\n- name: a\n  match: {labelSelector: {»app: }}\n  allow: {}"),
    shape("a condition to be filled in", "rules:\n- name: a\n  »when:\n  allow: {}"),
    shape("allow with nothing behind it", "rules:\n- name: a\n  »allow:"),
    shape("ask with nothing behind it", "rules:\n- name: a\n  »ask:\n- {name: b, allow: {}}"),
    shape("an effect in a set", "rules:\n- {name: a, »allow}"),
    shape("approvers to be filled in", "rules:\n- name: a\n  ask:\n    »approvers:\n    count: 1"),
    shape("limits to be filled in", "rules:\n- name: a\n  allow: {»limits: }"),
    shape("a preset to be filled in", "»preset:\nrules: []"),
    shape("rules to be filled in", "»rules:"),
    shape("metadata to be filled in", "»metadata:\nrules: []"),
    yaml("a name that is left out", "rules:\n- name: a\n  allow: {}\n  »: x"),
    of_test(shape("a case to be filled in", "mustDeny:\n- {request: get pods, »rule: }")),
];

/// Of what YAML takes for itself.
pub(crate) const OF_TAGS: [Mistake; 13] = [
    yaml("a condition that begins with `!`", "rules:\n- name: a\n  when: »!has(object.spec.paused)\n  allow: {}"),
    yaml(
        "a condition that begins with `!`, apart",
        "rules:\n- name: a\n  when: »! has(object.spec.paused)\n  allow: {}",
    ),
    yaml("a condition that begins with `!(`", "rules:\n- name: a\n  when: »!('sre' in subject.groups)\n  deny: {}"),
    yaml(
        "a condition that begins with `!` on the next line",
        "rules:\n- name: a\n  when:\n    »!has(object.spec.paused)\n  allow: {}",
    ),
    yaml(
        "a condition that begins with `!` in braces",
        "rules:\n- {name: a, when: »!has(object.spec.paused), allow: {}}",
    ),
    yaml("a condition that goes on after `!…`", "rules:\n- name: a\n  when: »!action.dryRun || false\n  allow: {}"),
    yaml("a tag of YAML itself", "rules:\n- name: a\n  when: »!!str action.dryRun\n  allow: {}"),
    yaml("a tagged list", "rules:\n- name: a\n  match: {namespaces: »!mine [shop]}\n  allow: {}"),
    yaml("a tagged map", "rules:\n- name: a\n  match: »!mine {namespaces: [shop]}\n  allow: {}"),
    yaml("an anchor", "rules:\n- name: a\n  match: {namespaces: &shops »[shop]}\n  allow: {}"),
    yaml("an anchor at nothing", "rules:\n- name: a\n  match:\n    namespaces: &shops»\n  allow: {}"),
    yaml("a merge key", "rules:\n- name: a\n  match: {»<<: {verbs: [get]}}\n  allow: {}"),
    of_test(yaml("a tag in a test", "mustAllow:\n- {request: get pods, object: {a: »!x 1}}")),
];

/// Of words that can match nothing, so that a rule that denies would deny nothing.
pub(crate) const OF_DEAD_WORDS: [Mistake; 27] = [
    shape(
        "the core group by name",
        "rules:\n- name: a\n  match: {apiGroups: [»core], resources: [secrets]}\n  deny: {}",
    ),
    shape("the core group's version", "rules:\n- name: a\n  match: {apiGroups: [»v1]}\n  deny: {}"),
    shape("a group with its version", "rules:\n- name: a\n  match: {apiGroups: [»apps/v1]}\n  deny: {}"),
    shape("a group in capitals", "rules:\n- name: a\n  match: {apiGroups: [»Apps]}\n  deny: {}"),
    meaning("half a group", "rules:\n- name: a\n  match: {apiGroups: [»networking]}\n  deny: {}"),
    meaning("a misspelt group", "rules:\n- name: a\n  match: {apiGroups: [»app]}\n  deny: {}"),
    meaning("a singular", "rules:\n- name: a\n  match: {resources: [»secret]}\n  deny: {}"),
    meaning(
        "a singular beside its group",
        "rules:\n- name: a\n  match: {apiGroups: [apps], resources: [»deployment]}\n  deny: {}",
    ),
    meaning("a singular with -y", "rules:\n- name: a\n  match: {resources: [»networkpolicy]}\n  deny: {}"),
    meaning("a short name", "rules:\n- name: a\n  match: {resources: [»deploy, po]}\n  deny: {}"),
    meaning("a short name with a subresource", "rules:\n- name: a\n  match: {resources: [»po/exec]}\n  deny: {}"),
    meaning("a subresource for a resource", "rules:\n- name: a\n  match: {resources: [»exec]}\n  deny: {}"),
    meaning("scale for a resource", "rules:\n- name: a\n  match: {resources: [»scale]}\n  deny: {}"),
    meaning("a misspelt resource", "rules:\n- name: a\n  match: {resources: [»deploymnets]}\n  deny: {}"),
    meaning(
        "a resource of another group",
        "rules:\n- name: a\n  match: {apiGroups: [apps], resources: [»services]}\n  deny: {}",
    ),
    meaning(
        "a resource of two other groups",
        "rules:\n- name: a\n  match: {apiGroups: [apps, batch], resources: [»pods]}\n  deny: {}",
    ),
    meaning("logs in the plural", "rules:\n- name: a\n  match: {resources: [»pods/logs]}\n  deny: {}"),
    meaning("kubectl's port-forward", "rules:\n- name: a\n  match: {resources: [»pods/port-forward]}\n  deny: {}"),
    meaning(
        "a subresource of another resource",
        "rules:\n- name: a\n  match: {resources: [»deployments/exec]}\n  deny: {}",
    ),
    meaning("a misspelt subresource of all", "rules:\n- name: a\n  match: {resources: [»'*/exe']}\n  deny: {}"),
    shape("an id as it is printed", "rules:\n- name: a\n  match: {subjects: {ids: [»'agent:x']}}\n  deny: {}"),
    shape(
        "a person's id as it is printed",
        "rules:\n- name: a\n  match: {subjects: {ids: [»'human:jane']}}\n  deny: {}",
    ),
    shape(
        "a group as the cluster sees it",
        "rules:\n- name: a\n  match: {subjects: {groups: [»'lockgate:deployers']}}\n  deny: {}",
    ),
    shape("a namespace in capitals", "rules:\n- name: a\n  match: {namespaces: [»Shop]}\n  deny: {}"),
    shape("a namespace with a dot", "rules:\n- name: a\n  match: {namespaces: [»shop.eu]}\n  deny: {}"),
    shape("a name with its namespace", "rules:\n- name: a\n  match: {names: [»shop/web]}\n  deny: {}"),
    of_test(meaning("a short name in a test", "mustDeny:\n- »get po web -n shop")),
];

/// Of fields that stand one level too high or too low.
pub(crate) const OF_PLACES: [Mistake; 10] = [
    shape("risk beside match", "rules:\n- name: a\n  »risk: [read]\n  allow: {}"),
    shape("resources beside match", "rules:\n- name: a\n  »resources: [pods]\n  allow: {}"),
    shape("groups beside match", "rules:\n- name: a\n  »groups: [sre]\n  allow: {}"),
    shape("groups in match", "rules:\n- name: a\n  match: {»groups: [sre]}\n  allow: {}"),
    shape("groups as a word", "rules:\n- name: a\n  match: {subjects: {groups: »sre}}\n  allow: {}"),
    shape("when in match", "rules:\n- name: a\n  match: {»when: action.dryRun}\n  allow: {}"),
    shape("approvers beside ask", "rules:\n- name: a\n  ask: {}\n  »approvers: {groups: [sre]}"),
    shape("a message beside deny", "rules:\n- name: a\n  deny: {}\n  »message: No."),
    shape("impersonate in allow", "rules:\n- name: a\n  allow: {»impersonate: agent}"),
    shape("a resource as a word", "rules:\n- name: a\n  match: {resources: »pods, verbs: [get]}\n  allow: {}"),
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
pub(crate) const OF_EFFECTS: [Mistake; 27] = [
    shape("no effect", "rules:\n- name: »a\n  match: {verbs: [get]}"),
    shape("two effects", "rules:\n- name: »a\n  allow: {}\n  deny: {}"),
    shape("an effect as a word", "rules:\n- name: a\n  »effect: allow"),
    shape("another word for an effect", "rules:\n- name: a\n  »permit: {}"),
    shape("an effect as a switch", "rules:\n- name: a\n  allow: »true"),
    shape("an effect with a text", "rules:\n- name: a\n  deny: »\"no\""),
    shape("approvers without a group", "rules:\n- name: a\n  ask: {approvers: {groups: »[]}}"),
    shape("approvers of nothing", "rules:\n- name: a\n  ask: {approvers: »{}}"),
    shape(
        "an approver group as the cluster sees it",
        "rules:\n- name: a\n  ask: {approvers: {groups: [»'lockgate:sre']}}",
    ),
    shape("no scope at all", "rules:\n- name: a\n  ask: {scopes: »[]}"),
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
pub(crate) const OF_CONDITIONS: [Mistake; 16] = [
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
