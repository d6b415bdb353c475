//! Which masked values does the request speak of? A placeholder that comes back in a write stands for the value that the
//! live object has there: it is put back or left out, or the write is refused; a question about a masked value is refused.
//!
//! What the agent sent stays what is recorded, fingerprinted and reviewed. The verdict is about what it comes to. What is
//! put back is put back last, behind the approval, into the very bytes that were reviewed, and pinned to the version it
//! was read from. Which fields these are is told by `lockgate-wire`'s masker alone.

use bytes::Bytes;
use http::header::HeaderValue;
use lockgate_core::{MaskProfile, PatchType, Stream, Verb};
use lockgate_policy::risk;
use lockgate_store::{Grant, Instead, RequestBody};
use lockgate_wire::mask::restore::{self, Live, Masking, Restored, Revision, Unrestorable, Values, Write};
use lockgate_wire::{WireError, body};
use serde_json::Value;

use super::approve::Outgoing;
use super::mask::masking;
use super::preview::{self, Observed};
use super::{Refusal, Stop, Understood, decide, observe};
use crate::gateway::Gateway;

/// A write of which the cluster gets more than the agent sent.
pub(super) struct Restoring {
    made_of: MadeOf,
    /// By what stands there now.
    restored: Restored,
    /// What the write comes to.
    effective: Value,
}

/// Where the values are.
enum MadeOf {
    /// In the object that is written.
    Target(Write, Values),
    /// In the revision of a Helm release of which the new one was made; and the last revision, where that is another.
    Revision(Box<Live>, Option<Box<Live>>),
}

/// What a request may have to do with masked values.
enum Concern {
    /// It changes an object.
    Target(Because, Write, Values),
    /// It stores a new revision of a Helm release.
    Revision(Revision),
}

/// Why the live object must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Placeholders are to be replaced.
    Placeholders,
    /// It may ask what is masked.
    Asks,
}

pub(super) async fn restore(gateway: &Gateway, understood: Understood) -> Result<Understood, Stop> {
    let mut understood = understood;
    match restoring(gateway, &mut understood).await {
        Ok(None) => Ok(understood),
        Ok(Some(restoring)) => {
            understood.log.arrival().request.restored = restoring.restored.restored + restoring.restored.dropped;
            understood.restoring = Some(restoring);
            let (action, options) = (&understood.action, &understood.options);
            understood.action.risk = risk::classify(&risk::Request::of(action, options, understood.judged()));
            understood.log.arrival().action = Some(understood.action.clone());
            Ok(understood)
        }
        Err(Refusal::Store(error)) => Err(Stop::refuse(understood.log, Refusal::Store(error))),
        // What the policy denies it denies, whatever else is wrong with it.
        Err(refusal) => {
            understood.unrestorable = Some(refusal);
            Ok(understood)
        }
    }
}

impl Understood {
    /// What the request comes to, and so what is decided about.
    pub(super) fn judged(&self) -> Option<&Value> {
        self.restoring.as_ref().map(|restoring| &restoring.effective).or(self.object.as_ref())
    }

    /// The values that are put back, to tell later whether they are the same still.
    pub(super) fn put_back(&self) -> Option<&[u8]> {
        let values = self.restoring.as_ref().map(|restoring| restoring.restored.values.as_slice());
        values.filter(|values| !values.is_empty())
    }
}

async fn restoring(gateway: &Gateway, understood: &mut Understood) -> Result<Option<Restoring>, Refusal> {
    let (because, write, values) = match concern(gateway, understood)? {
        None => return Ok(None),
        Some(Concern::Revision(revision)) => return of_revision(gateway, understood, revision).await.map(Some),
        Some(Concern::Target(because, write, values)) => (because, write, values),
    };
    let live = match live(gateway, understood).await {
        Ok(live) => live,
        // What is not there tells nothing.
        Err(Refusal::TargetNotFound { .. }) if because == Because::Asks => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let object = understood.object.as_ref().unwrap_or(&Value::Null);
    let Some((live, masking)) = live else {
        return if because == Because::Asks { Ok(None) } else { Err(new(object)) };
    };
    let json = json_of(understood, object);
    let restored = restore::restore(&json, write, values, &live, &masking);
    let Some(restored) = restored.map_err(|error| refusal(understood, error))? else { return Ok(None) };
    let effective = serde_json::from_slice(&restored.unpinned).map_err(|_| Refusal::PreviewUnreadable)?;
    Ok(Some(Restoring { made_of: MadeOf::Target(write, values), restored, effective }))
}

/// A new revision of a Helm release with the values of the one that it was made of.
async fn of_revision(gateway: &Gateway, understood: &Understood, revision: Revision) -> Result<Restoring, Refusal> {
    let object = understood.object.as_ref().unwrap_or(&Value::Null);
    let read = async |name: &str| match preview::beside(gateway, understood, name).await {
        Ok(Some(read)) => {
            let masking = masking(gateway, understood, read.mask);
            let live = Live::read(&read.bytes, &masking).map_err(|_| Refusal::PreviewUnreadable)?;
            Ok(Box::new(live))
        }
        Ok(None) => Err(new(object)),
        Err(refusal @ Refusal::Store(_)) => Err(refusal),
        Err(refusal) => Err(Refusal::NotRestorable(observe::in_words(understood, &refusal))),
    };
    let source = read(&revision.source).await?;
    let last = match &revision.last {
        Some(last) => Some(read(last).await?),
        None => None,
    };
    let json = json_of(understood, object);
    let restored = restore::restore_revision(&json, &source, last.as_deref());
    let restored = restored.map_err(|error| refusal(understood, error))?;
    let effective = serde_json::from_slice(&restored.unpinned).map_err(|_| Refusal::PreviewUnreadable)?;
    Ok(Restoring { made_of: MadeOf::Revision(source, last), restored, effective })
}

/// Whether the request may concern masked values, as far as it tells itself.
fn concern(gateway: &Gateway, understood: &Understood) -> Result<Option<Concern>, Refusal> {
    let is_write = understood.info.is_resource() && understood.info.stream == Stream::None;
    let Some(object) = understood.object.as_ref().filter(|_| is_write) else {
        return selector(gateway, understood).map(|()| None);
    };
    let write = match understood.info.verb {
        Verb::Create if restore::holds(object) => {
            let is_secret = understood.action.resource_path() == "secrets" && understood.info.api_group.is_empty();
            let revision = Revision::of(object).filter(|_| is_secret);
            return revision.map(|revision| Some(Concern::Revision(revision))).ok_or_else(|| new(object));
        }
        Verb::Update => Write::Whole,
        Verb::Patch => write_of(understood.options.patch_type),
        _ => return selector(gateway, understood).map(|()| None),
    };
    Ok(because(gateway, understood, object, write).map(|(because, values)| Concern::Target(because, write, values)))
}

/// The body as the client sent it, as JSON.
fn json_of(understood: &Understood, object: &Value) -> Vec<u8> {
    let sent = understood.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    body::as_json(sent, understood.body.bytes(), object).0
}

/// What must be known of the live object before this write, if anything.
fn because(gateway: &Gateway, understood: &Understood, object: &Value, write: Write) -> Option<(Because, Values)> {
    let tries = understood.options.dry_run
        && (write == Write::Json || masking(gateway, understood, MaskProfile::Strict).covers(object));
    let values = if tries { Values::AsTheyStand } else { Values::AsGiven };
    let asks = tries || (write == Write::Json && restore::asks(object));
    if restore::holds(object) { Some((Because::Placeholders, values)) } else { asks.then_some((Because::Asks, values)) }
}

/// A selector on a masked field tells what it holds.
fn selector(gateway: &Gateway, understood: &Understood) -> Result<(), Refusal> {
    let Some(selector) = &understood.options.field_selector else { return Ok(()) };
    let mask = decide::decision_on(gateway, understood, &understood.action).obligations.mask;
    match masking(gateway, understood, mask).selects(selector) {
        Some(path) => Err(Refusal::AsksMasked { operation: "a field selector", path }),
        None => Ok(()),
    }
}

const fn write_of(patch_type: Option<PatchType>) -> Write {
    match patch_type {
        Some(PatchType::Json) => Write::Json,
        Some(PatchType::Merge) => Write::Merge,
        Some(PatchType::Strategic) => Write::Strategic,
        Some(PatchType::Apply) | None => Write::Whole,
    }
}

/// The live object, as it is and as the agent sees it; read, as the agent, if nobody has. `None`: nothing is there.
async fn live(gateway: &Gateway, understood: &mut Understood) -> Result<Option<(Live, Masking)>, Refusal> {
    let found = match std::mem::replace(&mut understood.observed, Observed::NotRead) {
        Observed::NotRead => preview::target(gateway, understood).await,
        Observed::Live(live) => Ok(live),
        Observed::Refused(refusal) => Err(refusal),
    };
    match found {
        Ok(live) => {
            understood.observed = Observed::Live(live);
            seen(gateway, understood)
        }
        Err(refusal @ (Refusal::TargetNotFound { .. } | Refusal::Store(_))) => Err(refusal),
        Err(refusal) => Err(Refusal::NotRestorable(observe::in_words(understood, &refusal))),
    }
}

/// What was read, as the agent sees it.
fn seen(gateway: &Gateway, understood: &Understood) -> Result<Option<(Live, Masking)>, Refusal> {
    let Observed::Live(preview::Live { read: Some(read), .. }) = &understood.observed else { return Ok(None) };
    let masking = masking(gateway, understood, read.mask);
    let live = Live::read(&read.bytes, &masking).map_err(|_| Refusal::PreviewUnreadable)?;
    Ok(Some((live, masking)))
}

fn new(object: &Value) -> Refusal {
    Refusal::Placeholders(restore::fields_of_new(object.to_string().as_bytes()))
}

fn refusal(understood: &Understood, error: Unrestorable) -> Refusal {
    let action = &understood.action;
    match error {
        Unrestorable::Fields(fields) => Refusal::Placeholders(fields),
        Unrestorable::Asks(asked) => Refusal::AsksMasked { operation: asked.operation, path: asked.path },
        Unrestorable::Metadata => Refusal::NotUnderstood(WireError::Body("its metadata is not an object".into())),
        Unrestorable::Modified | Unrestorable::AnotherObject => Refusal::ModifiedSinceShown {
            resource: action.resource.clone(),
            group: action.api_group.clone(),
            name: action.name.clone().unwrap_or_default(),
        },
        Unrestorable::Unreadable => Refusal::PreviewUnreadable,
    }
}

/// After a hold: by what stands there now. Says whether the values are those that stood there before.
pub(super) fn again(gateway: &Gateway, understood: &mut Understood) -> Result<bool, Refusal> {
    let Some(before) = understood.restoring.take() else { return Ok(true) };
    let json = json_of(understood, understood.object.as_ref().unwrap_or(&Value::Null));
    let now = by_what_stands(gateway, understood, &json, &before.made_of)?;
    let same = now.values == before.restored.values;
    let effective = serde_json::from_slice(&now.unpinned).map_err(|_| Refusal::PreviewUnreadable)?;
    understood.restoring = Some(Restoring { made_of: before.made_of, restored: now, effective });
    Ok(same)
}

/// What is sent in the place of the body that was let through: the reviewed one, or `outgoing`.
pub(super) fn instead(
    gateway: &Gateway,
    understood: &Understood,
    outgoing: &Outgoing,
    grant: Option<&Grant>,
) -> Result<Option<Instead>, Refusal> {
    let Some(restoring) = &understood.restoring else { return Ok(None) };
    let sent = outgoing.content_type.as_ref().and_then(|value| value.to_str().ok());
    let (of, content_type) = match grant.map(Grant::body) {
        Some((bytes, content_type)) => (Bytes::copy_from_slice(bytes), content_type),
        None => (outgoing.body.bytes().clone(), sent),
    };
    let object = body::decode(content_type, &of, &gateway.protobuf).map_err(Refusal::NotUnderstood)?;
    let (json, content_type) = body::as_json(content_type, &of, &object.unwrap_or_default());
    let restored = by_what_stands(gateway, understood, &json, &restoring.made_of)?;
    let content_type = HeaderValue::try_from(content_type).map_err(|_| Refusal::PreviewUnreadable)?;
    let body = RequestBody::whole(restored.body.into());
    Ok(Some(Instead { of: RequestBody::whole(of), body, content_type }))
}

fn by_what_stands(
    gateway: &Gateway,
    understood: &Understood,
    json: &[u8],
    made_of: &MadeOf,
) -> Result<Restored, Refusal> {
    let restored = match made_of {
        MadeOf::Target(write, values) => {
            let (live, masking) = seen(gateway, understood)?.ok_or(Refusal::PreviewUnreadable)?;
            restore::restore(json, *write, *values, &live, &masking)
        }
        MadeOf::Revision(source, last) => restore::restore_revision(json, source, last.as_deref()).map(Some),
    };
    restored.map_err(|error| refusal(understood, error))?.ok_or(Refusal::PreviewUnreadable)
}
