//! `lockgate.yaml`: what the file may say (unknown fields refused, errors with line and column), and the resolution
//! of its references. Secrets stand in it by reference only: `{file: …}` or `{env: …}`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use lockgate_auth::cluster::{ClusterConfig, CredentialConfig};
use lockgate_auth::{FileReference, IssuerConfig};
use lockgate_core::{RateLimit, Secret};
use serde::{Deserialize, Deserializer, de};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// The certificate of gateway and console.
    pub(crate) tls: Tls,
    /// Where the truth is kept.
    pub(crate) store: StoreConfig,
    /// This replica's name in the log; the host's name by default.
    #[serde(default)]
    pub(crate) replica: Option<String>,
    /// Who may call.
    pub(crate) issuers: Vec<IssuerConfig>,
    /// What is behind the door.
    pub(crate) clusters: Vec<ClusterConfig>,
    /// What agents may do.
    pub(crate) policy: PolicyConfig,
    /// The console and its API.
    #[serde(default)]
    pub(crate) console: Option<ConsoleConfig>,
    /// Limits that differ from the defaults.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
}

/// Addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// Agents.
    pub(crate) gateway: SocketAddr,
    /// People.
    pub(crate) console: SocketAddr,
    /// `/metrics`, `/healthz`, `/readyz`, without TLS.
    pub(crate) metrics: SocketAddr,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: Reference,
    pub(crate) key: Reference,
}

/// SQLite and recordings in one directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreConfig {
    pub(crate) directory: PathBuf,
}

/// Something that stands elsewhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum Reference {
    /// In a file; a relative path starts at the configuration file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// The policy in force, and a candidate beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) struct PolicyConfig {
    /// The policy's file …
    #[serde(default)]
    pub(crate) file: Option<PathBuf>,
    /// … or a shipped preset.
    #[serde(default)]
    pub(crate) preset: Option<PresetName>,
    /// A candidate in shadow mode: evaluated and recorded where it differs, never heard.
    #[serde(default)]
    pub(crate) shadow: Option<PolicySource>,
}

impl PolicyConfig {
    /// Where the policy in force stands.
    ///
    /// # Errors
    /// When the configuration names none, or both.
    pub(crate) fn source(&self) -> anyhow::Result<PolicySource> {
        match (&self.file, self.preset) {
            (Some(file), None) => Ok(PolicySource::File(file.clone())),
            (None, Some(preset)) => Ok(PolicySource::Preset(preset)),
            (None, None) => bail!("policy: name a file or a preset, such as `policy: {{file: policy.yaml}}`"),
            (Some(_), Some(_)) => bail!("policy: name a file or a preset, not both"),
        }
    }
}

/// A policy's file, or a shipped preset.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum PolicySource {
    File(PathBuf),
    Preset(PresetName),
}

/// A shipped policy.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PresetName {
    Observe,
    Operate,
    Admin,
}

/// The console.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ConsoleConfig {
    /// The console as a browser sees it, such as `https://lockgate.example.com`.
    pub(crate) url: String,
    /// How people sign in.
    pub(crate) sign_in: SignIn,
    /// May see everything and decide what the rules let them decide.
    #[serde(default)]
    pub(crate) approvers: Groups,
    /// May see everything.
    #[serde(default)]
    pub(crate) auditors: Groups,
    /// How old a sign-in may be to decide; 5 minutes by default.
    #[serde(default, deserialize_with = "optional_duration")]
    pub(crate) fresh_sign_in: Option<Duration>,
}

/// The console's OIDC client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SignIn {
    /// One of `issuers`, by URL.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    #[serde(default)]
    pub(crate) client_secret: Option<Reference>,
    /// What to ask the issuer for.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec()
}

/// Groups of people.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Groups {
    #[serde(default)]
    pub(crate) groups: Vec<String>,
}

/// Limits, each with its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct LimitsConfig {
    /// How long a request that needs approval is held; 45 s by default.
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) hold: Option<Duration>,
    /// How many requests one agent may send through this replica; as many as it likes by default.
    pub(crate) agent_rate: Option<RateConfig>,
    /// Idle sessions end after this; 4 h by default.
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) session_idle: Option<Duration>,
    /// All sessions end after this; 12 h by default.
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) session: Option<Duration>,
    /// Open client connections; 10,000 by default.
    pub(crate) connections: Option<usize>,
    /// Between the stop signal and the end of live sessions; 25 s by default.
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) drain: Option<Duration>,
}

/// So many requests in so long, such as `{requests: 600, per: 1m}`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateConfig {
    requests: std::num::NonZeroU32,
    #[serde(deserialize_with = "whole_seconds")]
    per: std::num::NonZeroU64,
}

impl RateConfig {
    pub(crate) const fn limit(self) -> RateLimit {
        RateLimit { requests: self.requests.get(), per_seconds: self.per.get() }
    }
}

fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<std::num::NonZeroU64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let seconds = duration(&text).filter(|duration| duration.subsec_nanos() == 0).map(|duration| duration.as_secs());
    seconds.and_then(std::num::NonZeroU64::new).ok_or_else(|| {
        de::Error::custom(format!("{text:?} is no time of at least a second; write such as 1s, 1m or 1h"))
    })
}

fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map(Some).ok_or_else(|| {
        de::Error::custom(format!("{text:?} is no duration; write a number and a unit, such as 45s, 10m or 12h"))
    })
}

/// `45s`, `10m`, `12h`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// A configuration and where its relative paths start.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    directory: PathBuf,
}

impl Loaded {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// What is wrong, with file, line and column.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        // An empty value would count as left out, and a `!…` would lose its text.
        lockgate_policy::yaml::check(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let config: Config = serde_saphyr::from_str(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut loaded = Self { config, directory };
        loaded.place_paths();
        loaded.check().with_context(|| path.display().to_string())?;
        Ok(loaded)
    }

    /// Relative paths of nested parts start at the configuration file too.
    fn place_paths(&mut self) {
        let directory = self.directory.clone();
        for issuer in &mut self.config.issuers {
            if let Some(FileReference { file }) = &mut issuer.certificate_authority {
                *file = directory.join(&*file);
            }
        }
        for cluster in &mut self.config.clusters {
            let own = cluster.own.as_mut().map(|own| &mut own.credential);
            for credential in std::iter::once(&mut cluster.credential).chain(own) {
                if let CredentialConfig::Kubeconfig(reference) = credential {
                    reference.file = directory.join(&reference.file);
                }
            }
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        let config = &self.config;
        if config.issuers.is_empty() {
            bail!("issuers: name at least one, or nobody can call");
        }
        if config.clusters.is_empty() {
            bail!("clusters: name at least one, or there is nothing behind the door");
        }
        config.policy.source()?;
        for (at, cluster) in config.clusters.iter().enumerate() {
            let name = &cluster.name;
            if config.clusters.iter().take(at).any(|other| other.name == *name) {
                bail!("clusters[{at}].name: {name:?} is used twice; give each cluster its own name");
            }
        }
        if let Some(console) = &config.console
            && !config.issuers.iter().any(|issuer| issuer.url == console.sign_in.issuer)
        {
            bail!("console.signIn.issuer: {:?} is none of the issuers; add it there", console.sign_in.issuer);
        }
        Ok(())
    }

    /// A path of the file, relative ones beside the file.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// What a reference stands for.
    ///
    /// # Errors
    /// A file that cannot be read, a variable that is not set.
    pub(crate) fn resolve(&self, what: &str, reference: &Reference) -> anyhow::Result<Secret<String>> {
        let text = match reference {
            Reference::File(path) => {
                let path = self.path(path);
                std::fs::read_to_string(&path).with_context(|| format!("{what}: cannot read {}", path.display()))?
            }
            Reference::Env(name) => {
                std::env::var(name).with_context(|| format!("{what}: the environment variable {name} is not set"))?
            }
        };
        Ok(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "
listen: {gateway: 127.0.0.1:8443, console: 127.0.0.1:8444, metrics: 127.0.0.1:9090}
tls: {certificate: {file: tls.crt}, key: {file: tls.key}}
store: {directory: state}
issuers:
  - url: https://idp.example.com
    audiences: [lockgate]
    agents: {id: claims.sub, owner: claims.owner, groups: claims.groups}
clusters:
  - name: shop
    environment: production
    credential: {kubeconfig: {file: admin.kubeconfig}}
    impersonate: agent
policy: {file: policy.yaml}
";

    fn read(text: &str) -> anyhow::Result<Loaded> {
        let directory = std::env::temp_dir().join(format!("lockgate-config-{}", uuid()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("lockgate.yaml");
        std::fs::write(&path, text).unwrap();
        let loaded = Loaded::read(&path);
        std::fs::remove_dir_all(&directory).unwrap();
        loaded
    }

    fn uuid() -> u128 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
    }

    #[test]
    fn the_documented_sketch_is_valid() {
        let loaded = read(MINIMAL).unwrap();
        assert_eq!(loaded.config.clusters[0].name, "shop");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let error = read(&MINIMAL.replace("impersonate: agent", "impersonat: agent")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("impersonat") && text.contains("line 13"), "{text}");
    }

    #[test]
    fn a_value_that_is_left_empty_is_refused_with_its_line() {
        for (from, to, line, field) in [
            ("    environment: production", "    environment:", 11, "environment"),
            ("certificate: {file: tls.crt}", "certificate: ~", 3, "certificate"),
            ("policy: {file: policy.yaml}", "policy: {file: policy.yaml}\nconsole:", 15, "console"),
            ("policy: {file: policy.yaml}", "policy: {file: policy.yaml, shadow: null}", 14, "shadow"),
        ] {
            let text = format!("{:#}", read(&MINIMAL.replace(from, to)).unwrap_err());
            assert!(
                text.contains(&format!("line {line}, ")) && text.contains(&format!("`{field}` has no value")),
                "{text}"
            );
            assert!(text.contains("fix: "), "{text}");
        }
    }

    #[test]
    fn what_yaml_would_take_for_a_tag_is_refused() {
        let when = "agents: {when: !has(claims.azp), id: ";
        let text = format!("{:#}", read(&MINIMAL.replace("agents: {id: ", when)).unwrap_err());
        assert!(text.contains("line 8, ") && text.contains("double quotes"), "{text}");
        let text = format!("{:#}", read(&MINIMAL.replace("state}", "&here state}")).unwrap_err());
        assert!(text.contains("line 4, ") && text.contains("anchors"), "{text}");
    }

    #[test]
    fn a_bad_duration_says_how_to_write_one() {
        let error = read(&format!("{MINIMAL}limits: {{hold: soon}}\n")).unwrap_err();
        assert!(format!("{error:#}").contains("such as 45s"), "{error:#}");
    }

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        let loaded = read(&format!("{MINIMAL}limits: {{agentRate: {{requests: 600, per: 1m}}}}\n")).unwrap();
        let rate = loaded.config.limits.agent_rate.map(RateConfig::limit);
        assert_eq!(rate, Some(RateLimit { requests: 600, per_seconds: 60 }));
        for wrong in ["{requests: 0, per: 1m}", "{requests: 1, per: 0s}", "{requests: 1, per: 1500ms}", "{requests: 1}"]
        {
            assert!(read(&format!("{MINIMAL}limits: {{agentRate: {wrong}}}\n")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cluster_may_have_a_credential_for_lockgates_own_reads() {
        let with = |own: &str| read(&MINIMAL.replace("    impersonate: agent", &format!("    self: {own}")));
        let loaded = with("{credential: {kubeconfig: {file: self.kubeconfig, context: c}}}").unwrap();
        let own = loaded.config.clusters[0].own.clone().unwrap();
        let CredentialConfig::Kubeconfig(reference) = own.credential else { panic!("{own:?}") };
        assert!(reference.file.is_absolute() && reference.file.ends_with("self.kubeconfig"), "beside the file");
        assert!(with("{credential: inCluster}").is_ok());
        for (wrong, says) in [
            ("{kubeconfig: {file: x}}", "credential"),
            ("{credential: {kubeconfig: {file: x}}, values: 1}", "values"),
            ("{credential: {token: x}}", "token"),
            ("~", "`self` has no value"),
        ] {
            let text = format!("{:#}", with(wrong).unwrap_err());
            assert!(text.contains(says) && text.contains("line 13"), "{text}");
        }
    }

    #[test]
    fn a_cluster_that_is_named_twice_is_refused() {
        let twice = "clusters:\n  - {name: shop, credential: {kubeconfig: {file: x}}}";
        let error = read(&MINIMAL.replace("clusters:", twice)).unwrap_err();
        assert!(format!("{error:#}").contains("used twice"), "{error:#}");
    }

    #[test]
    fn the_policy_is_a_file_or_a_preset_and_may_have_a_shadow() {
        let with = |policy: &str| read(&MINIMAL.replace("policy: {file: policy.yaml}", policy));
        let loaded = with("policy: {preset: operate, shadow: {file: next.yaml}}").unwrap();
        assert!(matches!(loaded.config.policy.shadow, Some(PolicySource::File(_))));
        let both = with("policy: {file: policy.yaml, preset: operate}").unwrap_err();
        assert!(format!("{both:#}").contains("not both"), "{both:#}");
        let none = with("policy: {shadow: {preset: observe}}").unwrap_err();
        assert!(format!("{none:#}").contains("a file or a preset"), "{none:#}");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("45s"), Some(Duration::from_secs(45)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("45"), None);
        assert_eq!(duration("s"), None);
    }
}
