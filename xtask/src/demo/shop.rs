//! The cluster's side of the demo: who may do what there, Lockgate's own credential, and a small shop to work on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::identity::{AGENT, AGENT_GROUP, AGENT_OWNER};
use super::place::{Place, random_word, write_private};
use crate::cluster;
use crate::tools::{self, Progress};

/// The namespace with the workloads.
pub(super) const NAMESPACE: &str = "shop";
/// A namespace that nobody will miss.
pub(super) const SCRATCH_NAMESPACE: &str = "scratch";
/// The shop's Secret.
pub(super) const SECRET: &str = "db";
/// A pod with a shell.
pub(super) const POD: &str = "toolbox";
/// Where Lockgate's own identity lives.
const SYSTEM_NAMESPACE: &str = "lockgate";
/// May do nothing but impersonate the demo's agent.
const SERVICE_ACCOUNT: &str = "lockgate";
/// May do nothing but read Secrets.
const SELF_SERVICE_ACCOUNT: &str = "lockgate-self";
const MADE_BY_US: &str = "app.kubernetes.io/managed-by=lockgate-demo";
const FIELD_MANAGER: &str = "lockgate-demo";
/// Lockgate's own tokens; the supervisor gets new ones long before.
pub(super) const TOKEN_HOURS: u64 = 24;
const READY_WITHIN: &str = "120s";
const GONE_WITHIN: &str = "90s";

const WHO: [(&str, &str); 3] = [("agent", AGENT), ("agent_group", AGENT_GROUP), ("agent_owner", AGENT_OWNER)];
const ACCESS: &str = include_str!("shop/access.yaml");
const WORKLOADS: &str = include_str!("shop/workloads.yaml");

/// The cluster behind the door: one of our own, or somebody's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Upstream {
    pub(super) kubectl: PathBuf,
    pub(super) admin_kubeconfig: PathBuf,
    /// An image with a shell, and one with a web server.
    pub(super) image_shell: String,
    pub(super) image_web: String,
    /// None with somebody's own cluster, which is not ours to end.
    pub(super) own: Option<OwnCluster>,
}

/// How Lockgate gets into the cluster.
pub(super) struct LockgateKubeconfigs {
    /// For agents' requests.
    pub(super) upstream: PathBuf,
    /// For its own reads.
    pub(super) own: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnCluster {
    pub(super) name: String,
    pub(super) netns: String,
    pub(super) audit_log: PathBuf,
}

impl Upstream {
    /// A cluster of the demo's own, started if it does not run.
    pub(super) fn own(name: &str) -> Result<Self> {
        let cluster = cluster::up(name, &cluster::Options::default())?;
        if let Some(status) = cluster::status(name)?
            && status.phase == cluster::Phase::ControlPlaneOnly
        {
            bail!(
                "the demo needs pods that run, and {}. With a cluster that you have: cargo xtask demo --context NAME",
                status.detail.unwrap_or_else(|| "this machine cannot have a node".to_owned())
            );
        }
        Ok(Self {
            kubectl: cluster.kubectl,
            admin_kubeconfig: cluster.admin_kubeconfig,
            image_shell: cluster.image,
            image_web: cluster.agnhost_image,
            own: Some(OwnCluster { name: cluster.name, netns: cluster.netns, audit_log: cluster.audit_log }),
        })
    }

    /// The cluster that `context` of the user's kubeconfig names. Only that context is copied, credentials and all, for this user's eyes.
    pub(super) fn of_context(context: &str, place: &Place) -> Result<Self> {
        let kubectl = tools::find_program("kubectl")
            .context("kubectl is not on PATH: --context works with the cluster and the kubectl that you have")?;
        let view = ["config", "view", "--minify", "--flatten", "--context", context];
        let config = tools::output(Command::new(&kubectl).args(view))
            .with_context(|| format!("your kubeconfig has no context {context:?} (kubectl config get-contexts)"))?;
        let admin_kubeconfig = place.join("admin.kubeconfig");
        write_private(&admin_kubeconfig, format!("{config}\n").as_bytes())?;
        let upstream = Self {
            kubectl,
            admin_kubeconfig,
            image_shell: tools::IMAGE_BUSYBOX.to_owned(),
            image_web: tools::IMAGE_AGNHOST.to_owned(),
            own: None,
        };
        upstream.refuse_a_foreign_shop()?;
        Ok(upstream)
    }

    /// kubectl as the cluster's administrator.
    pub(super) fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl.arg("--kubeconfig").arg(&self.admin_kubeconfig).env_remove("KUBECONFIG");
        kubectl
    }

    /// The demo deletes its namespaces when it ends: they must be its own.
    fn refuse_a_foreign_shop(&self) -> Result<()> {
        for namespace in [NAMESPACE, SCRATCH_NAMESPACE, SYSTEM_NAMESPACE] {
            let labels = "jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}";
            let get = ["get", "namespace", namespace, "--ignore-not-found", "-o", "name"];
            if tools::output(self.kubectl().args(get)).context("your cluster does not answer")?.is_empty() {
                continue;
            }
            let by = tools::output(self.kubectl().args(["get", "namespace", namespace, "-o", labels]))?;
            if format!("app.kubernetes.io/managed-by={by}") != MADE_BY_US {
                bail!(
                    "your cluster has a namespace {namespace:?} that is not the demo's: rename it, or use another cluster"
                );
            }
        }
        Ok(())
    }

    /// Applies the access rules and the workloads and waits until every pod is ready.
    pub(super) fn set_up(&self) -> Result<()> {
        let progress = Progress::start("the shop: namespace, workloads, who may do what", Some("5 s"));
        self.apply(&fill(ACCESS, &WHO)?)?;
        let password = format!("pw-{}", random_word()?);
        let values =
            [("image_shell", &*self.image_shell), ("image_web", &*self.image_web), ("database_password", &*password)];
        self.apply(&fill(WORKLOADS, &values)?)?;
        progress.part("waiting for the pods");
        let wait = ["wait", "--for=condition=Ready", "pods", "--all", "-n", NAMESPACE, "--timeout", READY_WITHIN];
        for deployment in ["deployment/web", "deployment/api"] {
            let rollout = ["rollout", "status", deployment, "-n", NAMESPACE, "--timeout", READY_WITHIN];
            tools::quiet(self.kubectl().args(rollout)).with_context(|| format!("{deployment} is not ready"))?;
        }
        tools::quiet(self.kubectl().args(wait)).context("the shop's pods are not ready")?;
        progress.done("ready");
        Ok(())
    }

    /// Writes a kubeconfig for each of Lockgate's service accounts.
    pub(super) fn write_lockgate_kubeconfigs(&self, place: &Place) -> Result<LockgateKubeconfigs> {
        let view = ["config", "view", "--minify", "--flatten", "-o", "json"];
        let admin: AdminConfig = serde_json::from_str(&tools::output(self.kubectl().args(view))?)?;
        let cluster = admin.clusters.into_iter().next().context("the admin kubeconfig names no cluster")?.cluster;
        self.renew_tokens(place)?;
        let write = |account: &str, name: &str| -> Result<PathBuf> {
            let kubeconfig = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "lockgate",
                "clusters": [{"name": "cluster", "cluster": cluster}],
                "users": [{"name": "lockgate", "user": {"tokenFile": token_file(place, account)}}],
                "contexts": [{"name": "lockgate", "context": {"cluster": "cluster", "user": "lockgate"}}],
            });
            let file = place.join(name);
            write_private(&file, &serde_json::to_vec_pretty(&kubeconfig)?)?;
            Ok(file)
        };
        Ok(LockgateKubeconfigs {
            upstream: write(SERVICE_ACCOUNT, "gateway/upstream.kubeconfig")?,
            own: write(SELF_SERVICE_ACCOUNT, "gateway/self.kubeconfig")?,
        })
    }

    /// New tokens for Lockgate's own service accounts, good for `TOKEN_HOURS`.
    pub(super) fn renew_tokens(&self, place: &Place) -> Result<()> {
        let duration = format!("--duration={TOKEN_HOURS}h");
        for account in [SERVICE_ACCOUNT, SELF_SERVICE_ACCOUNT] {
            let create = ["create", "token", account, "-n", SYSTEM_NAMESPACE, &duration];
            let token = tools::output(self.kubectl().args(create)).context("a token for Lockgate's service account")?;
            write_private(&token_file(place, account), token.as_bytes())?;
        }
        Ok(())
    }

    /// Takes away what the demo made: the whole cluster if it is ours, else its namespaces and its rules.
    pub(super) fn clear(&self) -> Result<()> {
        if let Some(own) = &self.own {
            return cluster::down(&own.name);
        }
        let kinds = "namespaces,clusterroles,clusterrolebindings";
        // Waited for: a start that follows at once must not meet a namespace that is still going.
        let delete = ["delete", kinds, "-l", MADE_BY_US, "--ignore-not-found", "--timeout", GONE_WITHIN];
        tools::quiet(self.kubectl().args(delete)).context("removing what the demo made in your cluster")
    }

    fn apply(&self, manifest: &str) -> Result<()> {
        let mut kubectl = self.kubectl();
        kubectl.args(["apply", "--server-side", "--force-conflicts", "--field-manager", FIELD_MANAGER, "-f", "-"]);
        let mut child = kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(manifest.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl apply of the demo's manifests failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct AdminConfig {
    clusters: Vec<AdminCluster>,
}

#[derive(Deserialize)]
struct AdminCluster {
    cluster: serde_json::Value,
}

fn token_file(place: &Place, account: &str) -> PathBuf {
    place.join(&format!("gateway/{account}.token"))
}

/// The name of this clone's own cluster: several clones on one machine do not share one.
pub(super) fn own_cluster_name(directory: &Path) -> String {
    let path = directory.to_string_lossy();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, path.as_bytes());
    let digits: String = digest.as_ref().iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    format!("demo-{digits}")
}

/// Replaces each `{{ key }}`. A key that is not in the template, or one in the template that nobody filled, is an error.
fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = template.to_owned();
    for (key, value) in values {
        let place = format!("{{{{ {key} }}}}");
        if !filled.contains(&place) {
            bail!("the manifest has no {place}");
        }
        filled = filled.replace(&place, value);
    }
    if let Some((_, rest)) = filled.split_once("{{ ") {
        bail!("the manifest's {:?} is not filled", rest.split(" }}").next().unwrap_or(rest));
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_filled_and_is_yaml() {
        let access = fill(ACCESS, &WHO).unwrap();
        let values = [("image_shell", "busybox"), ("image_web", "agnhost"), ("database_password", "pw")];
        let workloads = fill(WORKLOADS, &values).unwrap();
        for document in access.split("\n---\n").chain(workloads.split("\n---\n")) {
            let object: serde_json::Value = serde_saphyr::from_str(document).unwrap();
            assert!(object.get("kind").is_some(), "{document}");
        }
        assert!(access.contains("agent:shop-agent") && access.contains("lockgate:deployers"));
    }

    #[test]
    fn a_missing_value_and_a_superfluous_one_are_errors() {
        assert!(fill("a: {{ one }}", &[]).unwrap_err().to_string().contains("one"));
        assert!(fill("a: 1", &[("one", "1")]).is_err());
        assert_eq!(fill("a: {{ one }}, {{ one }}", &[("one", "1")]).unwrap(), "a: 1, 1");
    }

    /// Least privilege is a promise: nothing in the cluster gives the agent, or Lockgate, everything.
    #[test]
    fn nobody_is_an_administrator() {
        assert!(!ACCESS.contains("cluster-admin"));
        for rule in ACCESS.lines().filter(|line| line.contains("verbs:")) {
            assert!(!rule.contains("\"*\"]") || !rule.contains("verbs: [\"*\"]"), "{rule}");
        }
        assert!(!ACCESS.contains("nodes/proxy") && !ACCESS.contains("serviceaccounts/token"));
    }

    #[test]
    fn demos_have_clusters_of_their_own() {
        let (one, other) = (own_cluster_name(Path::new("/a/one")), own_cluster_name(Path::new("/a/two")));
        assert_ne!(one, other);
        assert_eq!(one, own_cluster_name(Path::new("/a/one")));
    }
}
