//! Kubeconfig files (<https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>), as far as a gateway may use them.
//!
//! Unknown fields are skipped, as kubectl does: tools keep their own things there. What would weaken the connection or
//! make us somebody else (no TLS verification, a proxy, `as:`) is refused. Messages say where, never what stands there.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_core::Secret;
use serde::Deserialize;

use super::plugin::{ClusterInfo, Plugin, PluginConfig};
use super::tls::PEM_BYTES_MAX;
use super::token_file::TokenFile;
use super::{Credential, Found, KubeconfigReference, bearer, server};
use crate::http::read_bounded;

/// Largest kubeconfig, in bytes.
const KUBECONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Kubeconfig {
    #[serde(default, rename = "current-context")]
    current_context: Option<String>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: ClusterEntry,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextEntry,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<UserEntry>,
}

#[derive(Deserialize)]
struct ContextEntry {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
    #[serde(default)]
    extensions: Vec<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
    #[serde(default)]
    extension: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UserEntry {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    exec: Option<PluginConfig>,
    username: Option<String>,
    auth_provider: Option<serde_json::Value>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    as_groups: Option<Vec<String>>,
    as_uid: Option<String>,
    as_user_extra: Option<serde_json::Value>,
}

impl Drop for UserEntry {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.client_key_data.zeroize();
        self.token.zeroize();
    }
}

/// Reads a context of a file.
pub(super) fn load(reference: &KubeconfigReference) -> Result<Found, String> {
    let bytes = zeroize::Zeroizing::new(read_bounded(&reference.file, KUBECONFIG_BYTES_MAX)?);
    let directory = reference.file.parent().unwrap_or_else(|| Path::new("."));
    parse(&bytes, directory, reference.context.as_deref())
        .map_err(|reason| format!("kubeconfig {}: {reason}", reference.file.display()))
}

/// Reads a context of a text; relative paths in it are relative to `directory`.
fn parse(bytes: &[u8], directory: &Path, context: Option<&str>) -> Result<Found, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not text".to_owned())?;
    let config: Kubeconfig = serde_saphyr::from_str(text).map_err(|error| {
        // The reader's own message quotes the file.
        let place = error.location().map(|place| format!("line {}, column {}", place.line(), place.column()));
        format!("{} is not as a kubeconfig has it", place.unwrap_or_else(|| "it".into()))
    })?;
    let name = match context.or(config.current_context.as_deref()) {
        Some(name) if !name.is_empty() => name,
        _ => return Err("it has no current-context; name one with `context:`".into()),
    };
    let context = config.contexts.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<&str> = config.contexts.iter().map(|entry| entry.name.as_str()).collect();
        format!("it has no context {name:?}; it has {}", known.join(", "))
    })?;
    let (cluster, user) = (&context.context.cluster, &context.context.user);
    let in_context = |reason: String| format!("context {name}: {reason}");
    let cluster = config
        .clusters
        .iter()
        .find(|entry| &entry.name == cluster)
        .ok_or_else(|| in_context(format!("the file has no cluster {cluster:?}")))?;
    let user = config
        .users
        .iter()
        .find(|entry| &entry.name == user)
        .ok_or_else(|| in_context(format!("the file has no user {user:?}")))?;
    let user = user.user.as_ref().ok_or_else(|| in_context(format!("user {:?} is empty", user.name)))?;
    Reader { directory }.found(&cluster.cluster, user).map_err(in_context)
}

struct Reader<'d> {
    directory: &'d Path,
}

impl Reader<'_> {
    fn found(&self, cluster: &ClusterEntry, user: &UserEntry) -> Result<Found, String> {
        refuse(cluster, user)?;
        let authority = self.bytes(
            "certificate-authority",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?;
        let chain = self.bytes(
            "client-certificate",
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
        )?;
        let key = self.bytes("client-key", user.client_key_data.as_deref(), user.client_key.as_deref())?;
        let identity = match (chain, key) {
            (Some(chain), Some(key)) => Some((chain, Secret::new(key))),
            (None, None) => None,
            (Some(_), None) => return Err("client-certificate has no client-key".into()),
            (None, Some(_)) => return Err("client-key has no client-certificate".into()),
        };
        let credential = self.credential(cluster, user, authority.as_deref(), identity.is_some())?;
        Ok(Found {
            server: server(&cluster.server)?,
            server_name: cluster.tls_server_name.clone().filter(|name| !name.is_empty()),
            authority,
            identity,
            credential,
        })
    }

    /// A token file wins over a token, as in client-go; a plugin stands alone.
    fn credential(
        &self,
        cluster: &ClusterEntry,
        user: &UserEntry,
        authority: Option<&[u8]>,
        has_certificate: bool,
    ) -> Result<Credential, String> {
        let token = user.token.as_deref().filter(|token| !token.is_empty());
        match (&user.exec, &user.token_file, token) {
            (Some(_), _, Some(_)) | (Some(_), Some(_), _) => {
                Err("the user has both exec and a token; remove one of them".into())
            }
            (Some(_), None, None) if has_certificate => {
                Err("the user has both exec and a client certificate; remove one of them".into())
            }
            (Some(exec), None, None) => {
                let config = cluster.extensions.iter().find(|entry| entry.name == "client.authentication.k8s.io/exec");
                let info = ClusterInfo {
                    server: cluster.server.clone(),
                    tls_server_name: cluster.tls_server_name.clone(),
                    certificate_authority_data: authority.map(|pem| STANDARD.encode(pem)),
                    config: config.map(|entry| entry.extension.clone()),
                };
                Plugin::new(exec.clone(), info, self.directory).map(Credential::Plugin)
            }
            (None, Some(file), _) => TokenFile::open(self.directory.join(file)).map(Credential::File),
            (None, None, Some(token)) => bearer(token).map(Credential::Token),
            (None, None, None) if has_certificate => Ok(Credential::Certificate),
            (None, None, None) => {
                Err("the user has no credential; it needs a client certificate, a token, tokenFile or exec".into())
            }
        }
    }

    /// Inline data wins over a file, as in client-go.
    fn bytes(&self, field: &str, data: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<u8>>, String> {
        match (data.filter(|data| !data.is_empty()), file) {
            (Some(data), _) => {
                let compact: zeroize::Zeroizing<String> =
                    zeroize::Zeroizing::new(data.chars().filter(|character| !character.is_whitespace()).collect());
                STANDARD.decode(compact.as_bytes()).map(Some).map_err(|_| format!("{field}-data is not base64"))
            }
            (None, Some(file)) => read_bounded(&self.directory.join(file), PEM_BYTES_MAX)
                .map(Some)
                .map_err(|reason| format!("{field}: {reason}")),
            (None, None) => Ok(None),
        }
    }
}

/// What a gateway does not do, whatever the file says.
fn refuse(cluster: &ClusterEntry, user: &UserEntry) -> Result<(), String> {
    let impersonates = [&user.impersonate, &user.as_uid].into_iter().flatten().any(|name| !name.is_empty())
        || user.as_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        || user.as_user_extra.is_some();
    let refused = if cluster.insecure_skip_tls_verify {
        "insecure-skip-tls-verify is refused: anybody in between would get the credential; give the cluster's CA as \
         certificate-authority(-data)"
    } else if cluster.proxy_url.as_deref().is_some_and(|url| !url.is_empty()) {
        "proxy-url is not supported; run Lockgate where it reaches the API server directly"
    } else if user.username.as_deref().is_some_and(|name| !name.is_empty()) {
        "username and password are refused: API servers no longer take them; use a certificate, a token or exec"
    } else if user.auth_provider.is_some() {
        "auth-provider is refused: it was removed from Kubernetes; use exec"
    } else if impersonates {
        "as, as-uid, as-groups and as-user-extra are refused: Lockgate itself says for whom each request is"
    } else {
        return Ok(());
    };
    Err(refused.into())
}
