//! The token cache: what a sign-in left, in one file that only its owner reads.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use lockgate_console::oidc::{self, Tokens};
use lockgate_core::Secret;
use serde::{Deserialize, Serialize};

use super::client_file::Send;

/// A token is renewed this long before it ends, so that it does not end on the way.
pub(crate) const EARLY_SECONDS: i64 = 60;

/// The file's content (documented in `docs/cli.md`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Reads the cache; `None` when there is none.
///
/// # Errors
/// An unreadable or invalid file.
pub(crate) fn load(path: &Path) -> anyhow::Result<Option<Tokens>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let written: Written = serde_json::from_str(&text)
        .with_context(|| format!("{} is no token cache: remove it and sign in again", path.display()))?;
    Ok(Some(Tokens {
        id_token: written.id_token.map(Secret::new),
        access_token: written.access_token.map(Secret::new),
        refresh_token: written.refresh_token.map(Secret::new),
    }))
}

/// Replaces the cache in one step; mode 0600, its directory 0700.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn save(path: &Path, tokens: &Tokens) -> anyhow::Result<()> {
    let reveal = |secret: &Option<Secret<String>>| secret.as_ref().map(|secret| secret.expose().clone());
    let written = Written {
        id_token: reveal(&tokens.id_token),
        access_token: reveal(&tokens.access_token),
        refresh_token: reveal(&tokens.refresh_token),
    };
    let text = Secret::new(serde_json::to_string(&written)?);
    let context = || format!("cannot write the token cache {}", path.display());
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(context)?;
    }
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(context)?;
    file.write_all(text.expose().as_bytes()).with_context(context)?;
    std::fs::rename(&fresh, path).with_context(context)
}

/// The token that Lockgate gets, if it is there and good for another minute.
pub(crate) fn usable(tokens: &Tokens, send: Send, now: Timestamp) -> Option<&Secret<String>> {
    let token = match send {
        Send::IdToken => tokens.id_token.as_ref(),
        Send::AccessToken => tokens.access_token.as_ref(),
    }?;
    let ends = expiry(token.expose())?;
    (ends.as_second().saturating_sub(now.as_second()) > EARLY_SECONDS).then_some(token)
}

/// When a token ends, as it says itself.
pub(crate) fn expiry(token: &str) -> Option<Timestamp> {
    Timestamp::from_second(oidc::claim(token, "exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(exp: i64) -> Tokens {
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        Tokens { id_token: Some(Secret::new(format!("h.{payload}.s"))), access_token: None, refresh_token: None }
    }

    #[test]
    fn a_token_in_its_last_minute_is_not_used() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert!(usable(&token(1_061), Send::IdToken, now).is_some());
        assert!(usable(&token(1_060), Send::IdToken, now).is_none());
        assert!(usable(&token(2_000), Send::AccessToken, now).is_none());
    }

    #[test]
    fn the_cache_reads_back_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("lockgate-tokens-{}", std::process::id()));
        let path = directory.join("tokens.json");
        assert!(load(&path).unwrap().is_none());
        save(&path, &token(5)).unwrap();
        let back = load(&path).unwrap().unwrap();
        assert_eq!(back.id_token.unwrap().expose(), token(5).id_token.unwrap().expose());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
