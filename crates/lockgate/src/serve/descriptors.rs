//! File descriptors: every client connection needs one, and every watch, followed log and session one more towards the
//! cluster. The usual soft limit of 1,024 is for programs that use `select`; this one may use all that the machine allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as Go programs (kube-apiserver among them) do at their start.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = ?limit.current, "cannot raise the limit of open files; many watches may exhaust it");
    }
}
