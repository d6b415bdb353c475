//! `/api/v1/sessions`

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use lockgate_core::{Channel, SessionId};
use lockgate_store::{RecordedFrame, RecordingReader, SessionFilter};

use super::stream::{self, Lines};
use crate::context::App;
use crate::problem::Problem;
use crate::recording::Frame;
use crate::routes::Call;

/// `GET /api/v1/sessions?subject=&cluster=&since=&before=&limit=`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    Ok(Json(call.app.store().sessions(&filter(&call)?).await?).into_response())
}

/// `GET /api/v1/sessions/{id}`
pub(crate) async fn show(call: Call) -> Result<Response, Problem> {
    let session = call.app.store().session(call.id("id")?).await?;
    Ok(Json(session.ok_or_else(|| Problem::not_found("such session"))?).into_response())
}

/// `GET /api/v1/sessions/{id}/recording`: every frame as a JSON line; with `format=raw&channel=stdout` one channel's bytes.
pub(crate) async fn recording(call: Call) -> Result<Response, Problem> {
    let id = call.id("id")?;
    let channel: Option<Channel> = call.word("channel")?;
    match (call.query("format").as_deref(), channel) {
        (None | Some("jsonl"), None) => {
            let mut reader = call.app.store().recording(id).await?;
            let shutdown = call.app.context.shutdown.clone();
            Ok(stream::answer("application/jsonl", shutdown, move |mut lines| async move {
                while let Some(frame) = reader.next().await? {
                    if lines.send(&line(frame)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(())
            }))
        }
        (Some("raw"), Some(channel)) => raw(&call.app, id, channel).await,
        _ => Err(Problem::invalid("format is jsonl, or raw together with channel.")),
    }
}

/// One channel's bytes. Shared with the web page.
pub(crate) async fn raw(app: &Arc<App>, id: SessionId, channel: Channel) -> Result<Response, Problem> {
    let reader = app.store().recording(id).await?;
    let shutdown = app.context.shutdown.clone();
    Ok(stream::answer("application/octet-stream", shutdown, move |lines| one_channel(reader, channel, lines)))
}

async fn one_channel(mut reader: RecordingReader, channel: Channel, mut lines: Lines) -> Result<(), Problem> {
    while let Some(frame) = reader.next().await? {
        if frame.channel == channel && lines.bytes(frame.payload).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A stored frame as it is sent.
pub(crate) fn line(frame: RecordedFrame) -> Frame {
    Frame { offset_microseconds: frame.offset_us, channel: frame.channel, payload: frame.payload }
}

/// The filters of the query. Shared with the web page.
pub(crate) fn filter(call: &Call) -> Result<SessionFilter, Problem> {
    Ok(SessionFilter {
        state: None,
        subject: call.query("subject"),
        cluster: call.query("cluster"),
        since: call.parsed("since")?,
        before: call.parsed("before")?,
        limit: call.parsed("limit")?.unwrap_or(SessionFilter::default().limit),
    })
}
