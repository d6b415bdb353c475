//! Annotations that copy a manifest or a command.

use super::path::Next;
use super::profile::Values;
use super::reason::Reason;

/// What an annotation other than kubectl's `last-applied-configuration` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Annotation {
    /// A manifest in JSON; masked whole if it is something else.
    Manifest,
    /// Anything: masked inside if it is JSON, masked whole if it is a manifest in YAML.
    Any,
}

/// JSON manifests, and what kapp writes beside its own.
const MANIFESTS: [&[u8]; 2] = [b"kapp.k14s.io/original", b"kapp.k14s.io/original-diff"];

/// Manifests that are packed (base64, gzip, zip), which nobody reads by eye.
const PACKED: [&[u8]; 2] = [b"objectset.rio.cattle.io/applied", b"banzaicloud.com/last-applied"];

/// A command line as it was typed.
const CHANGE_CAUSE: &[u8] = b"kubernetes.io/change-cause";

impl Annotation {
    /// What the value of the annotation `key` is.
    pub(super) fn next(key: &[u8], values: Values) -> Next {
        match values {
            Values::Pass => Next::Pass,
            _ if PACKED.contains(&key) => Next::Mask(Reason::Annotation),
            Values::All if key == CHANGE_CAUSE => Next::Mask(Reason::Annotation),
            _ if MANIFESTS.contains(&key) => Next::Annotation(Self::Manifest),
            _ => Next::Annotation(Self::Any),
        }
    }
}

/// Whether a text may be a manifest in whatever form.
pub(super) fn is_manifest(text: &str) -> bool {
    text.contains("apiVersion") && text.contains("kind")
}
