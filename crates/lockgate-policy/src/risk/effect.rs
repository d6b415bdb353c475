//! One effect in many guises: an object is gone whether it is deleted, covered by the delete of its collection, evicted,
//! scaled to zero, given an owner that does not exist, or stripped of the finalizer that its deletion waits for. A human's
//! "no" to one of them is a "no" to all, and to whatever may be one of them for all that can be told.

use lockgate_core::{Action, Options, Verb};

use super::table;
use crate::change::{Change, Step};

/// Stands for every name, or every namespace.
const ANY: &str = "*";

/// The key of the request's effect, for a table of what was denied; `None` when the request has no such effect, or only
/// runs dry. Keys of one cluster are to be compared with [`same_effect`].
pub fn effect_key(action: &Action, options: &Options, change: &Change) -> Option<String> {
    if (options.dry_run && table::keeps_dry(&action.api_group)) || !action.is_resource() {
        return None;
    }
    let none = |step: &Step<i64>| step.to.is_some_and(|to| to <= 0);
    let scaled_away = none(&change.replicas) || none(&change.max_replicas);
    let taken = !change.finalizers_removed.is_empty()
        || !change.owner_references_added.is_empty()
        || change.fields.iter().any(|field| field == "metadata.deletionTimestamp");
    let gone = match (action.verb, action.subresource.as_deref()) {
        (Verb::Delete | Verb::DeleteCollection, None) => true,
        (Verb::Create, Some("eviction")) => true,
        (Verb::Create | Verb::Update, Some("finalize")) => action.resource == "namespaces",
        (Verb::Update | Verb::Patch, None | Some("scale")) => scaled_away || taken || change.undetermined,
        _ => false,
    };
    let name = match (action.verb, action.name.as_deref()) {
        (Verb::DeleteCollection, _) => ANY,
        (_, name) => name?,
    };
    let namespace = match action.namespace.as_deref() {
        // Of a namespace itself RequestInfo says its own name.
        _ if action.resource == "namespaces" => "",
        // Over all namespaces, or of no namespace: a cluster's object has a name.
        None if name == ANY => ANY,
        namespace => namespace.unwrap_or_default(),
    };
    gone.then(|| format!("gone {}/{}/{namespace}/{name}", action.api_group, action.resource))
}

/// Whether two keys of one cluster speak of the same effect on the same target, or one covers the other.
pub fn same_effect(one: &str, other: &str) -> bool {
    let mut pairs = one.split('/').zip(other.split('/'));
    one.split('/').count() == other.split('/').count()
        && pairs.all(|(one, other)| one == other || one == ANY || other == ANY)
}
