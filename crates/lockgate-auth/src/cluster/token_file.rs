//! A token in a file that somebody else renews (a service account's, or `tokenFile` of a kubeconfig).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use lockgate_core::Timestamp;
use zeroize::Zeroizing;

use super::bearer;

/// How often the file is looked at again.
const REREAD_AFTER: Duration = Duration::from_secs(5);
/// How long the last token is used while the file cannot be read: it is being replaced, or the volume is gone.
const KEPT: Duration = Duration::from_secs(300);
/// Largest token file, in bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 256 * 1024;

/// The file and what was last read.
pub(super) struct TokenFile {
    path: PathBuf,
    read: ArcSwapOption<Read>,
}

struct Read {
    header: HeaderValue,
    /// `None`: at start, when nobody had told the time.
    at: Option<Timestamp>,
}

impl TokenFile {
    /// Reads it for the first time, so that a wrong path shows at start.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let bytes = Zeroizing::new(crate::http::read_bounded(&path, TOKEN_FILE_BYTES_MAX)?);
        let header = header(&path, &bytes)?;
        Ok(Self { path, read: ArcSwapOption::from_pointee(Read { header, at: None }) })
    }

    /// The header. Two callers at once may both read the file, which does no harm.
    pub(super) async fn authorization(&self, now: Timestamp) -> Result<HeaderValue, String> {
        let last = self.read.load_full();
        let age = last.as_ref().and_then(|read| read.at).map(|at| now.since(at));
        if let (Some(read), Some(age)) = (&last, age)
            && age < REREAD_AFTER
        {
            return Ok(read.header.clone());
        }
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let bytes = Zeroizing::new(crate::http::read_bounded(&path, TOKEN_FILE_BYTES_MAX)?);
            header(&path, &bytes)
        });
        let read = reading.await.unwrap_or_else(|error| Err(format!("{}: {error}", self.path.display())));
        match (read, last, age) {
            (Ok(header), _, _) => {
                self.read.store(Some(Arc::new(Read { header: header.clone(), at: Some(now) })));
                Ok(header)
            }
            (Err(reason), Some(read), Some(age)) if age < KEPT => {
                tracing::warn!(%reason, "the token file cannot be read; the last token is used");
                Ok(read.header.clone())
            }
            (Err(reason), _, _) => Err(reason),
        }
    }

    pub(super) fn forget(&self) {
        self.read.store(None);
    }
}

fn header(path: &std::path::Path, bytes: &[u8]) -> Result<HeaderValue, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{}: not text", path.display()))?;
    bearer(text).map_err(|reason| format!("{}: {reason}", path.display()))
}
