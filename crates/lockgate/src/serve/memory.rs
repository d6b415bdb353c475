//! Where this process's memory must not go: into a core dump, into another process of the same user, onto a disk's swap.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// No core dumps and no debugger of the same user: credentials and Secrets' values are in this memory.
pub(super) fn keep_out_of_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    // Where core dumps are piped to a program the limit does not count.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable).and(limited) {
        tracing::warn!(%error, "core dumps of this process cannot be turned off; turn them off for the machine");
    }
}

/// Keeps all memory of this process, that of now and that to come, out of swap. Where the system does not let it the
/// process runs all the same: known values are then as safe as its credentials.
pub(super) fn lock() {
    let locked = may_lock().and_then(|()| {
        // Page by page as it is used: nothing is made resident that would not have been.
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
    });
    match locked {
        Ok(()) => tracing::info!("this process's memory is locked: known values are never swapped"),
        Err(error) => tracing::warn!(
            %error,
            "this process's memory cannot be locked: known values may be swapped to disk. Turn swap off, or allow it: \
             LimitMEMLOCK=infinity for systemd, the capability IPC_LOCK for a container"
        ),
    }
}

/// Without a limit, or not at all: at a limit that is reached later an allocation would fail, and with it the process.
fn may_lock() -> Result<(), Errno> {
    let limit = getrlimit(Resource::Memlock);
    if limit.maximum.is_none() {
        return setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
    let is_privileged = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if is_privileged { Ok(()) } else { Err(Errno::PERM) }
}
