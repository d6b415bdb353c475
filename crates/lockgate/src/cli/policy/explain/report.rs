//! The explanation, for people and as data.

use lockgate_console::inert;
use lockgate_core::{Action, Decision, Effect, Options, Risk};
use lockgate_policy::change::Change;
use lockgate_policy::{ByLabels, ByObject, Explanation, Policy, RuleOutcome, RuleTrace, risk};
use lockgate_wire::payload::mask_request_payload;
use serde_json::{Value, json};

use super::Subject;
use super::program::{End, Ended, quoted};
use super::responder::Recorded;
use crate::cli::output::Style;
use crate::cli::policy::judge::{Case, Scene, terms_in_words};
use crate::cli::policy::{count, set};

/// Rule names are aligned up to this width.
const RULE_WIDTH_MAX: usize = 40;

/// One request with its verdict.
pub(super) struct Explained {
    request: Recorded,
    /// `None`: Lockgate refuses it before any rule is asked.
    explanation: Option<Explanation>,
    /// What it would change, as far as is known.
    change: Vec<String>,
    /// Classes that it could turn out to have, once the object that it changes is known.
    could_be: Vec<Risk>,
    /// Rules that wait for the labels of the object, which was not read.
    by_labels: Vec<ByLabels>,
    /// Verdicts that the object may bring about, which was not read.
    by_object: Vec<ByObject>,
}

impl Explained {
    pub(super) fn of(policy: &Policy, scene: &Scene, request: Recorded) -> Self {
        let Ok(reading) = &request.reading else {
            return Self {
                request,
                explanation: None,
                change: Vec::new(),
                could_be: Vec::new(),
                by_labels: Vec::new(),
                by_object: Vec::new(),
            };
        };
        let old_object = request.old_object.as_ref();
        let asked =
            risk::Request::of(&reading.action, &reading.options, reading.object.as_ref()).with_old_object(old_object);
        let mut action = reading.action.clone();
        if old_object.is_some() {
            action.risk = risk::classify(&asked);
        }
        let open = old_object.is_none() && risk::depends_on_old_object(&asked);
        let could_be =
            if open { risk::reachable(&asked).filter(|class| *class > action.risk).collect() } else { Vec::new() };
        let change = Change::of(&asked).in_words();
        let read = old_object.filter(|_| action.verb.is_read());
        let object = read.or(reading.object.as_ref());
        let case = Case { action: &action, options: &reading.options, object, old_object };
        let facts = scene.facts(case);
        let explanation = policy.explain(&scene.subject, &scene.cluster, &action, &facts);
        let by_labels = policy.by_labels(&scene.subject, &scene.cluster, &action, &facts);
        let by_object = policy.by_object(&scene.subject, &scene.cluster, &action, &facts);
        Self { explanation: Some(explanation), change, could_be, by_labels, by_object, request }
    }

    fn decision(&self) -> Option<&Decision> {
        self.explanation.as_ref().map(|explanation| &explanation.decision)
    }

    fn effect(&self) -> &'static str {
        self.decision().map_or("refused", |decision| decision.effect.as_str())
    }

    fn action(&self) -> Option<&Action> {
        self.explanation.as_ref().map(|explanation| &explanation.action)
    }

    /// A read that passes for certain: of interest only when asked for.
    fn is_plain(&self) -> bool {
        let reads = self.action().is_some_and(|action| action.verb.is_read());
        let certain = self.by_labels.is_empty() && self.by_object.is_empty();
        reads && certain && !self.is_filtered() && self.effect() == Effect::Allow.as_str()
    }

    /// Whether the answer holds some of the objects only.
    fn is_filtered(&self) -> bool {
        let decision = self.decision();
        decision.is_some_and(|decision| decision.effect == Effect::Allow && decision.obligations.filter)
    }

    pub(super) fn is_discovery(&self) -> bool {
        self.is_plain() && self.action().is_some_and(|action| !action.is_resource())
    }

    /// The same request again, or exec's second try by the older protocol.
    fn repeats(&self, before: &Self) -> bool {
        match (&self.request.reading, &before.request.reading) {
            (Ok(one), Ok(other)) => {
                let same = one.action == other.action && one.options == other.options && one.object == other.object;
                same && (self.request.method == before.request.method || one.info.stream.is_session())
            }
            (Err(one), Err(other)) => one == other && self.request.request_uri == before.request.request_uri,
            _ => false,
        }
    }

    fn as_json(&self) -> Value {
        let mut value = json!({
            "method": self.request.method, "requestUri": self.request.request_uri, "effect": self.effect(),
        });
        match &self.request.reading {
            Err(message) => set(&mut value, &["refused"], message.as_str()),
            Ok(reading) => {
                set(&mut value, &["action"], json!(self.action()));
                set(&mut value, &["options"], json!(reading.options));
                let mut payload = reading.object.clone();
                if let Some(payload) = &mut payload {
                    mask_request_payload(&reading.info, payload);
                }
                set(&mut value, &["payload"], json!(payload));
            }
        }
        set(&mut value, &["decision"], json!(self.decision()));
        set(&mut value, &["change"], json!(self.change));
        set(&mut value, &["couldBe"], json!(self.could_be));
        set(&mut value, &["dependsOnLabels"], json!(self.by_labels));
        set(&mut value, &["dependsOnObject"], json!(self.by_object));
        set(&mut value, &["rules"], json!(self.explanation.as_ref().map(|explanation| &explanation.rules)));
        value
    }
}

pub(super) fn as_json(policy: &Policy, scene: &Scene, subject: &Subject, explained: &[Explained]) -> Value {
    let mut value = json!({
        "policy": {"name": policy.name(), "digest": policy.revision()},
        "subject": scene.subject, "cluster": scene.cluster, "environment": scene.environment,
        "effect": strictest(explained),
        "requests": explained.iter().map(Explained::as_json).collect::<Vec<_>>(),
    });
    if let Subject::Command { command, ended, live } = subject {
        let (end, code) = match ended.end {
            End::Exited(code) => ("exited", code),
            End::OnlyWaited => ("onlyWaited", None),
            End::TooLong => ("tookTooLong", None),
        };
        let told = json!({"argv": command, "end": end, "exitCode": code, "readsFromCluster": live,
            "stdout": ended.stdout, "stderr": ended.stderr});
        set(&mut value, &["command"], told);
    }
    value
}

/// refused, deny, ask or allow: the strictest of all.
fn strictest(explained: &[Explained]) -> &'static str {
    let order = |effect: &str| ["allow", "ask", "deny", "refused"].iter().position(|word| *word == effect);
    explained.iter().map(Explained::effect).max_by_key(|effect| order(effect)).unwrap_or("allow")
}

pub(super) fn in_words(
    style: Style,
    policy: &Policy,
    scene: &Scene,
    subject: &Subject,
    explained: &[Explained],
    all: bool,
) -> String {
    let mut text = head(style, policy, scene, subject);
    let discovery = explained.iter().filter(|one| one.is_discovery()).count();
    let mut number = 0;
    let mut rest = explained.iter().filter(|one| !one.is_discovery() || matches!(subject, Subject::Request)).peekable();
    if discovery > 0 && matches!(subject, Subject::Command { .. }) {
        text.push_str(&style.dim(&format!("{} of discovery: allowed\n", count(discovery, "request"))));
    }
    while let Some(one) = rest.next() {
        let mut times = 1;
        while rest.peek().is_some_and(|next| next.repeats(one)) {
            rest.next();
            times += 1;
        }
        number += 1;
        text.push('\n');
        text.push_str(&request(style, number, one, times, all || matches!(subject, Subject::Request)));
    }
    text.push_str(&foot(style, subject, explained));
    text
}

fn head(style: Style, policy: &Policy, scene: &Scene, subject: &Subject) -> String {
    let groups = match scene.subject.groups.as_slice() {
        [] => String::new(),
        groups => format!(" in {}", groups.join(", ")),
    };
    let environment = if scene.environment.is_empty() { String::new() } else { format!(" ({})", scene.environment) };
    let name = if policy.name().is_empty() { String::new() } else { format!(" {}", policy.name()) };
    let who = format!(
        "{}{groups} on cluster {}{environment}, policy{name} {}",
        scene.subject.name(),
        scene.cluster,
        policy.short_revision()
    );
    let who = inert::line(&who);
    match subject {
        Subject::Command { command, .. } => format!("{}\n{who}\n", style.bold(&inert::line(&quoted(command)))),
        Subject::Request => format!("{who}\n"),
    }
}

fn request(style: Style, number: usize, one: &Explained, times: usize, all: bool) -> String {
    let uri = inert::line(&one.request.request_uri).into_owned();
    let again = match (times, one.action().is_some_and(|action| action.stream.is_session())) {
        (1, _) => String::new(),
        (_, true) => style.dim("  (and again by the older protocol: the same ticket)"),
        (times, false) => style.dim(&format!("  ({times} times)")),
    };
    let mut text = format!("{number}. {} {uri}{again}\n", style.bold(&one.request.method));
    if let (true, false, Some(action), Some(decision)) = (one.is_plain(), all, one.action(), one.decision()) {
        let rule = decision.rule.as_deref().unwrap_or_default();
        let what = inert::line(&what(action)).into_owned();
        let words = format!("{what}: {} by rule {}", style.green("allowed"), inert::line(rule));
        text.push_str(&format!("   {words}\n"));
        return text;
    }
    let mut line = |words: String| text.push_str(&format!("   {words}\n"));
    let explanation = match (&one.request.reading, &one.explanation) {
        (_, Some(explanation)) => explanation,
        (Err(message), None) => {
            line(format!("{}: {}", style.red("REFUSED before any rule"), inert::line(message)));
            return text;
        }
        (Ok(_), None) => return text,
    };
    let decision = &explanation.decision;
    line(inert::line(&what(&explanation.action)).into_owned());
    if !one.change.is_empty() {
        line(inert::line(&one.change.join(", ")).into_owned());
    }
    let options = options(&explanation.options);
    if !options.is_empty() {
        line(style.dim(&inert::line(&options)));
    }
    line(verdict(style, decision));
    if !one.by_labels.is_empty() {
        let words = inert::line(&by_labels(&one.by_labels)).into_owned();
        line(format!(
            "{}: depends on the object's labels: {words} (--kubeconfig FILE reads it)",
            style.yellow("not certain")
        ));
    }
    if !one.by_object.is_empty() {
        let words = inert::line(&by_object(&one.by_object)).into_owned();
        line(format!(
            "{}: depends on the object as it is in the cluster: {words} (--kubeconfig FILE reads it)",
            style.yellow("not certain")
        ));
    }
    if one.is_filtered() && explanation.action.name.is_none() {
        let parts = inert::line(&parts(explanation)).into_owned();
        line(format!(
            "{}: it holds what the rules give, object by object{parts}",
            style.yellow("the answer is filtered")
        ));
    }
    for words in unevaluated(explanation) {
        line(format!("{}: {}", style.yellow("note"), inert::line(&words)));
    }
    // What an unread object makes it say may not be what is said.
    if let Some(message) = decision.message.as_ref().filter(|_| one.by_object.is_empty()) {
        line(format!("the caller reads: {}", inert::line(message)));
    }
    if !one.is_plain() || all {
        why(explanation).iter().for_each(|words| line(style.dim(&inert::line(words))));
    }
    if !one.could_be.is_empty() {
        line(format!(
            "{}: its class depends on the object that it changes, and may be higher (--kubeconfig FILE reads it)",
            style.yellow("not certain")
        ));
    }
    text
}

/// `delete namespaces/shop, risk mass`
fn what(action: &Action) -> String {
    let risk = word(action.risk);
    if !action.is_resource() {
        return format!("{} {}, risk {risk}", action.verb, action.path);
    }
    let group = if action.api_group.is_empty() { String::new() } else { format!(".{}", action.api_group) };
    let part = action.subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    let name = action.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place = match &action.namespace {
        Some(namespace) if action.resource != "namespaces" => format!(" in namespace {namespace}"),
        _ => String::new(),
    };
    format!("{} {}{group}{part}{name}{place}, risk {risk}", action.verb, action.resource)
}

/// The options in effect that say something, in their own words.
fn options(options: &Options) -> String {
    let value = serde_json::to_value(options).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
        Value::Bool(false) | Value::Null => None,
        Value::Bool(true) => Some(name.clone()),
        Value::String(text) => Some(format!("{name}={text}")),
        Value::Object(_) if name == "exec" => None,
        other => Some(format!("{name}={other}")),
    });
    let exec = options.exec.iter().flat_map(|exec| {
        let argv = (!exec.argv.is_empty()).then(|| format!("argv: {}", quoted(&exec.argv)));
        let container = exec.container.as_ref().map(|name| format!("container={name}"));
        let streams = [(exec.stdin, "stdin"), (exec.tty, "tty")].into_iter().filter(|(open, _)| *open);
        argv.into_iter().chain(container).chain(streams.map(|(_, name)| name.to_owned()))
    });
    exec.chain(fields).collect::<Vec<_>>().join("  ")
}

fn verdict(style: Style, decision: &Decision) -> String {
    let rule = match &decision.rule {
        Some(rule) => format!("by rule {}", style.bold(&inert::line(rule))),
        None => "by no rule: what no rule allows is denied".to_owned(),
    };
    let word = match decision.effect {
        Effect::Allow => style.green("ALLOWED"),
        Effect::Deny => style.red("DENIED"),
        Effect::Ask => style.yellow("ASKS"),
    };
    let asked = decision.terms.as_ref().map(|terms| format!(": {}", inert::line(&terms_in_words(terms))));
    format!("{word} {rule}{}", asked.unwrap_or_default())
}

/// `denied if team=finance (rule no-finance)`
fn by_labels(rules: &[ByLabels]) -> String {
    let one = |ByLabels { rule, effect, labels }: &ByLabels| {
        format!("{} if {} (rule {rule})", passes(*effect), labels.join(","))
    };
    rules.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// ``allowed if `oldObject.…` (rule own), else denied (no rule)``
fn by_object(verdicts: &[ByObject]) -> String {
    let one = |ByObject { rule, effect, when }: &ByObject| {
        let rule = rule.as_ref().map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
        match when {
            Some(when) => format!("{} if `{when}` ({rule})", passes(*effect)),
            None => format!("{} ({rule})", passes(*effect)),
        }
    };
    verdicts.iter().map(one).collect::<Vec<_>>().join(", else ")
}

const fn passes(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allowed",
        Effect::Deny => "denied",
        Effect::Ask => "asks",
    }
}

/// Which rules speak about some of what an answer holds: `; some is denied by rule no-finance`
fn parts(explanation: &Explanation) -> String {
    let some = explanation.rules.iter().filter(|trace| !trace.too_late && trace.outcome == RuleOutcome::MatchesPart);
    let one = |trace: &RuleTrace| match trace.effect {
        Effect::Ask => format!("; rule {} asks about some", trace.rule),
        effect => format!("; some is {} by rule {}", passes(effect), trace.rule),
    };
    some.map(one).collect()
}

/// Conditions that could not be evaluated, with what to write.
fn unevaluated(explanation: &Explanation) -> Vec<String> {
    let before = explanation.rules.iter().filter(|trace| !trace.too_late);
    let one = |trace: &RuleTrace| {
        let condition = trace.condition.as_ref().filter(|condition| !condition.unread)?;
        let error = condition.error.as_deref()?;
        let why = error.strip_prefix(condition.when.as_str()).map_or(error, |rest| rest.trim_start_matches([':', ' ']));
        let fix = condition.fix.as_ref().map(|fix| format!("; write `{fix}` before it")).unwrap_or_default();
        Some(format!(
            "condition of rule {} could not be evaluated ({why}): it counts against the request{fix}",
            trace.rule
        ))
    };
    before.filter_map(one).collect()
}

/// Why the rules before the one that decided did not.
fn why(explanation: &Explanation) -> Vec<String> {
    let decided_by = explanation.decision.rule.as_deref();
    let others: Vec<&RuleTrace> =
        explanation.rules.iter().filter(|trace| !trace.too_late && Some(trace.rule.as_str()) != decided_by).collect();
    let width = others.iter().map(|trace| trace.rule.chars().count()).max().unwrap_or(0).min(RULE_WIDTH_MAX);
    others
        .iter()
        .enumerate()
        .map(|(index, trace)| {
            let head = if index == 0 { "not by" } else { "" };
            let said = trace.to_string();
            let said = said.strip_prefix("does not match: ").unwrap_or(&said);
            format!("{head:6}  {:width$}  {said}", trace.rule)
        })
        .collect()
}

fn word(risk: Risk) -> String {
    serde_json::to_value(risk).ok().as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn foot(style: Style, subject: &Subject, explained: &[Explained]) -> String {
    let many = |effect: &str| explained.iter().filter(|one| one.effect() == effect).count();
    let (ask, deny, refused) = (many("ask"), many("deny"), many("refused"));
    let mut parts = vec![format!("{} allowed", many("allow"))];
    for (number, word) in [(ask, "asked about"), (deny, "denied"), (refused, "refused")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let mut text = String::new();
    if explained.len() > 1 {
        text.push_str(&format!("\n{}: {}\n", count(explained.len(), "request"), parts.join(", ")));
    }
    if let Subject::Command { command, ended, live } = subject {
        if (ask + deny + refused) > 0 && explained.len() > 1 {
            text.push_str(
                "At the first request that does not pass, the real command would stop or wait; here it went on.\n",
            );
        }
        if !live {
            text.push_str(&style.dim(
                "Reads were answered by a stand-in: what depends on your objects can differ (--kubeconfig FILE reads them).\n",
            ));
        }
        let session = explained.last().and_then(Explained::action).is_some_and(|action| action.stream.is_session());
        if !session {
            text.push_str(&end(command, ended));
        }
    }
    text
}

fn end(command: &[String], ended: &Ended) -> String {
    let name = command.first().map(|program| super::program::name(program)).unwrap_or_default();
    match ended.end {
        End::Exited(Some(0)) => String::new(),
        End::OnlyWaited => format!("{name} only waited for events after that, and was ended.\n"),
        End::TooLong => format!("{name} took too long and was ended: there may be more requests (--timeout).\n"),
        End::Exited(code) => {
            let how = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with exit code {code}"));
            let said: Vec<&str> = ended.stderr.lines().rev().take(3).collect();
            let said: String = said.iter().rev().map(|line| format!("  {}\n", inert::line(line))).collect();
            format!("{name} ended {how}: there may be more requests than it could make here.\n{said}")
        }
    }
}
