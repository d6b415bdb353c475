//! The vocabulary of Lockgate's audit record.
//!
//! Owns the nouns that appear in an audit event: who ([`Subject`]), what ([`Action`]), the verdict ([`Decision`]),
//! the human's word ([`Approval`]), what happened ([`Event`], folded into an [`AuditRecord`]) and what was typed
//! ([`Session`]). Everything is plain data that anyone may build, since the log parses it back; the *proofs* that
//! something was decided and made durable live in `lockgate-store`.
//!
//! Refuses to know: IO, tokio, the wall clock, randomness, Kubernetes' wire formats. Start at [`event`].

pub mod action;
pub mod approval;
pub mod decision;
pub mod event;
pub mod freeze;
pub mod id;
pub mod limit;
pub mod record;
pub mod secret;
pub mod session;
pub mod subject;
pub mod time;

pub use action::{Action, ExecOptions, Options, PatchType, Risk, Stream, Verb};
pub use approval::{Approval, ApprovalState, Decider, Dispatch, Terms};
pub use decision::{
    BlastLimit, BlastVerdict, DecidedBy, Decision, Effect, Limits, MaskProfile, Obligations, PolicyFacts, RateLimit,
    ShadowFacts,
};
pub use event::{Arrival, Event, EventBody, MaskedKey, Origin, RequestFacts, ResponseFacts, Source, Writer};
pub use freeze::{Clearing, Freeze, FreezeCause};
pub use id::{ApprovalId, AuditId, FreezeId, SessionId};
pub use record::{AuditRecord, DecisionFacts, Outcome, UpstreamFacts};
pub use secret::Secret;
pub use session::{Channel, ChannelDigest, Session};
pub use subject::{Subject, SubjectKind};
pub use time::{Clock, Timestamp};
