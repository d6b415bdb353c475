//! Recorded sessions and their player.

use std::fmt::Write as _;

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, header};
use lockgate_core::{Channel, Session, SessionId};
use lockgate_store::SessionFilter;

use super::view::{self, Fact, Place, Time, Who};
use super::{Frame, fragment, page as whole_page, player_page, versioned};
use crate::api::sessions::{filter, line, raw as raw_bytes};
use crate::api::stream;
use crate::asciicast::Asciicast;
use crate::context::App;
use crate::inert;
use crate::problem::Problem;
use crate::routes::Call;

/// Rows on the page.
const ROWS: u32 = 60;
/// A channel is shown as text up to this many bytes; the whole of it is a link away, and the page says so.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Frames that are looked at for the text of the channels.
const SHOWN_FRAMES_MAX: usize = 20_000;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    list: String,
}

#[derive(Template)]
#[template(path = "sessions_list.html")]
struct SessionsList<'a> {
    version: &'a str,
    rows: &'a [Row],
}

struct Row {
    id: String,
    at: Time,
    who: Who,
    place: Place,
    pod: String,
    command: Vec<String>,
    kind: String,
    end_class: &'static str,
    end: String,
}

#[derive(Template)]
#[template(path = "session.html")]
struct SessionPage {
    frame: Frame,
    row: Row,
    tty: bool,
    facts: Vec<Fact>,
    channels: Vec<ChannelView>,
}

struct ChannelView {
    name: &'static str,
    bytes: String,
    sha256: String,
    text: String,
    /// What is left out of `text`, in words.
    left_out: Option<String>,
}

/// `GET /sessions`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let rows = rows(&call).await?;
    let (_, list) = versioned(|version| SessionsList { version, rows: &rows }.render())?;
    whole_page(&SessionsPage { frame: Frame::new("sessions", call.caller.as_ref()), list })
}

/// `GET /sessions/list?seen=`
pub(crate) async fn live(call: Call) -> Result<Response, Problem> {
    let rows = rows(&call).await?;
    fragment(|version| SessionsList { version, rows: &rows }.render(), call.query("seen"))
}

/// `GET /sessions/{id}`
pub(crate) async fn page(call: Call) -> Result<Response, Problem> {
    let session = session(&call).await?;
    let mut facts = vec![
        view::said("Who", &session.subject.name()),
        view::said("Owner", session.subject.owner.as_deref().unwrap_or("")),
        view::fact("Container", session.container.as_deref().unwrap_or("")),
        view::said("Terminal", if session.tty { "yes" } else { "no" }),
        view::said("Stdin", if session.stdin { "open" } else { "closed" }),
        view::fact("Protocol", &session.protocol),
        view::said("Started", &session.started_at.to_string()),
    ];
    facts.extend(session.ended_at.map(|at| view::said("Ended", &at.to_string())));
    facts.push(view::said("End", session.end_reason.as_deref().unwrap_or("")));
    facts.extend(session.exit_code.map(|code| view::fact("Exit code", &code.to_string())));
    facts.push(view::linked("Call", &session.audit_id.to_string(), format!("/requests/{}", session.audit_id)));
    player_page(&SessionPage {
        frame: Frame::new("sessions", call.caller.as_ref()),
        tty: session.tty,
        facts,
        channels: channels(&call.app, &session).await?,
        row: row(&call.app, &session),
    })
}

/// `GET /sessions/{id}/cast`: what the player plays.
pub(crate) async fn cast(call: Call) -> Result<Response, Problem> {
    let session = session(&call).await?;
    let mut reader = call.app.store().recording(session.id).await?;
    let shutdown = call.app.context.shutdown.clone();
    let mut response = stream::answer("application/x-asciicast", shutdown, move |mut lines| async move {
        let mut cast = Asciicast::new(&session);
        while let Some(frame) = reader.next().await? {
            let text = cast.frame(&line(frame));
            if !text.is_empty() && lines.bytes(text.into()).await.is_err() {
                return Ok(());
            }
        }
        // The other side may be gone; nothing is left to do either way.
        lines.bytes(cast.end().into()).await.or(Ok(()))
    });
    inert_download(&mut response);
    Ok(response)
}

/// `GET /sessions/{id}/raw/{channel}`: one channel's bytes, as a download.
pub(crate) async fn raw(call: Call) -> Result<Response, Problem> {
    let id: SessionId = call.id("id")?;
    let name: String = call.id("channel")?;
    let channel: Channel =
        serde_json::from_value(name.clone().into()).map_err(|_| Problem::not_found("such channel"))?;
    let mut response = raw_bytes(&call.app, id, channel).await?;
    inert_download(&mut response);
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.{}\"", channel.as_str())) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Recorded bytes are never a page: no sniffing, no script, whatever they hold.
fn inert_download(response: &mut Response) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

async fn session(call: &Call) -> Result<Session, Problem> {
    call.app.store().session(call.id("id")?).await?.ok_or_else(|| Problem::not_found("such session"))
}

async fn rows(call: &Call) -> Result<Vec<Row>, Problem> {
    let filter = SessionFilter { limit: ROWS, ..filter(call)? };
    let sessions = call.app.store().sessions(&filter).await?;
    Ok(sessions.iter().map(|session| row(&call.app, session)).collect())
}

fn row(app: &App, session: &Session) -> Row {
    let (end_class, end) = view::session_end(session);
    Row {
        id: session.id.to_string(),
        at: view::time(session.started_at),
        who: view::who(&session.subject),
        place: view::place(&session.cluster, &app.context.environments),
        pod: view::target(&session.action),
        command: view::argv(&session.argv),
        kind: view::resource(&session.action),
        end_class,
        end,
    }
}

/// Each channel: its digest, and its beginning as inert text.
async fn channels(app: &App, session: &Session) -> Result<Vec<ChannelView>, Problem> {
    let order = [Channel::Stdout, Channel::Stderr, Channel::Stdin, Channel::Error, Channel::Resize];
    let mut texts: Vec<(Channel, Vec<u8>)> = order.into_iter().map(|channel| (channel, Vec::new())).collect();
    let mut reader = app.store().recording(session.id).await?;
    let mut looked_at = 0_usize;
    while looked_at < SHOWN_FRAMES_MAX
        && let Some(frame) = reader.next().await?
    {
        looked_at = looked_at.saturating_add(1);
        if let Some((_, bytes)) = texts.iter_mut().find(|(channel, _)| *channel == frame.channel) {
            let room = SHOWN_BYTES_MAX.saturating_sub(bytes.len());
            bytes.extend(frame.payload.iter().take(room));
        }
    }
    let seen = reader.digests();
    let digest = |channel| session.channels.get(&channel).or_else(|| seen.get(&channel));
    Ok(texts
        .into_iter()
        .filter_map(|(channel, bytes)| Some((channel, bytes, digest(channel)?)))
        .filter(|(_, _, digest)| digest.bytes > 0)
        .map(|(channel, bytes, digest)| {
            let shown = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let missing = digest.bytes.saturating_sub(shown);
            ChannelView {
                name: channel.as_str(),
                bytes: view::bytes(digest.bytes),
                sha256: digest.sha256.clone(),
                text: inert::lines(&text_of(&bytes)),
                left_out: (missing > 0)
                    .then(|| format!("{} more: download the channel to see them", view::bytes(missing))),
            }
        })
        .collect())
}

/// Bytes as text; what is no UTF-8 as `\xNN`, so that nothing looks like anything else.
fn text_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            if write!(out, "\\x{byte:02x}").is_err() {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(text_of(b"ok\xff\xfe\xc3\xa9"), "ok\\xff\\xfe\u{e9}");
    }
}
