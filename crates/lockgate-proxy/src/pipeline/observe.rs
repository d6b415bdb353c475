//! What stands at the target now? Read, as the agent, only where it can change the verdict or a human will be asked: the
//! risk class of a change often depends on what it changes (`replicas: 2` is routine or an outage), and so may a rule
//! (`oldObject`). The classification is then made again. A target that cannot be read makes the class the higher one that
//! it could be, and the decision says so.

use lockgate_core::{Action, Decision, Effect, PatchType, Verb};
use lockgate_policy::change::{self, Change};
use lockgate_policy::risk;

use super::preview::{Live, Observed};
use super::{Refusal, Stop, Understood, decide, preview};
use crate::gateway::Gateway;

pub(super) async fn observe(gateway: &Gateway, understood: Understood) -> Result<Understood, Stop> {
    let mut understood = understood;
    if decide::asks_by_object(gateway, &understood) {
        match preview::object_of_read(gateway, &understood).await {
            Ok(live) => understood.observed = Observed::Live(live),
            Err(Refusal::Store(error)) => return Err(Stop::refuse(understood.log, Refusal::Store(error))),
            // It is not there, or denied: decided as if nobody knew.
            Err(_) => {}
        }
        return Ok(understood);
    }
    if reads_a_part(&understood) && decide::hangs_on_object(gateway, &understood) {
        match preview::object_of_read(gateway, &understood).await {
            Ok(live) => understood.observed = Observed::Live(live),
            Err(Refusal::Store(error)) => return Err(Stop::refuse(understood.log, Refusal::Store(error))),
            Err(refusal) => is_unreadable(&mut understood, refusal),
        }
        return Ok(understood);
    }
    let creates = creates_if_absent(&understood) && decide::differs_as_create(gateway, &understood);
    if !preview::names_an_object(&understood) || !(creates || is_needed(gateway, &understood)) {
        return Ok(understood);
    }
    let found = match std::mem::replace(&mut understood.observed, Observed::NotRead) {
        Observed::NotRead => preview::target(gateway, &understood).await,
        Observed::Live(live) => Ok(live),
        Observed::Refused(refusal) => Err(refusal),
    };
    match found {
        Ok(live) => {
            understood.may_create = creates && live.uid.is_none();
            understood.observed = Observed::Live(live);
            let request = request(&understood);
            let (risk, reviewed) = (risk::classify(&request), change::reviewed(&request));
            understood.reviewed = reviewed;
            reclassify(&mut understood, risk);
        }
        Err(Refusal::Store(error)) => return Err(Stop::refuse(understood.log, Refusal::Store(error))),
        Err(refusal) => {
            understood.may_create = creates;
            let request = request(&understood);
            let is_there = !matches!(refusal, Refusal::TargetNotFound { .. });
            if is_there && risk::depends_on_old_object(&request) {
                let risk = risk::classify_unreadable(&request);
                reclassify(&mut understood, risk);
            }
            is_unreadable(&mut understood, refusal);
        }
    }
    Ok(understood)
}

/// Whether it makes the object that it names, if that is not there: a server-side apply, and a PUT of some resources
/// (`AllowCreateOnUpdate` in `k8s.io/apiserver/pkg/registry/rest`).
fn creates_if_absent(understood: &Understood) -> bool {
    let applies = understood.options.patch_type == Some(PatchType::Apply);
    understood.info.subresource.is_none() && (understood.info.verb == Verb::Update || applies)
}

/// Whether it reads something that belongs to one object and does not show that object: its log, its scale.
fn reads_a_part(understood: &Understood) -> bool {
    let shows = matches!(understood.info.subresource.as_deref(), None | Some("status"));
    understood.info.verb.is_read() && !shows
}

/// Of what is not there the cluster itself will say so, if the request is let through.
fn is_unreadable(understood: &mut Understood, refusal: Refusal) {
    if !matches!(refusal, Refusal::TargetNotFound { .. }) {
        understood.unreadable = Some(format!("its target cannot be read: {}", in_words(understood, &refusal)));
    }
    understood.observed = Observed::Refused(refusal);
}

/// The request as the classifier sees it, with the live object where it was read.
fn request(understood: &Understood) -> risk::Request<'_> {
    risk::Request::of(&understood.action, &understood.options, understood.judged())
        .with_old_object(old_object(understood))
}

/// The live object, where it was read.
pub(super) fn old_object(understood: &Understood) -> Option<&serde_json::Value> {
    match &understood.observed {
        Observed::Live(live) => live.object.as_ref(),
        Observed::NotRead | Observed::Refused(_) => None,
    }
}

/// Whether the fields that the request changes stand as they were reviewed (invariant 12). What stands there now takes the
/// place of what was observed, and the class follows it.
pub(super) fn is_as_reviewed(understood: &mut Understood, live: Live) -> bool {
    understood.observed = Observed::Live(live);
    let request = request(understood);
    let (risk, reviewed) = (risk::classify(&request), change::reviewed(&request));
    understood.action.risk = risk;
    reviewed == understood.reviewed
}

/// Reads the target if nobody has: for whom the change itself matters and not only the verdict. What is not there, or cannot
/// be read, stays unknown.
pub(super) async fn target(gateway: &Gateway, understood: &mut Understood) -> Result<(), Refusal> {
    if !matches!(understood.observed, Observed::NotRead) || !preview::names_an_object(understood) {
        return Ok(());
    }
    understood.observed = match preview::target(gateway, understood).await {
        Ok(live) => Observed::Live(live),
        Err(Refusal::Store(error)) => return Err(Refusal::Store(error)),
        Err(refusal) => Observed::Refused(refusal),
    };
    Ok(())
}

/// What the request changes, as far as is known.
pub(super) fn change(understood: &Understood) -> Change {
    Change::of(&request(understood))
}

fn reclassify(understood: &mut Understood, risk: lockgate_core::Risk) {
    understood.action.risk = risk;
    understood.log.arrival().action = Some(understood.action.clone());
}

/// Whether a rule looks at the live object, a human will be asked, or the verdict differs among the classes that the
/// request may turn out to have.
fn is_needed(gateway: &Gateway, understood: &Understood) -> bool {
    if understood.info.verb.is_read() && !understood.info.stream.is_session() {
        return false;
    }
    let first = decide::decision_on(gateway, understood, &understood.action);
    if first.effect == Effect::Ask || decide::needs_old_object(gateway, understood) {
        return true;
    }
    let request = request(understood);
    risk::depends_on_old_object(&request)
        && risk::reachable(&request).any(|risk| {
            let action = Action { risk, ..understood.action.clone() };
            !same(&first, &decide::decision_on(gateway, understood, &action))
        })
}

fn same(one: &Decision, other: &Decision) -> bool {
    one.effect == other.effect && one.rule == other.rule
}

/// Why the target cannot be read.
pub(super) fn in_words(understood: &Understood, refusal: &Refusal) -> String {
    match refusal {
        Refusal::PreviewNotAllowed(why) => why.clone(),
        Refusal::PreviewRefused { status } => format!("the cluster answers HTTP {status}"),
        other => other.message(&super::summary::in_words(&understood.action, &understood.options)),
    }
}
