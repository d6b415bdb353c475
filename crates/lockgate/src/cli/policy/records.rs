//! Recorded history, newest first, a page at a time: from the console, or from a file of JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use lockgate_core::AuditRecord;
use serde_json::Value;

use crate::cli::api::Api;
use crate::cli::client_file::Client;
use crate::cli::{Global, Wrong, audit};

/// Records on a page of the console.
const PAGE_ROWS: usize = 500;
/// Records of a file that are handed out at once.
const FILE_PAGE_ROWS: usize = 1_000;
/// The largest file that is one array: it is read whole.
const ARRAY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Between two signs of progress, in records.
const PROGRESS_RECORDS: u64 = 2_000;

/// Which history.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Not before: an RFC 3339 time, or how long ago, such as 2h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Not after; same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Records from this file instead of the console: JSON lines, or what `audit list -o json` prints
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
}

/// History that is being read.
pub(crate) struct Reader {
    source: Source,
    since: Timestamp,
    until: Option<Timestamp>,
    subject: Option<String>,
    progress: Progress,
}

/// JSON values one after the other, whatever stands between them.
type Values = serde_json::StreamDeserializer<'static, serde_json::de::IoRead<BufReader<File>>, Value>;

enum Source {
    Console { api: Box<Api>, before: Option<String> },
    File { values: Values, path: PathBuf },
}

impl History {
    /// Opens it; `subject` is the id of the one subject that is wanted.
    ///
    /// # Errors
    /// A time that is none, a client file or record file that cannot be read.
    pub(crate) async fn open(&self, global: &Global, subject: Option<&str>) -> anyhow::Result<Reader> {
        let now = Timestamp::now();
        let since = audit::instant(&self.since, now)?;
        let until = self.until.as_deref().map(|text| audit::instant(text, now)).transpose()?;
        if until.is_some_and(|until| until <= since) {
            return Err(Wrong("--until is not after --since: there is nothing between them".to_owned()).into());
        }
        let source = match &self.records {
            Some(path) => Source::file(path)?,
            None => {
                let client = Client::load(global.client.as_deref())?;
                Source::Console { api: Box::new(Api::connect(&client).await?), before: None }
            }
        };
        let progress = Progress::new(since, until.unwrap_or(now));
        Ok(Reader { source, since, until, subject: subject.map(str::to_owned), progress })
    }
}

impl Source {
    fn file(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        let mut file = BufReader::new(File::open(path).with_context(cannot)?);
        let array = file.fill_buf().with_context(cannot)?.first() == Some(&b'[');
        if array && std::fs::metadata(path).with_context(cannot)?.len() > ARRAY_BYTES_MAX {
            bail!("{}: an array of more than {ARRAY_BYTES_MAX} bytes; write one record a line", path.display());
        }
        Ok(Self::File { values: serde_json::Deserializer::from_reader(file).into_iter(), path: path.to_owned() })
    }
}

impl Reader {
    /// The next records; `None` at the end.
    ///
    /// # Errors
    /// When the console refuses or breaks off, or the file holds what is no record.
    pub(crate) async fn page(&mut self) -> anyhow::Result<Option<Vec<AuditRecord>>> {
        loop {
            let Some(mut page) = self.source.page(self.since, self.until, self.subject.as_deref()).await? else {
                self.progress.end();
                return Ok(None);
            };
            self.progress.seen(&page);
            page.retain(|record| self.is_wanted(record));
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    /// The console has filtered already; a file has not.
    fn is_wanted(&self, record: &AuditRecord) -> bool {
        let at = record.started_at.microseconds();
        at >= self.since.as_microsecond()
            && self.until.is_none_or(|until| at < until.as_microsecond())
            && self.subject.as_ref().is_none_or(|id| record.subject.as_ref().is_some_and(|one| one.id == *id))
    }

    /// Who is meant by an approval: the terms on which it was asked, where the console can tell.
    pub(crate) async fn approval(&self, id: lockgate_core::ApprovalId) -> Option<lockgate_core::Approval> {
        let Source::Console { api, .. } = &self.source else { return None };
        let value = api.get(&format!("/api/v1/approvals/{id}"), &[]).await.ok()?;
        serde_json::from_value(value).ok()
    }
}

impl Source {
    async fn page(
        &mut self,
        since: Timestamp,
        until: Option<Timestamp>,
        subject: Option<&str>,
    ) -> anyhow::Result<Option<Vec<AuditRecord>>> {
        match self {
            Self::Console { api, before } => {
                let mut query = vec![("limit", PAGE_ROWS.to_string()), ("since", since.to_string())];
                query.extend(until.map(|until| ("until", until.to_string())));
                query.extend(subject.map(|id| ("subject", id.to_owned())));
                query.extend(before.clone().map(|id| ("before", id)));
                let value = api.get("/api/v1/audit", &query).await?;
                let page: Vec<AuditRecord> = serde_json::from_value(value)
                    .context("the console's records are not understood: is this lockgate as new as the server?")?;
                match page.last() {
                    Some(last) => *before = Some(last.id.to_string()),
                    // A page may be shorter than was asked for; only an empty one is the last.
                    None => return Ok(None),
                }
                Ok(Some(page))
            }
            Self::File { values, path } => {
                let mut page = Vec::new();
                while page.len() < FILE_PAGE_ROWS {
                    let Some(value) = values.next() else { break };
                    let value = value.with_context(|| path.display().to_string())?;
                    let items = if let Value::Array(items) = value { items } else { vec![value] };
                    for item in items {
                        let record = serde_json::from_value(item);
                        page.push(record.with_context(|| format!("{}: no audit record", path.display()))?);
                    }
                }
                Ok(Some(page).filter(|page| !page.is_empty()))
            }
        }
    }
}

/// A sign of life on stderr for long work; silent when stderr is no terminal.
struct Progress {
    shown: bool,
    since: Timestamp,
    until: Timestamp,
    records: u64,
    next: u64,
}

impl Progress {
    fn new(since: Timestamp, until: Timestamp) -> Self {
        Self { shown: std::io::stderr().is_terminal(), since, until, records: 0, next: PROGRESS_RECORDS }
    }

    fn seen(&mut self, page: &[AuditRecord]) {
        self.records += page.len() as u64;
        let Some(last) = page.last().filter(|_| self.shown && self.records >= self.next) else { return };
        self.next = self.records + PROGRESS_RECORDS;
        let whole = self.until.as_microsecond().saturating_sub(self.since.as_microsecond()).max(1);
        let done = self.until.as_microsecond().saturating_sub(last.started_at.microseconds()).clamp(0, whole);
        let percent = i128::from(done) * 100 / i128::from(whole);
        let filled = usize::try_from(percent / 5).unwrap_or(0);
        let bar: String = (0..20).map(|at| if at < filled { '#' } else { '.' }).collect();
        self.say(&format!("\r[{bar}] {percent:3}%  {} records", self.records));
    }

    fn end(&mut self) {
        if self.shown && self.next > PROGRESS_RECORDS {
            self.say("\r\x1b[K");
            self.shown = false;
        }
    }

    fn say(&mut self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Without a terminal there is nothing to show progress on; the work goes on.
        self.shown = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).is_ok();
    }
}
