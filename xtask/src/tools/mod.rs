//! What the tests and the demo need from outside (Go, Node, Debian packages, clients): found, installed or named.
//!
//! Everything that is built or downloaded lands in one cache outside the clone (`$LOCKGATE_CACHE`, else `~/.cache/lockgate`), keyed by
//! version, and is made once however many builders start together. Builds run with low priority, so that a Rust build beside them
//! keeps its pace. This module knows nothing of clusters. Start with `cache::once`.

mod cache;
mod clients;
mod debian;
mod go;
mod image;
mod kubernetes;
mod process;
mod progress;
mod versions;

pub(crate) use cache::{directory as cache_directory, lock, once as cached};
pub(crate) use clients::{chromium, chromium_driver, helm, k9s, node, python_client};
pub(crate) use debian::{find_program, is_root, packages};
pub(crate) use go::{Build as GoBuild, build_module as build_go_module};
pub(crate) use kubernetes::{Release, Scope, images, programs};
pub(crate) use process::{log_tail, output, quiet};
pub(crate) use progress::{Progress, duration};
pub(crate) use versions::{IMAGE_AGNHOST, IMAGE_BUSYBOX, IMAGE_PAUSE};

/// The cache entries that take minutes to make.
pub(crate) fn slow_entries() -> [String; 4] {
    [
        format!("kubernetes-{}", versions::KUBERNETES),
        format!("kubernetes-{}", versions::KUBERNETES_OLDER),
        format!("helm-{}", versions::HELM),
        format!("k9s-{}", versions::K9S),
    ]
}
