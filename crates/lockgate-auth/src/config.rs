//! What an operator writes about issuers, and the checks on it.
//!
//! ```yaml
//! issuers:
//! - url: https://idp.example.com
//!   audiences: [lockgate]                     # of agents' tokens
//!   certificateAuthority: {file: idp-ca.crt}  # else the system's roots
//!   agents: {id: claims.sub, owner: claims.owner, groups: claims.groups}
//!   humans: {audiences: [lockgate-console], id: claims.sub, groups: claims.groups}
//! ```
//!
//! A token is a human's if, and only if, its `aud` names one of `humans.audiences`, none of the agents' audiences, and
//! it was not got by a program for itself. The two lists must be disjoint. So an identity provider only has to keep the
//! console's audience away from its agent clients, which is the default: an ID token's audience is the client that the
//! person signed in with.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lockgate_expr::{Expression, ExpressionError, Variable};
use serde::Deserialize;
use url::{Host, Url};

/// A file that holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileReference {
    /// Its path; relative paths are resolved by whoever read the configuration.
    pub file: PathBuf,
}

/// One trusted issuer, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerConfig {
    /// The issuer's identifier: tokens' `iss`, character by character, and where discovery starts.
    pub url: String,
    /// Audiences of agents' tokens.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The certificates that the issuer's server is checked against; without it the system's roots.
    #[serde(default)]
    pub certificate_authority: Option<FileReference>,
    /// How agents' claims are mapped. Without it the issuer knows no agents.
    #[serde(default)]
    pub agents: Option<MappingConfig>,
    /// How humans' claims are mapped. Without it the issuer knows no humans.
    #[serde(default)]
    pub humans: Option<MappingConfig>,
}

/// From claims to a subject. Each expression is CEL over `claims`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingConfig {
    /// Audiences of these tokens; for agents the issuer's `audiences` where absent, for humans required.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The id; a non-empty string.
    #[serde(default = "subject_claim")]
    pub id: String,
    /// Who answers for an agent.
    #[serde(default)]
    pub owner: Option<String>,
    /// A list of strings.
    #[serde(default)]
    pub groups: Option<String>,
    /// The person for whom an agent acts.
    #[serde(default)]
    pub on_behalf_of: Option<String>,
    /// A condition that the claims must fulfil.
    #[serde(default)]
    pub when: Option<String>,
}

fn subject_claim() -> String {
    "claims.sub".into()
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a usable issuer URL.
    #[error("issuer {url:?}: {reason}")]
    Url {
        /// As written.
        url: String,
        /// What to write.
        reason: &'static str,
    },
    /// The audiences do not separate agents from humans.
    #[error("issuer {url}: {reason}")]
    Audiences {
        /// The issuer.
        url: String,
        /// What to write.
        reason: String,
    },
    /// Two entries for one issuer.
    #[error("issuer {url} is configured twice; merge the two entries")]
    Twice {
        /// The issuer.
        url: String,
    },
    /// A mapping is no expression.
    #[error("issuer {url}, {field}: {source}")]
    Expression {
        /// The issuer.
        url: String,
        /// Such as `agents.id`.
        field: String,
        /// Why.
        source: Box<ExpressionError>,
    },
    /// The certificate authority's file.
    #[error("issuer {url}: {reason}")]
    CertificateAuthority {
        /// The issuer.
        url: String,
        /// Which file and what is wrong.
        reason: String,
    },
    /// More issuers than are searched.
    #[error("more than {limit} issuers")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// A checked mapping.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) audiences: BTreeSet<String>,
    pub(crate) id: Expression,
    pub(crate) owner: Option<Expression>,
    pub(crate) groups: Option<Expression>,
    pub(crate) on_behalf_of: Option<Expression>,
    pub(crate) when: Option<Expression>,
}

/// Both mappings of an issuer, their audiences disjoint.
#[derive(Debug, Clone)]
pub(crate) struct Mappings {
    pub(crate) agents: Option<Mapping>,
    pub(crate) humans: Option<Mapping>,
}

impl Mappings {
    pub(crate) fn compile(config: &IssuerConfig) -> Result<Self, ConfigError> {
        let agents = config.agents.as_ref().map(|written| {
            let own = if written.audiences.is_empty() { &config.audiences } else { &written.audiences };
            mapping(config, "agents", written, own)
        });
        let humans = config.humans.as_ref().map(|written| mapping(config, "humans", written, &written.audiences));
        let (agents, humans) = (agents.transpose()?, humans.transpose()?);
        let refuse = |reason: String| Err(ConfigError::Audiences { url: config.url.clone(), reason });
        if agents.is_none() && humans.is_none() {
            return refuse("it has neither `agents:` nor `humans:`, so that no token of it could be accepted".into());
        }
        if let (Some(agents), Some(humans)) = (&agents, &humans)
            && let Some(shared) = agents.audiences.intersection(&humans.audiences).next()
        {
            return refuse(format!(
                "the audience {shared:?} is listed for agents and for humans; give humans one of their own, such as \
                 `humans: {{audiences: [lockgate-console]}}`"
            ));
        }
        if let Some(humans) = &humans
            && let Some(shared) = config.audiences.iter().find(|audience| humans.audiences.contains(*audience))
        {
            return refuse(format!("the audience {shared:?} of humans is also in `audiences:`, which are the agents'"));
        }
        Ok(Self { agents, humans })
    }

    /// Every accepted audience, for people.
    pub(crate) fn accepted(&self) -> String {
        let all = [&self.agents, &self.humans].into_iter().flatten().flat_map(|mapping| mapping.audiences.iter());
        all.cloned().collect::<Vec<_>>().join(", ")
    }
}

fn mapping(
    config: &IssuerConfig,
    kind: &str,
    written: &MappingConfig,
    audiences: &[String],
) -> Result<Mapping, ConfigError> {
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        let reason = format!("{kind} have no audience (or an empty one); write `{kind}: {{audiences: [NAME]}}`");
        return Err(ConfigError::Audiences { url: config.url.clone(), reason });
    }
    let claims = [Variable::any("claims")];
    let wrong = |field: &str, source: ExpressionError| ConfigError::Expression {
        url: config.url.clone(),
        field: format!("{kind}.{field}"),
        source: Box::new(source),
    };
    let expression =
        |field: &str, text: &str| Expression::compile(text, &claims).map_err(|source| wrong(field, source));
    let condition = |text: &String| Expression::condition(text, &claims).map_err(|source| wrong("when", source));
    let optional = |field: &str, text: &Option<String>| text.as_ref().map(|text| expression(field, text)).transpose();
    Ok(Mapping {
        audiences: audiences.iter().cloned().collect(),
        id: expression("id", &written.id)?,
        owner: optional("owner", &written.owner)?,
        groups: optional("groups", &written.groups)?,
        on_behalf_of: optional("onBehalfOf", &written.on_behalf_of)?,
        when: written.when.as_ref().map(condition).transpose()?,
    })
}

/// An `https` URL, or `http` on this machine's own loopback (tests, the demo).
pub(crate) fn secure_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "write an absolute URL such as https://idp.example.com")?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("a user, password, query or fragment has no place in it");
    }
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err("it names no host"),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("write https:// (http:// is accepted on this machine's loopback address only)"),
    }
}
