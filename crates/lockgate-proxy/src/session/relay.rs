//! Bytes between a client and a process, message by message: read, recorded, then delivered.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use lockgate_auth::Authenticated;
use lockgate_core::Channel;
use lockgate_store::{Recorder, StoreError};
use lockgate_wire::channel::{Direction, FrameKind, MESSAGE_BYTES_MAX, Protocol, exit_code};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::recorder::{Tape, tape};
use super::standing::Standing;
use crate::gateway::Gateway;
use crate::upstream::dial::BoxStream;

/// Bytes of the error channel that are kept to read the exit code from.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// After one side has closed, how long the other may take to read what is left.
const LINGER: Duration = Duration::from_secs(5);

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Completed,
    ClientClosed,
    UpstreamLost,
    RecorderFailed,
    Idle,
    TooLong,
    Shutdown,
    Malformed,
    Frozen,
    TokenExpired,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientClosed => "client closed",
            Self::UpstreamLost => "upstream lost",
            Self::RecorderFailed => "recorder failed",
            Self::Idle => "idle limit reached",
            Self::TooLong => "session limit reached",
            Self::Shutdown => "gateway shutdown",
            Self::Malformed => "malformed frame",
            Self::Frozen => "agent frozen",
            Self::TokenExpired => "token expired",
        }
    }
}

/// A session that is over, with its recording still open.
pub(super) struct Ended {
    reason: Reason,
    exit_code: Option<i32>,
    recorder: Recorder,
    recorded: Result<(), StoreError>,
    pub(super) bytes_to_client: u64,
    /// How many secrets were masked in its output.
    pub(super) masked: u64,
}

impl Ended {
    /// The client went away between our 101 and its first byte.
    pub(super) const fn before_it_began(recorder: Recorder) -> Self {
        Self {
            reason: Reason::ClientClosed,
            exit_code: None,
            recorder,
            recorded: Ok(()),
            bytes_to_client: 0,
            masked: 0,
        }
    }

    /// Seals the recording; the reason, or why the recording is not whole.
    pub(super) async fn seal(self) -> Result<Reason, StoreError> {
        let finished = self.recorder.finish(self.reason.as_str(), self.exit_code).await;
        self.recorded?;
        finished?;
        Ok(self.reason)
    }
}

/// One session's rules.
pub(super) struct Relay {
    protocol: Protocol,
    recorder: Recorder,
    idle_max: Duration,
    session_max: Duration,
    ending: CancellationToken,
    standing: Standing,
    /// Until the token that opened it expires.
    token_left: Duration,
    output: Option<Output>,
}

/// Resolves with what of the output may go because the process is quiet.
async fn quiet(output: &mut Option<Output>) -> (Channel, Vec<u8>) {
    match output {
        Some(output) => std::future::poll_fn(|context| output.poll_quiet(context)).await,
        None => std::future::pending().await,
    }
}

type Socket = WebSocketStream<BoxStream>;

/// What a direction saw last.
enum Stopped {
    Closed(Option<CloseFrame>),
    Lost,
    Recorder,
    Malformed,
}

/// One direction of a session.
struct Way<'w> {
    from: &'w mut SplitStream<Socket>,
    to: &'w mut SplitSink<Socket, Message>,
    tape: Tape,
    protocol: Protocol,
    direction: Direction,
    last: &'w watch::Sender<Instant>,
    bytes: u64,
    status: Vec<u8>,
    /// Masks what a process writes.
    output: Option<Output>,
}

impl Way<'_> {
    /// Relays until this side closes, breaks, or cannot be recorded.
    async fn run(&mut self) -> Stopped {
        loop {
            let message = tokio::select! {
                message = self.from.next() => message,
                (channel, bytes) = quiet(&mut self.output) => {
                    if let Err(stopped) = self.pass(channel, bytes).await {
                        return stopped;
                    }
                    continue;
                }
            };
            let Some(message) = message else { return Stopped::Lost };
            self.last.send_replace(Instant::now());
            let payload = match message {
                Ok(Message::Binary(payload)) => payload,
                Ok(Message::Text(text)) => Bytes::from(text),
                // Answered by the WebSocket library on this hop.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(frame)) => return Stopped::Closed(frame),
                Err(WebSocketError::ConnectionClosed | WebSocketError::AlreadyClosed) => return Stopped::Closed(None),
                Err(_) => return Stopped::Lost,
            };
            if let Err(stopped) = self.deliver(payload).await {
                return stopped;
            }
        }
    }

    /// Masked, recorded, delivered, in this order: neither a recording nor a client sees more than the other.
    async fn deliver(&mut self, message: Bytes) -> Result<(), Stopped> {
        let frame = self.protocol.frame(self.direction, &message).map_err(|_| Stopped::Malformed)?;
        let Some(output) = &mut self.output else { return self.send(message).await };
        match output.push(&frame) {
            Some(masked) if masked.is_empty() && !frame.payload.is_empty() => Ok(()),
            Some(masked) => self.pass(frame.channel, masked).await,
            None => {
                // The process' last word follows all of its output.
                self.flush().await?;
                self.send(message).await
            }
        }
    }

    /// Lets go what of the output still waits.
    async fn flush(&mut self) -> Result<(), Stopped> {
        for channel in [Channel::Stdout, Channel::Stderr] {
            let last = self.output.as_mut().map(|output| output.finish(channel)).unwrap_or_default();
            if !last.is_empty() {
                self.pass(channel, last).await?;
            }
        }
        Ok(())
    }

    /// Bytes of a channel of the process, as a message of their own.
    async fn pass(&mut self, channel: Channel, bytes: Vec<u8>) -> Result<(), Stopped> {
        let number = if channel == Channel::Stderr { 2 } else { 1 };
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.push(number);
        message.extend_from_slice(&bytes);
        self.send(message.into()).await
    }

    /// Recorded first; delivered after.
    async fn send(&mut self, message: Bytes) -> Result<(), Stopped> {
        let frame = self.protocol.frame(self.direction, &message).map_err(|_| Stopped::Malformed)?;
        if frame.kind == FrameKind::Data {
            let (channel, payload) = (frame.channel, message.slice_ref(frame.payload));
            if channel == Channel::Error && self.status.len().saturating_add(payload.len()) <= STATUS_BYTES_MAX {
                self.status.extend_from_slice(&payload);
            }
            self.bytes = self.bytes.saturating_add(payload.len() as u64);
            self.tape.record(channel, payload).await.map_err(|_| Stopped::Recorder)?;
        }
        // The side that no longer reads will say so itself; what it missed is on record as offered.
        self.to.send(Message::Binary(message)).await.map_err(|_| Stopped::Lost)
    }
}

impl Relay {
    pub(super) fn new(
        gateway: &Gateway,
        protocol: Protocol,
        recorder: Recorder,
        caller: Authenticated,
        output: Option<Output>,
    ) -> Self {
        Self {
            protocol,
            recorder,
            idle_max: gateway.limits.session_idle_max,
            session_max: gateway.limits.session_max,
            ending: gateway.ending.clone(),
            token_left: caller.expires_at.since(gateway.clock().now()),
            standing: Standing::new(gateway.store.clone(), caller.subject),
            output,
        }
    }

    /// Relays to the end. Not cancelled by anyone: it ends by itself, by its limits, or when the gateway ends.
    pub(super) async fn run(self, client: BoxStream, upstream: BoxStream) -> Ended {
        let configuration = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .read_buffer_size(32 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MESSAGE_BYTES_MAX);
        let client = WebSocketStream::from_raw_socket(client, Role::Server, Some(configuration)).await;
        let upstream = WebSocketStream::from_raw_socket(upstream, Role::Client, Some(configuration)).await;
        let (tape, writing) = tape(self.recorder);
        let limits = Limits {
            idle_max: self.idle_max,
            session_max: self.session_max,
            ending: self.ending,
            standing: self.standing,
            token_left: self.token_left,
        };
        let relaying = between(client, upstream, tape, (self.protocol, self.output), limits);
        let (over, (recorder, recorded)) = tokio::join!(relaying, writing);
        let Over { reason, status, bytes, masked } = over;
        let exit_code = exit_code(&status);
        Ended { reason, exit_code, recorder, recorded, bytes_to_client: bytes, masked }
    }
}

struct Limits {
    idle_max: Duration,
    session_max: Duration,
    ending: CancellationToken,
    standing: Standing,
    token_left: Duration,
}

impl Limits {
    /// Resolves when a limit is reached.
    async fn reached(mut self, last: &watch::Receiver<Instant>) -> Reason {
        let begin = Instant::now();
        let (end, expiry) = (begin + self.session_max, begin + self.token_left);
        loop {
            let idle = *last.borrow() + self.idle_max;
            tokio::select! {
                () = tokio::time::sleep_until(idle.min(end).min(expiry)) => {}
                () = self.ending.cancelled() => return Reason::Shutdown,
                () = self.standing.frozen() => return Reason::Frozen,
            }
            let now = Instant::now();
            if now >= end {
                return Reason::TooLong;
            }
            if now >= expiry {
                return Reason::TokenExpired;
            }
            if now >= *last.borrow() + self.idle_max {
                return Reason::Idle;
            }
        }
    }
}

/// What is known when both directions are over.
struct Over {
    reason: Reason,
    status: Vec<u8>,
    bytes: u64,
    masked: u64,
}

async fn between(
    client: Socket,
    upstream: Socket,
    tape: Tape,
    (protocol, output): (Protocol, Option<Output>),
    limits: Limits,
) -> Over {
    let (mut to_client, mut from_client) = client.split();
    let (mut to_upstream, mut from_upstream) = upstream.split();
    let (last, watching) = watch::channel(Instant::now());
    let mut inward = Way {
        from: &mut from_client,
        to: &mut to_upstream,
        tape: tape.clone(),
        protocol,
        direction: Direction::ToUpstream,
        last: &last,
        bytes: 0,
        status: Vec::new(),
        output: None,
    };
    let mut outward = Way {
        from: &mut from_upstream,
        to: &mut to_client,
        tape,
        protocol,
        direction: Direction::ToClient,
        last: &last,
        bytes: 0,
        status: Vec::new(),
        output,
    };
    let (reason, mut close) = {
        let outward_run = outward.run();
        tokio::pin!(outward_run);
        let inward_run = inward.run();
        tokio::pin!(inward_run);
        tokio::select! {
            biased;
            stopped = &mut outward_run => from_process(stopped),
            stopped = &mut inward_run => match stopped {
                // The client may still want the end of the output; the process decides when that is.
                Stopped::Closed(frame) => (Reason::ClientClosed, frame),
                Stopped::Lost => match tokio::time::timeout(LINGER, &mut outward_run).await {
                    Ok(stopped) => from_process(stopped),
                    Err(_) => (Reason::ClientClosed, None),
                },
                Stopped::Recorder => (Reason::RecorderFailed, None),
                Stopped::Malformed => (Reason::Malformed, None),
            },
            reason = limits.reached(&watching) => (reason, None),
        }
    };
    if reason != Reason::RecorderFailed && outward.flush().await.is_err() {
        tracing::debug!("the last output of a session reached nobody");
    }
    let status = std::mem::take(&mut outward.status);
    let mut bytes = outward.bytes;
    let reason = if reason == Reason::UpstreamLost && !status.is_empty() { Reason::Completed } else { reason };
    if status.is_empty()
        && !matches!(reason, Reason::Completed | Reason::ClientClosed)
        && let Some(told) = tell_failure(&mut outward, reason).await
    {
        bytes = bytes.saturating_add(told);
        // kubectl reads the error channel only from a session that was closed as a whole one is.
        close = Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() });
    }
    let masked = outward.output.as_ref().map_or(0, Output::masked);
    drop((inward, outward));
    farewell(to_client, from_client, to_upstream, reason, close).await;
    Over { reason, status, bytes, masked }
}

const fn completed(stopped: &Stopped) -> Reason {
    match stopped {
        Stopped::Closed(_) => Reason::Completed,
        Stopped::Lost => Reason::UpstreamLost,
        Stopped::Recorder => Reason::RecorderFailed,
        Stopped::Malformed => Reason::Malformed,
    }
}

fn from_process(stopped: Stopped) -> (Reason, Option<CloseFrame>) {
    let reason = completed(&stopped);
    match stopped {
        Stopped::Closed(frame) => (reason, frame),
        Stopped::Lost | Stopped::Recorder | Stopped::Malformed => (reason, None),
    }
}

/// Closing alone reads as success to today's kubectl (kubernetes/kubectl#1726): say on the error channel that it was
/// none. On record too, unless the recorder is what failed. The bytes that are on record; `None`: the client was not told.
async fn tell_failure(outward: &mut Way<'_>, reason: Reason) -> Option<u64> {
    let message = outward.protocol.failure_frame(&format!("lockgate ended the session: {}", reason.as_str()))?;
    let before = outward.bytes;
    let message = Bytes::from(message);
    let told = match reason {
        Reason::RecorderFailed => outward.to.send(Message::Binary(message)).await.map_err(|_| Stopped::Lost),
        _ => outward.deliver(message).await,
    };
    if told.is_err() {
        tracing::debug!("a session's client was gone before it could be told why it ended");
        return None;
    }
    Some(outward.bytes.saturating_sub(before))
}

/// Closes both sides; gives the client a moment to read what is on its way.
async fn farewell(
    mut to_client: SplitSink<Socket, Message>,
    mut from_client: SplitStream<Socket>,
    mut to_upstream: SplitSink<Socket, Message>,
    reason: Reason,
    close: Option<CloseFrame>,
) {
    let goodbye = async {
        match reason {
            Reason::ClientClosed => {
                if to_upstream.send(Message::Close(close)).await.is_ok() {
                    tracing::trace!("told upstream that the client closed");
                }
            }
            _ => {
                if to_client.send(Message::Close(close)).await.is_ok() {
                    while let Some(Ok(_)) = from_client.next().await {}
                }
            }
        }
    };
    if tokio::time::timeout(LINGER, goodbye).await.is_err() {
        tracing::debug!("a session's other side did not close in time");
    }
}
