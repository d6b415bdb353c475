//! Clusters: where they are and how we are known there.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use lockgate_core::Timestamp;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use url::Url;

/// One cluster, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// Its name in Lockgate: the path `/clusters/<name>/`.
    pub name: String,
    /// How it is marked (`production`, say); policies may match it.
    #[serde(default)]
    pub environment: String,
    /// How Lockgate is known there.
    pub credential: CredentialConfig,
    /// As whom requests arrive there.
    #[serde(default)]
    pub impersonate: Impersonate,
}

/// As whom requests arrive at a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Impersonate {
    /// As the calling subject, `agent:<id>` in groups `lockgate:<group>`.
    #[default]
    Agent,
}

/// Where the credential comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum CredentialConfig {
    /// From a kubeconfig file.
    Kubeconfig(KubeconfigReference),
    /// The pod's own service account.
    InCluster(InClusterConfig),
}

/// A context of a kubeconfig file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeconfigReference {
    /// The file.
    pub file: std::path::PathBuf,
    /// The context; without it the file's `current-context`.
    #[serde(default)]
    pub context: Option<String>,
}

/// Where a pod finds its service account; the defaults are Kubernetes' own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InClusterConfig {
    /// `token`, `ca.crt`.
    pub directory: Option<std::path::PathBuf>,
    /// The API server; else from `KUBERNETES_SERVICE_HOST` and `_PORT`.
    pub server: Option<String>,
}

/// Why there is no way into a cluster. Says which file, which context, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cluster {cluster}: {reason}")]
pub struct CredentialError {
    /// The cluster's name in the configuration.
    pub cluster: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// One API server and our credential for it.
pub struct Cluster {
    /// Its name in Lockgate.
    pub name: String,
    /// How it is marked; empty when it is not.
    pub environment: String,
    /// As whom requests arrive there.
    pub impersonate: Impersonate,
    /// The server's base URL, with a path if it has one and no trailing slash.
    pub server: Url,
    /// The name that its certificate must have.
    pub server_name: ServerName<'static>,
    /// For bounded answers: ALPN h2, then http/1.1.
    pub tls: Arc<rustls::ClientConfig>,
    /// For upgrades and streams: ALPN http/1.1.
    pub tls_http1: Arc<rustls::ClientConfig>,
}

impl Cluster {
    /// Reads the files of a configuration; talks to nobody. Blocks on the file system: call it at start.
    pub fn load(config: &ClusterConfig) -> Result<Self, CredentialError> {
        Err(CredentialError { cluster: config.name.clone(), reason: "credentials are not read yet".into() })
    }

    /// The `Authorization` header for one request, marked sensitive; `None` where the credential is a client
    /// certificate. Cancel safe: a plugin that runs goes on for the next caller.
    pub async fn authorization(&self, _now: Timestamp) -> Result<Option<HeaderValue>, CredentialError> {
        Err(CredentialError { cluster: self.name.clone(), reason: "credentials are not read yet".into() })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} at {})", self.name, self.server)
    }
}
