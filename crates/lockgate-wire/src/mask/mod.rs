//! Streaming masks for the JSON answers of the API server: bytes in, the same bytes out without the secret values.
//!
//! Owns: where secret values stand in an answer ([`MaskPlan`] from the request, [`object`] from what an object says
//! about itself), and the rewriting ([`Masker`]). Untouched bytes pass as they are: numbers, key order, white space.
//! Memory is the nesting depth plus one withheld string, whatever the answer's size.
//!
//! Refuses to know: HTTP, encodings other than JSON, values known from elsewhere. The caller makes sure that upstream
//! answers JSON, and aborts the stream on the first [`MaskError`].
//!
//! # What is masked
//! *Object positions* are the root, `items[]`, `rows[].object` and a watch event's `object`, nested in any way.
//! - For `secrets` every object there is a Secret, whatever it says. For built-in resources it is one only if it says
//!   so. For everything else (custom resources, aggregated APIs, mixed lists) it is one unless it has said otherwise
//!   *before* its data.
//! - In custom resources and ControllerRevisions every embedded object that says `kind: Secret` is one too. Kubernetes
//!   writes untyped objects with sorted keys (`apiVersion`, `data`, `kind`), so an object of the core group whose kind
//!   is not known when its `data` arrives is masked as if it were a Secret: an embedded ConfigMap loses its values as
//!   well. An object that turns out to be a Secret after its data has passed breaks the stream
//!   ([`MaskError::SecretAfterData`]); the API server writes no such order.
//! - Of a Secret, every value in `data` and `stringData`, of any JSON type, becomes [`crate::PLACEHOLDER`]; keys stay.
//!   The values of set members in `managedFields` (`v:…`) go too.
//! - The annotation `kubectl.kubernetes.io/last-applied-configuration` of every kind is read as JSON; if it holds a
//!   Secret, that is masked inside; if it is not JSON, or is larger than the limit, it is masked whole.
//! - A `Status` in answer to a request for `secrets` keeps its reason, code and field paths; values that its messages
//!   quote are masked (the `status` module says which).
//!
//! # What is checked
//! Structure: brackets, strings, the order of tokens, one object per answer (several in a watch). Subtrees that cannot
//! hold anything to mask are passed by counting brackets only; characters inside strings and numbers are for the
//! client's decoder to judge. Start at [`Masker`].

mod last_applied;
mod machine;
mod object;
mod path;
mod plan;
pub(crate) mod skip;
mod status;
pub(crate) mod text;

pub use machine::{MaskError, MaskLimits, MaskSummary, Masker};
pub use plan::MaskPlan;
