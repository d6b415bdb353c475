//! Interactive sessions on the wire: which protocol a request is upgraded to, what is negotiated inside it, and what
//! each message says.
//!
//! Owns: [`Upgrade`] (WebSocket or SPDY), the remote-command subprotocols of WebSocket ([`Offer`], [`Protocol`]), their
//! messages ([`ChannelFrame`]), terminal sizes and the final `Status` of a command.
//!
//! Refuses to know: WebSocket's own framing, sockets, recordings. One *message* here is the payload of one WebSocket
//! message, all fragments joined, text or binary alike (the API server treats them alike too).
//! Source: `k8s.io/apimachinery/pkg/util/remotecommand`, `k8s.io/apimachinery/pkg/util/httpstream/wsstream`,
//! `k8s.io/client-go/tools/remotecommand`.

mod frame;
mod protocol;
mod status;
mod upgrade;

pub use frame::{ChannelError, ChannelFrame, Direction, FrameKind, MESSAGE_BYTES_MAX};
pub use protocol::{NegotiateError, Offer, Protocol};
pub use status::{TerminalSize, exit_code, failure_status};
pub use upgrade::{Upgrade, UpgradeError};
