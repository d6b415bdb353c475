//! The client file: which server, and how to sign in. The schema is documented in `docs/cli.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lockgate_console::outbound::{Outbound, Roots};
use lockgate_core::Secret;
use serde::Deserialize;
use url::Url;

/// A client file is small; anything larger is a mistake.
const FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    server: Url,
    gateway: Option<Url>,
    ca_file: Option<PathBuf>,
    login: Option<Login>,
    token_file: Option<PathBuf>,
    tokens: Option<PathBuf>,
}

/// How to sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    /// The identity provider, exactly as its tokens name it.
    pub(crate) issuer: Url,
    /// This client's id there.
    pub(crate) client_id: String,
    /// This client's secret, by reference.
    pub(crate) client_secret: Option<Reference>,
    /// How.
    #[serde(default)]
    pub(crate) flow: Flow,
    /// What to ask for.
    pub(crate) scopes: Option<Vec<String>>,
    /// RFC 8707: for which API the access token is.
    pub(crate) resource: Option<String>,
    /// Which token Lockgate gets.
    pub(crate) send: Option<Send>,
    /// The loopback port that the provider accepts in the redirect; any free one when it is not given.
    #[serde(default)]
    pub(crate) redirect_port: u16,
}

/// A value that stands elsewhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reference {
    /// In a file.
    File(PathBuf),
    /// In the environment.
    Env(String),
}

/// How a token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Flow {
    /// A browser on this machine.
    #[default]
    Code,
    /// A browser anywhere.
    Device,
    /// A program with a secret of its own.
    ClientCredentials,
}

/// Which token speaks for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Send {
    /// The ID token; the default for people.
    IdToken,
    /// The access token; the default for `clientCredentials`.
    AccessToken,
}

/// Where the token comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file that something else keeps fresh.
    TokenFile(PathBuf),
    /// A sign-in of ours, cached in a file.
    Login {
        /// How.
        login: Login,
        /// The cache.
        cache: PathBuf,
    },
}

/// A client file, read and resolved.
#[derive(Debug)]
pub(crate) struct Client {
    /// The file itself.
    pub(crate) file: PathBuf,
    /// The console.
    pub(crate) server: Url,
    /// The gateway; only `kubeconfig` needs it.
    pub(crate) gateway: Option<Url>,
    /// The certificate authority of both, PEM.
    pub(crate) ca: Option<Vec<u8>>,
    /// Who we are.
    pub(crate) origin: Origin,
}

impl Client {
    /// Reads the file that the options name, or the default one.
    ///
    /// # Errors
    /// A missing, unreadable or invalid file: with line and column.
    pub(crate) fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        let file = match named {
            Some(file) => file.to_owned(),
            None => home(".config")?.join("lockgate/client.yaml"),
        };
        let size = std::fs::metadata(&file).with_context(|| {
            format!("cannot read the client file {} (name one with --client FILE or LOCKGATE_CLIENT)", file.display())
        })?;
        if size.len() > FILE_BYTES_MAX {
            bail!("{} is larger than {FILE_BYTES_MAX} bytes: this is no client file", file.display());
        }
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let file = std::path::absolute(&file).with_context(|| format!("cannot resolve {}", file.display()))?;
        lockgate_policy::yaml::check(&text)
            .map_err(|error| anyhow::anyhow!("{} is not a valid client file:\n{error}", file.display()))?;
        let written: Written = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{} is not a valid client file:\n{error}", file.display()))?;
        Self::resolve(file, written)
    }

    fn resolve(file: PathBuf, written: Written) -> anyhow::Result<Self> {
        let directory = file.parent().unwrap_or(Path::new(".")).to_owned();
        let ca = match &written.ca_file {
            Some(path) => {
                let path = directory.join(path);
                Some(std::fs::read(&path).with_context(|| format!("caFile: cannot read {}", path.display()))?)
            }
            None => None,
        };
        let origin = match (written.login, written.token_file) {
            (Some(_), Some(_)) => bail!("{}: give either login or tokenFile, not both", file.display()),
            (None, None) => bail!("{}: login is missing (or tokenFile, if something else signs in)", file.display()),
            (None, Some(path)) => Origin::TokenFile(directory.join(path)),
            (Some(mut login), None) => {
                if let Some(Reference::File(path)) = &mut login.client_secret {
                    *path = directory.join(&*path);
                }
                let cache = match written.tokens {
                    Some(path) => directory.join(path),
                    None => home(".cache")?.join(default_cache(&file)),
                };
                Origin::Login { login, cache }
            }
        };
        Ok(Self { file, server: written.server, gateway: written.gateway, ca, origin })
    }

    /// The HTTPS client for everything that this file names.
    ///
    /// # Errors
    /// When the CA file holds no certificate.
    pub(crate) fn outbound(&self) -> anyhow::Result<Outbound> {
        let roots = self.ca.clone().map_or(Roots::System, Roots::SystemAnd);
        Outbound::new(&roots).with_context(|| format!("{}: caFile", self.file.display()))
    }
}

impl Login {
    /// What to ask for, with the flow's defaults.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let words: &[&str] = match self.flow {
            Flow::ClientCredentials => &[],
            Flow::Code | Flow::Device => &["openid", "profile", "offline_access"],
        };
        self.scopes.clone().unwrap_or_else(|| words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Which token Lockgate gets, with the flow's default.
    pub(crate) fn send(&self) -> Send {
        self.send.unwrap_or(match self.flow {
            Flow::ClientCredentials => Send::AccessToken,
            Flow::Code | Flow::Device => Send::IdToken,
        })
    }
}

impl Reference {
    /// Reads the value.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn read(&self) -> anyhow::Result<Secret<String>> {
        match self {
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| Secret::new(text.trim().to_owned()))
                .with_context(|| format!("clientSecret: cannot read {}", path.display())),
            Self::Env(name) => std::env::var(name)
                .map(Secret::new)
                .with_context(|| format!("clientSecret: the environment variable {name}")),
        }
    }
}

/// One cache per client file, so that an agent's file never finds a person's tokens.
fn default_cache(file: &Path) -> PathBuf {
    let name: String = file
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
        .collect();
    Path::new("lockgate").join(format!("tokens{name}.json"))
}

/// `$XDG_CONFIG_HOME` or `$XDG_CACHE_HOME`, else the directory of that name at home.
fn home(directory: &str) -> anyhow::Result<PathBuf> {
    let variable = if directory == ".config" { "XDG_CONFIG_HOME" } else { "XDG_CACHE_HOME" };
    if let Some(path) = std::env::var_os(variable).filter(|path| Path::new(path).is_absolute()) {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set: name the client file with --client FILE")?;
    Ok(Path::new(&home).join(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(yaml: &str) -> anyhow::Result<Client> {
        let written = serde_saphyr::from_str(yaml).map_err(|error| anyhow::anyhow!("{error}"))?;
        Client::resolve(PathBuf::from("/etc/lockgate/client.yaml"), written)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let client = client(
            "server: https://127.0.0.1:8444\ntokens: t.json\nlogin:\n  issuer: https://idp.example.com\n  clientId: cli\n  clientSecret: {file: s}\n",
        )
        .unwrap();
        let Origin::Login { login, cache } = client.origin else { panic!("no login") };
        assert_eq!(cache, Path::new("/etc/lockgate/t.json"));
        assert!(matches!(login.client_secret, Some(Reference::File(path)) if path == Path::new("/etc/lockgate/s")));
        assert_eq!(login.flow, Flow::Code);
        assert_eq!(login.send.unwrap_or(Send::IdToken), Send::IdToken);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let error = client("server: https://127.0.0.1:8444\ntokenfile: t\n").unwrap_err().to_string();
        assert!(error.contains("tokenfile") && error.contains("tokenFile") && error.contains('2'), "{error}");
    }

    #[test]
    fn one_way_to_sign_in_is_needed_and_only_one() {
        let none = client("server: https://127.0.0.1:8444\n").unwrap_err().to_string();
        assert!(none.contains("login is missing"), "{none}");
        let both = client("server: https://a\ntokenFile: t\nlogin: {issuer: 'https://i', clientId: c}\n").unwrap_err();
        assert!(both.to_string().contains("not both"), "{both}");
    }
}
