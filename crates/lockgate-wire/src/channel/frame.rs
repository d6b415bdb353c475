//! One message of a session: which channel, what payload.

use lockgate_core::Channel;
use thiserror::Error;

use super::protocol::Protocol;
use super::status::failure_status;

/// Largest message, either way. Clients write in pieces of 32 KiB and less; a larger message breaks the session off.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The first byte of a v5 message that closes the channel in its second byte.
const CLOSE_SIGNAL: u8 = 255;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the API server.
    ToUpstream,
    /// From the API server to the client.
    ToClient,
}

/// What a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// It carries bytes of its channel, perhaps none.
    Data,
    /// It closes its channel (v5 only).
    Close,
}

/// One message, read. The bytes that go on are the message itself, not this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelFrame<'m> {
    /// Whose bytes.
    pub channel: Channel,
    /// Data, or the channel's end.
    pub kind: FrameKind,
    /// The bytes, without the channel's number; empty for a close.
    pub payload: &'m [u8],
}

/// A message that ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// Nothing in it, not even a channel's number.
    #[error("a message without a channel number")]
    Empty,
    /// Larger than [`MESSAGE_BYTES_MAX`].
    #[error("a message of {bytes} bytes; at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No such channel in this protocol.
    #[error("a message for channel {number}, which this protocol does not have")]
    UnknownChannel {
        /// Its number.
        number: u8,
    },
    /// The channel flows the other way.
    #[error("a message on the {} channel in the wrong direction", channel.as_str())]
    WrongDirection {
        /// The channel.
        channel: Channel,
    },
    /// A close signal that does not name exactly one channel.
    #[error("a malformed close signal")]
    MalformedClose,
}

impl Protocol {
    /// Reads one message.
    ///
    /// # Errors
    /// When it is empty, too large, or names a channel that is unknown or flows the other way.
    pub fn frame(self, direction: Direction, message: &[u8]) -> Result<ChannelFrame<'_>, ChannelError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(ChannelError::TooLarge { bytes: message.len() });
        }
        let data = |channel, payload| Ok(ChannelFrame { channel, kind: FrameKind::Data, payload });
        let bytes_of_port = match direction {
            Direction::ToUpstream => Channel::Stdin,
            Direction::ToClient => Channel::Stdout,
        };
        if self == Self::PortForwardTunnel {
            return data(bytes_of_port, message);
        }
        let (&number, payload) = message.split_first().ok_or(ChannelError::Empty)?;
        if self == Self::PortForwardChannels {
            let channel = if number % 2 == 0 { bytes_of_port } else { Channel::Error };
            return checked(channel, direction).and_then(|channel| data(channel, payload));
        }
        if number == CLOSE_SIGNAL && self == Self::ChannelV5 {
            let [number] = payload else { return Err(ChannelError::MalformedClose) };
            let channel = channel(*number)?;
            return Ok(ChannelFrame { channel, kind: FrameKind::Close, payload: &[] });
        }
        checked(channel(number)?, direction).and_then(|channel| data(channel, payload))
    }

    /// The message that tells the client why its command has no exit code, to send before closing when upstream is
    /// lost: an empty error channel reads as success. `None` for port-forward, which has no final word.
    pub fn failure_frame(self, message: &str) -> Option<Vec<u8>> {
        let body = match self {
            Self::ChannelV4 | Self::ChannelV5 => failure_status(message),
            Self::ChannelV1 | Self::ChannelV2 | Self::ChannelV3 => message.as_bytes().to_vec(),
            Self::PortForwardChannels | Self::PortForwardTunnel => return None,
        };
        let mut frame = Vec::with_capacity(body.len() + 1);
        frame.push(3);
        frame.extend_from_slice(&body);
        Some(frame)
    }
}

/// `k8s.io/apimachinery/pkg/util/remotecommand/constants.go`.
const fn channel(number: u8) -> Result<Channel, ChannelError> {
    match number {
        0 => Ok(Channel::Stdin),
        1 => Ok(Channel::Stdout),
        2 => Ok(Channel::Stderr),
        3 => Ok(Channel::Error),
        4 => Ok(Channel::Resize),
        number => Err(ChannelError::UnknownChannel { number }),
    }
}

const fn checked(channel: Channel, direction: Direction) -> Result<Channel, ChannelError> {
    match (channel, direction) {
        (Channel::Stdin | Channel::Resize, Direction::ToUpstream)
        | (Channel::Stdout | Channel::Stderr | Channel::Error, Direction::ToClient) => Ok(channel),
        _ => Err(ChannelError::WrongDirection { channel }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::exit_code;

    const CHANNELS: [Protocol; 5] =
        [Protocol::ChannelV1, Protocol::ChannelV2, Protocol::ChannelV3, Protocol::ChannelV4, Protocol::ChannelV5];

    fn data(channel: Channel, payload: &[u8]) -> Result<ChannelFrame<'_>, ChannelError> {
        Ok(ChannelFrame { channel, kind: FrameKind::Data, payload })
    }

    #[test]
    fn every_channel_flows_one_way() {
        let all = [
            (0, Channel::Stdin, Direction::ToUpstream),
            (1, Channel::Stdout, Direction::ToClient),
            (2, Channel::Stderr, Direction::ToClient),
            (3, Channel::Error, Direction::ToClient),
            (4, Channel::Resize, Direction::ToUpstream),
        ];
        for protocol in CHANNELS {
            for (number, channel, way) in all {
                for direction in [Direction::ToUpstream, Direction::ToClient] {
                    let message = [number, b'h', b'i'];
                    let expected = if direction == way {
                        data(channel, b"hi")
                    } else {
                        Err(ChannelError::WrongDirection { channel })
                    };
                    assert_eq!(protocol.frame(direction, &message), expected, "{protocol:?} {number}");
                }
            }
            // The API server opens with an empty frame.
            assert_eq!(protocol.frame(Direction::ToClient, &[1]), data(Channel::Stdout, b""));
        }
    }

    #[test]
    fn only_v5_closes_a_channel() {
        for direction in [Direction::ToUpstream, Direction::ToClient] {
            let close = ChannelFrame { channel: Channel::Stdin, kind: FrameKind::Close, payload: &[] };
            assert_eq!(Protocol::ChannelV5.frame(direction, &[255, 0]), Ok(close));
            for message in [&[255][..], &[255, 0, 0], &[255, 1, 2, 3]] {
                assert_eq!(Protocol::ChannelV5.frame(direction, message), Err(ChannelError::MalformedClose));
            }
            assert_eq!(
                Protocol::ChannelV5.frame(direction, &[255, 5]),
                Err(ChannelError::UnknownChannel { number: 5 })
            );
        }
        for protocol in CHANNELS.into_iter().filter(|protocol| *protocol != Protocol::ChannelV5) {
            assert_eq!(
                protocol.frame(Direction::ToUpstream, &[255, 0]),
                Err(ChannelError::UnknownChannel { number: 255 })
            );
        }
    }

    #[test]
    fn malformed_messages_are_errors() {
        let large = vec![0; MESSAGE_BYTES_MAX + 1];
        for protocol in CHANNELS {
            assert_eq!(protocol.frame(Direction::ToUpstream, &[]), Err(ChannelError::Empty));
            for number in 5..255 {
                assert_eq!(
                    protocol.frame(Direction::ToClient, &[number, 1]),
                    Err(ChannelError::UnknownChannel { number })
                );
            }
            assert_eq!(
                protocol.frame(Direction::ToUpstream, &large),
                Err(ChannelError::TooLarge { bytes: MESSAGE_BYTES_MAX + 1 })
            );
            assert!(protocol.frame(Direction::ToUpstream, &large[1..]).is_ok());
        }
    }

    #[test]
    fn port_forward_is_recorded_raw() {
        let tunnel = Protocol::PortForwardTunnel;
        assert_eq!(tunnel.frame(Direction::ToUpstream, &[255, 0]), data(Channel::Stdin, &[255, 0]));
        assert_eq!(tunnel.frame(Direction::ToClient, b""), data(Channel::Stdout, b""));
        let channels = Protocol::PortForwardChannels;
        assert_eq!(channels.frame(Direction::ToUpstream, &[2, b'x']), data(Channel::Stdin, b"x"));
        assert_eq!(channels.frame(Direction::ToClient, &[2, b'x']), data(Channel::Stdout, b"x"));
        assert_eq!(channels.frame(Direction::ToClient, &[3, b'x']), data(Channel::Error, b"x"));
        assert_eq!(
            channels.frame(Direction::ToUpstream, &[3, b'x']),
            Err(ChannelError::WrongDirection { channel: Channel::Error })
        );
        assert_eq!(channels.frame(Direction::ToUpstream, &[]), Err(ChannelError::Empty));
    }

    #[test]
    fn case_04_a_lost_upstream_is_told_on_the_error_channel() {
        for protocol in CHANNELS {
            let message = protocol.failure_frame("lost \"it\"").unwrap();
            let frame = protocol.frame(Direction::ToClient, &message).unwrap();
            assert_eq!(frame.channel, Channel::Error);
            if protocol.has_status() {
                let status: serde_json::Value = serde_json::from_slice(frame.payload).unwrap();
                assert_eq!((&status["status"], &status["message"]), (&"Failure".into(), &"lost \"it\"".into()));
                assert_eq!(exit_code(frame.payload), None);
            } else {
                assert_eq!(frame.payload, b"lost \"it\"");
            }
        }
        assert_eq!(Protocol::PortForwardTunnel.failure_frame("lost"), None);
        assert_eq!(Protocol::PortForwardChannels.failure_frame("lost"), None);
    }
}
