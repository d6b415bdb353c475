//! Clusters: where they are and how we are known there.
//!
//! A [`Cluster`] is loaded once and shared; tokens that change (files, plugins) are read again by
//! [`Cluster::authorization`] when they must be. Only what is needed to connect leaves this module: two TLS
//! configurations and a header marked sensitive.

mod kubeconfig;
mod plugin;
mod tls;
mod token_file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderValue;
use lockgate_core::{Secret, Timestamp};
use rustls_pki_types::ServerName;
use serde::Deserialize;
use url::{Host, Url};

use plugin::Plugin;
use token_file::TokenFile;

/// Where a pod finds its service account.
const SERVICE_ACCOUNT_DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest name of a cluster, in bytes: it is a path segment.
const NAME_BYTES_MAX: usize = 63;

/// One cluster, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// Its name in Lockgate: the path `/clusters/<name>/`.
    pub name: String,
    /// How it is marked (`production`, say); policies may match it.
    #[serde(default)]
    pub environment: String,
    /// Whether mass or cascading destruction (the risk class `mass`) wants two people where a rule asks for one.
    #[serde(default)]
    pub four_eyes: bool,
    /// How Lockgate is known there.
    pub credential: CredentialConfig,
    /// As whom requests arrive there.
    #[serde(default)]
    pub impersonate: Impersonate,
    /// How Lockgate itself reads the Secrets there, to mask their values wherever they appear.
    #[serde(default, rename = "self")]
    pub own: Option<SelfConfig>,
}

/// Lockgate's own reads of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelfConfig {
    /// A credential that may get, list and watch Secrets, and nothing else.
    pub credential: CredentialConfig,
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
#[serde(rename_all = "camelCase")]
pub enum CredentialConfig {
    /// A context of a kubeconfig file: `{kubeconfig: {file: PATH}}`.
    Kubeconfig(KubeconfigReference),
    /// The pod's own service account: `inCluster`.
    InCluster,
}

/// A context of a kubeconfig file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeconfigReference {
    /// The file; relative paths are resolved by whoever read the configuration.
    pub file: PathBuf,
    /// The context; without it the file's `current-context`.
    #[serde(default)]
    pub context: Option<String>,
}

/// Why there is no way into a cluster. Says which file, which context, and what to do; never a value.
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
    /// Whether mass or cascading destruction here wants two people.
    pub four_eyes: bool,
    /// As whom requests arrive there.
    pub impersonate: Impersonate,
    /// The server's base URL; its path is `/` or a prefix without a trailing slash.
    pub server: Url,
    /// The name that its certificate must have.
    pub server_name: ServerName<'static>,
    /// For bounded answers: ALPN h2, then http/1.1.
    pub tls: Arc<rustls::ClientConfig>,
    /// For upgrades and streams: ALPN http/1.1.
    pub tls_http1: Arc<rustls::ClientConfig>,
    credential: Credential,
}

/// What goes into the `Authorization` header.
enum Credential {
    /// Nothing: the client certificate says who we are.
    Certificate,
    Token(HeaderValue),
    File(TokenFile),
    Plugin(Arc<Plugin>),
}

/// What a loader found out, before TLS is set up.
struct Found {
    server: Url,
    server_name: Option<String>,
    /// PEM; `None`: the system's roots.
    authority: Option<Vec<u8>>,
    /// PEM of certificate chain and key.
    identity: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    credential: Credential,
}

impl Cluster {
    /// Reads the files of a configuration; talks to nobody. Blocks on the file system: call it at start.
    pub fn load(config: &ClusterConfig) -> Result<Self, CredentialError> {
        let fail = |reason: String| CredentialError { cluster: config.name.clone(), reason };
        check_name(&config.name).map_err(|reason| fail(reason.into()))?;
        Self::assemble(config, found(&config.credential).map_err(fail)?).map_err(fail)
    }

    /// The same cluster with the credential for Lockgate's own reads, if it has one.
    pub fn load_self(&self, config: &ClusterConfig) -> Result<Option<Self>, CredentialError> {
        let fail = |reason: String| CredentialError { cluster: config.name.clone(), reason: format!("self: {reason}") };
        let Some(SelfConfig { credential }) = &config.own else { return Ok(None) };
        if *credential == config.credential {
            return Err(fail(
                "this is the credential that agents' requests are sent with; give it one of its own, which may get, list \
                 and watch Secrets and nothing else"
                    .into(),
            ));
        }
        let own = Self::assemble(config, found(credential).map_err(fail)?).map_err(fail)?;
        if own.server != self.server {
            return Err(fail(format!(
                "its server is {}, that of the cluster's credential {}; name the same API server in both",
                own.server, self.server
            )));
        }
        Ok(Some(own))
    }

    fn assemble(config: &ClusterConfig, found: Found) -> Result<Self, String> {
        let server_name = server_name(&found)?;
        let resolver = match &found.credential {
            Credential::Plugin(plugin) => Some(plugin.certificates()),
            Credential::Certificate | Credential::Token(_) | Credential::File(_) => None,
        };
        let (tls, tls_http1) = tls::configs(found.authority.as_deref(), found.identity.as_ref(), resolver)?;
        Ok(Self {
            name: config.name.clone(),
            environment: config.environment.clone(),
            four_eyes: config.four_eyes,
            impersonate: config.impersonate,
            server: found.server,
            server_name,
            tls,
            tls_http1,
            credential: found.credential,
        })
    }

    /// The `Authorization` header for one request, marked sensitive; `None` where the credential is a client
    /// certificate. Call it before connecting: a plugin may bring the certificate too. Cancel safe: a plugin that runs
    /// goes on for the next caller.
    pub async fn authorization(&self, now: Timestamp) -> Result<Option<HeaderValue>, CredentialError> {
        let header = match &self.credential {
            Credential::Certificate => Ok(None),
            Credential::Token(header) => Ok(Some(header.clone())),
            Credential::File(file) => file.authorization(now).await.map(Some),
            Credential::Plugin(plugin) => plugin.authorization(now).await,
        };
        header.map_err(|reason| CredentialError { cluster: self.name.clone(), reason })
    }

    /// Call it when the API server answered 401: a plugin is asked again for the next request, a token file is read
    /// again.
    pub fn credential_refused(&self) {
        match &self.credential {
            Credential::Certificate | Credential::Token(_) => {}
            Credential::File(file) => file.forget(),
            Credential::Plugin(plugin) => plugin.forget(),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} at {})", self.name, self.server)
    }
}

fn found(credential: &CredentialConfig) -> Result<Found, String> {
    match credential {
        CredentialConfig::Kubeconfig(reference) => kubeconfig::load(reference),
        CredentialConfig::InCluster => in_cluster(Path::new(SERVICE_ACCOUNT_DIRECTORY), &in_cluster_server()),
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal);
    if fits && !name.starts_with('-') && !name.ends_with('-') {
        Ok(())
    } else {
        Err("a cluster's name is 1 to 63 lower-case letters, digits and inner dashes: it is a part of a URL")
    }
}

/// `Bearer TOKEN`, marked sensitive so that nothing prints it.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the token is empty".into());
    }
    let text = zeroize::Zeroizing::new(format!("Bearer {token}"));
    let mut header =
        HeaderValue::from_str(&text).map_err(|_| "the token has characters that no header may have".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

/// The server of a cluster: https, an optional path prefix, nothing else.
fn server(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("server {text:?} is not a URL: {error}"))?;
    if url.scheme() != "https" || url.host().is_none() {
        return Err(format!("server {text:?} is not an https URL; a credential is never sent without TLS"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("the server's URL has a user, password, query or fragment".into());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn server_name(found: &Found) -> Result<ServerName<'static>, String> {
    let host = match (&found.server_name, found.server.host()) {
        (Some(name), _) => name.clone(),
        (None, Some(Host::Domain(name))) => name.to_owned(),
        (None, Some(Host::Ipv4(address))) => address.to_string(),
        (None, Some(Host::Ipv6(address))) => address.to_string(),
        (None, None) => return Err("the server's URL names no host".into()),
    };
    ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is no name that a certificate can have"))
}

fn in_cluster_server() -> Result<String, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) {
        (Some(host), Some(port)) if host.contains(':') => Ok(format!("https://[{host}]:{port}")),
        (Some(host), Some(port)) => Ok(format!("https://{host}:{port}")),
        _ => Err("inCluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; use \
                  `credential: {kubeconfig: {file: PATH}}`"
            .into()),
    }
}

fn in_cluster(directory: &Path, at: &Result<String, String>) -> Result<Found, String> {
    let hint = |reason: String| format!("inCluster: {reason}; does the pod have automountServiceAccountToken: true?");
    let authority = crate::http::read_bounded(&directory.join("ca.crt"), tls::PEM_BYTES_MAX).map_err(hint)?;
    let file = TokenFile::open(directory.join("token")).map_err(hint)?;
    Ok(Found {
        server: server(at.as_ref().map_err(Clone::clone)?)?,
        server_name: None,
        authority: Some(authority),
        identity: None,
        credential: Credential::File(file),
    })
}

#[cfg(test)]
mod tests;
