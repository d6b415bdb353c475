//! What is said where labels decide, and the object that has them could not be read: which rule, why not, and one next step.

use lockgate_core::{PatchType, Verb};

use super::preview::Observed;
use super::{Refusal, Understood, decide};
use crate::gateway::Gateway;

/// Why an object is not known, and what to do about it; half sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Why it could not be read.
    pub why: String,
    /// What to do.
    pub next: String,
}

/// The refusal of a request that is denied because the object's labels are not known; `None` where that is not why.
pub(super) fn refusal(gateway: &Gateway, understood: &mut Understood) -> Option<Refusal> {
    let rule = decide::by_labels(gateway, understood).into_iter().next()?.rule;
    let observed = std::mem::replace(&mut understood.observed, Observed::NotRead);
    let resource = understood.action.resource_path();
    let resource = resource.split('/').next().unwrap_or_default();
    let unseen = match observed {
        // As a read of the object itself is answered, in the words of the cluster.
        Observed::Refused(refusal @ Refusal::TargetNotFound { .. }) if understood.info.verb.is_read() => {
            return Some(refusal);
        }
        Observed::Refused(refusal) => Unseen::because(&refusal, resource),
        Observed::Live(_) if understood.info.verb == Verb::Patch => {
            let applies = understood.options.patch_type == Some(PatchType::Apply);
            let create = "create it (kubectl create) if it is not there yet".to_owned();
            let unseen = Unseen::nowhere();
            if applies { Unseen { next: create, ..unseen } } else { unseen }
        }
        Observed::Live(_) | Observed::NotRead => return None,
    };
    let summary = super::summary::in_words(&understood.action, &understood.options);
    let cluster = understood.upstream.cluster().name.clone();
    Some(Refusal::Unseen { rule, summary, cluster, unseen })
}

impl Unseen {
    /// Nothing of that name is there, or nothing that the caller may see; the same words for both.
    pub(crate) fn nowhere() -> Self {
        Self { why: "there is none of that name that you may see".to_owned(), next: "check the name".to_owned() }
    }

    /// What kept Lockgate from reading one of `resource`.
    pub(crate) fn because(refusal: &Refusal, resource: &str) -> Self {
        match refusal {
            Refusal::TargetNotFound { .. } => Self::nowhere(),
            Refusal::PreviewNotAllowed(_) => Self {
                why: format!("the policy does not let you get {resource}"),
                next: format!("tell your human that the policy must let you get {resource} too"),
            },
            Refusal::PreviewRefused { status } => Self {
                why: format!("the cluster refuses to show it (HTTP {status})"),
                next: format!("tell your human that your role in the cluster must let you get {resource}"),
            },
            _ => Self { why: "the cluster did not show it".to_owned(), next: "send it again".to_owned() },
        }
    }
}
