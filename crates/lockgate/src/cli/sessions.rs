//! `lockgate sessions`

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use lockgate_console::asciicast::Asciicast;
use lockgate_console::inert;
use lockgate_console::recording::Frame;
use lockgate_core::{Channel, Session, SessionId};
use serde_json::Value;
use tokio::time::Instant;

use super::api::{Api, Lines};
use super::output::{self, Column, Output, at, subject, time};
use super::{Exit, Wrong};

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// List recorded sessions, newest first
    List {
        /// Only those of this subject id
        #[arg(long)]
        subject: Option<String>,
        /// Only those in this cluster
        #[arg(long)]
        cluster: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one, with the digest of each channel
    Show {
        /// The session, `ses_…`
        id: SessionId,
    },
    /// Play one in this terminal, as it went: its bytes reach the terminal as they were recorded
    Play {
        /// The session, `ses_…`
        id: SessionId,
        /// How many times faster
        #[arg(long, default_value_t = 1.0, value_parser = speed)]
        speed: f64,
    },
    /// Write a recording to stdout
    Export {
        /// The session, `ses_…`
        id: SessionId,
        /// asciicast v2, one channel's raw bytes, or JSON lines of every frame
        #[arg(long, value_enum)]
        format: ExportFormat,
        /// Which channel; with `--format raw` only
        #[arg(long, value_enum, required_if_eq("format", "raw"))]
        channel: Option<RawChannel>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// For asciinema and its players
    Asciicast,
    /// The bytes of one channel
    Raw,
    /// Every frame: offset, channel, base64 payload
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RawChannel {
    /// Client to process
    Stdin,
    /// Process to client
    Stdout,
    /// Process to client
    Stderr,
    /// The final Status
    Error,
    /// Terminal sizes
    Resize,
}

impl RawChannel {
    const fn channel(self) -> Channel {
        match self {
            Self::Stdin => Channel::Stdin,
            Self::Stdout => Channel::Stdout,
            Self::Stderr => Channel::Stderr,
            Self::Error => Channel::Error,
            Self::Resize => Channel::Resize,
        }
    }
}

pub(crate) async fn run(api: &Api, out: &Output, command: &Sessions) -> anyhow::Result<Exit> {
    match command {
        Sessions::List { subject, cluster, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(subject.iter().map(|subject| ("subject", subject.clone())));
            query.extend(cluster.iter().map(|cluster| ("cluster", cluster.clone())));
            out.list(&api.get("/api/v1/sessions", &query).await?, row)?;
        }
        Sessions::Show { id } => out.show(&api.get(&path(*id), &[]).await?, fields)?,
        Sessions::Play { id, speed } => play(api.stream(&recording(*id), &[]).await?, *speed).await?,
        Sessions::Export { id, format, channel } => export(api, *id, *format, *channel).await?,
    }
    Ok(Exit::Done)
}

fn path(id: SessionId) -> String {
    format!("/api/v1/sessions/{id}")
}

fn recording(id: SessionId) -> String {
    format!("/api/v1/sessions/{id}/recording")
}

/// The one place where recorded bytes reach a terminal as they are.
async fn play(mut lines: Lines, speed: f64) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Some(line) = lines.line().await? {
        let frame: Frame = serde_json::from_slice(&line).context("the console sent a frame that cannot be read")?;
        let offset = Duration::try_from_secs_f64(frame.offset().as_secs_f64() / speed).unwrap_or(Duration::MAX);
        if let Some(at) = start.checked_add(offset) {
            tokio::time::sleep_until(at).await;
        }
        let written = match frame.channel {
            Channel::Stdout => write(&mut std::io::stdout().lock(), &frame.payload),
            Channel::Stderr => write(&mut std::io::stderr().lock(), &frame.payload),
            Channel::Stdin | Channel::Error | Channel::Resize => Ok(()),
        };
        written.context("cannot write to the terminal")?;
    }
    if std::io::stdout().is_terminal() {
        // What the session left switched on ends with it: character set, attributes, hidden cursor, second screen,
        // mouse reports, bracketed paste.
        let reset = b"\x0f\x1b(B\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?1000;1002;1003;1006l\x1b[?2004l\x1b[?7h\n";
        write(&mut std::io::stdout().lock(), reset).context("cannot write to the terminal")?;
    }
    output::note("The recording has ended.")
}

fn write(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

async fn export(api: &Api, id: SessionId, format: ExportFormat, channel: Option<RawChannel>) -> anyhow::Result<()> {
    match (format, channel) {
        (ExportFormat::Raw, Some(channel)) => {
            if std::io::stdout().is_terminal() {
                let advice = "raw bytes can steer a terminal: redirect stdout to a file (or use `sessions play`)";
                return Err(Wrong(advice.to_owned()).into());
            }
            let query = [("format", "raw".to_owned()), ("channel", channel.channel().as_str().to_owned())];
            let mut bytes = api.stream(&recording(id), &query).await?;
            while let Some(chunk) = bytes.chunk().await? {
                write(&mut std::io::stdout().lock(), &chunk).context("cannot write to stdout")?;
            }
        }
        (_, Some(_)) | (ExportFormat::Raw, None) => {
            return Err(Wrong("--channel goes with --format raw, and with it only".to_owned()).into());
        }
        (ExportFormat::Jsonl, None) => {
            let mut lines = api.stream(&recording(id), &[]).await?;
            while let Some(line) = lines.line().await? {
                output::data(&format!("{}\n", inert::json(&String::from_utf8_lossy(&line))))?;
            }
        }
        (ExportFormat::Asciicast, None) => {
            let session: Session = serde_json::from_value(api.get(&path(id), &[]).await?)?;
            let mut cast = Asciicast::new(&session);
            let mut lines = api.stream(&recording(id), &[]).await?;
            while let Some(line) = lines.line().await? {
                let frame: Frame = serde_json::from_slice(&line)?;
                output::data(&inert::json(&cast.frame(&frame)))?;
            }
            output::data(&inert::json(&cast.end()))?;
        }
    }
    Ok(())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.trim_end_matches('x').parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.01..=1000.0).contains(&speed) { Ok(speed) } else { Err("a speed is between 0.01 and 1000".to_owned()) }
}

fn row(value: &Value) -> Vec<Column> {
    let reason = at(value, "/endReason");
    vec![
        Column("id", at(value, "/id")),
        Column("started", time(value, "/startedAt")),
        Column("who", subject(value, "/subject")),
        Column("cluster", at(value, "/cluster")),
        Column("pod", format!("{}/{}", at(value, "/action/namespace"), at(value, "/action/name"))),
        Column("command", command(value)),
        Column("end", if value["endedAt"].is_null() { "live".to_owned() } else { reason }),
        Column("exit", at(value, "/exitCode")),
    ]
}

/// The command as a shell would need it typed.
fn command(value: &Value) -> String {
    let words = value["argv"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let words: Vec<_> = words
        .map(|word| {
            let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
            if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
        })
        .collect();
    if words.is_empty() { format!("({})", at(value, "/action/subresource")) } else { words.join(" ") }
}

fn fields(value: &Value) -> Vec<Column> {
    let mut fields = vec![
        Column("Session", at(value, "/id")),
        Column("Call", at(value, "/auditId")),
        Column("Who", subject(value, "/subject")),
        Column("Owner", at(value, "/subject/owner")),
        Column("Cluster", at(value, "/cluster")),
        Column("Pod", format!("{}/{}", at(value, "/action/namespace"), at(value, "/action/name"))),
        Column("Container", at(value, "/container")),
        Column("Command", command(value)),
        Column("Terminal", at(value, "/tty")),
        Column("Stdin", at(value, "/stdin")),
        Column("Protocol", at(value, "/protocol")),
        Column("Started", at(value, "/startedAt")),
        Column("Ended", at(value, "/endedAt")),
        Column("End", at(value, "/endReason")),
        Column("Exit code", at(value, "/exitCode")),
    ];
    for channel in ["stdin", "stdout", "stderr", "error", "resize"] {
        if let Some(digest) = value.pointer(&format!("/channels/{channel}")) {
            fields.push(Column(channel, format!("{} bytes, sha256 {}", at(digest, "/bytes"), at(digest, "/sha256"))));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let value = json!({"argv": ["sh", "-c", "echo 'a b'", ""]});
        assert_eq!(command(&value), r"sh -c 'echo '\''a b'\''' ''");
        assert_eq!(command(&json!({"argv": [], "action": {"subresource": "attach"}})), "(attach)");
    }

    #[test]
    fn a_speed_is_a_sensible_number() {
        assert_eq!(speed("2"), Ok(2.0));
        assert_eq!(speed("1.5x"), Ok(1.5));
        assert!(speed("0").is_err() && speed("-1").is_err() && speed("inf").is_err() && speed("fast").is_err());
    }
}
