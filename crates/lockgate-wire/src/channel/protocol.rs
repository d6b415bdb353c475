//! The subprotocols of `Sec-WebSocket-Protocol`: what a client may offer, what goes upstream, what upstream may choose.

use lockgate_core::Stream;
use thiserror::Error;

/// A bearer token that travels as a subprotocol (Kubernetes #47740). Never forwarded, never logged.
const BEARER_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// More subprotocols than any client offers.
const OFFERED_MAX: usize = 16;

/// A negotiated subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `channel.k8s.io`: the error channel holds text.
    ChannelV1,
    /// `v2.channel.k8s.io`.
    ChannelV2,
    /// `v3.channel.k8s.io`: adds terminal sizes.
    ChannelV3,
    /// `v4.channel.k8s.io`: the error channel holds a `Status`.
    ChannelV4,
    /// `v5.channel.k8s.io`: adds a message that closes a channel.
    ChannelV5,
    /// `v4.channel.k8s.io` for port-forward: two channels for each port, data and error.
    PortForwardChannels,
    /// `SPDY/3.1+portforward.k8s.io`: SPDY inside WebSocket messages, opaque here.
    PortForwardTunnel,
}

/// What a client offered and we can carry, in its order of preference; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    protocols: Vec<Protocol>,
}

/// Why a WebSocket is not opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NegotiateError {
    /// A watch or log over WebSocket (`binary.k8s.io`, `base64.binary.k8s.io` or none): not carried, since it would
    /// pass the masker by.
    #[error("watch and logs over WebSocket are not supported: send the same request without Upgrade")]
    ReadOverWebSocket,
    /// The request is for something that has no sessions we can record.
    #[error("this resource cannot be upgraded through Lockgate: only exec, attach and portforward can")]
    NotASession,
    /// No subprotocol was offered.
    #[error("Sec-WebSocket-Protocol is missing: offer {wanted}")]
    Missing {
        /// What to offer.
        wanted: &'static str,
    },
    /// Only base64 variants were offered.
    #[error("base64 subprotocols are not supported: offer {wanted}")]
    Base64 {
        /// What to offer.
        wanted: &'static str,
    },
    /// None of the subprotocols offered is known.
    #[error("no subprotocol in Sec-WebSocket-Protocol is known: offer {wanted}")]
    Unknown {
        /// What to offer.
        wanted: &'static str,
    },
    /// The header holds more than any client sends, or an empty or repeated name.
    #[error("Sec-WebSocket-Protocol is malformed")]
    Malformed,
    /// Upstream chose something that it was not offered, or nothing.
    #[error("the API server chose a subprotocol that was not offered")]
    NotOffered,
}

impl Protocol {
    /// Reads the client's `Sec-WebSocket-Protocol` (several headers joined with commas) for a session of this kind.
    /// Bearer tokens, base64 variants and unknown names are left out of the offer; when nothing is left, that is an
    /// error.
    ///
    /// # Errors
    /// When the request is for no session, or nothing that was offered can be carried.
    pub fn negotiate(stream: Stream, offered: &str) -> Result<Offer, NegotiateError> {
        let wanted = match stream {
            Stream::Exec | Stream::Attach => "v5.channel.k8s.io or v4.channel.k8s.io",
            Stream::Portforward => "SPDY/3.1+portforward.k8s.io",
            Stream::None | Stream::Watch | Stream::Logs => return Err(NegotiateError::ReadOverWebSocket),
            Stream::Proxy => return Err(NegotiateError::NotASession),
        };
        let names: Vec<&str> = offered.split(',').map(str::trim).collect();
        let names: Vec<&str> = if names == [""] { Vec::new() } else { names };
        if names.len() > OFFERED_MAX || names.iter().any(|name| name.is_empty()) {
            return Err(NegotiateError::Malformed);
        }
        let mut protocols = Vec::new();
        let mut others = names.iter().filter(|name| !name.starts_with(BEARER_PREFIX)).peekable();
        if others.peek().is_none() {
            return Err(NegotiateError::Missing { wanted });
        }
        let mut base64 = false;
        for name in others {
            base64 |= name.contains("base64.");
            match Self::named(stream, name) {
                Some(protocol) if protocols.contains(&protocol) => return Err(NegotiateError::Malformed),
                Some(protocol) => protocols.push(protocol),
                None => {}
            }
        }
        match (protocols.is_empty(), base64) {
            (false, _) => Ok(Offer { protocols }),
            (true, true) => Err(NegotiateError::Base64 { wanted }),
            (true, false) => Err(NegotiateError::Unknown { wanted }),
        }
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChannelV1 => "channel.k8s.io",
            Self::ChannelV2 => "v2.channel.k8s.io",
            Self::ChannelV3 => "v3.channel.k8s.io",
            Self::ChannelV4 | Self::PortForwardChannels => "v4.channel.k8s.io",
            Self::ChannelV5 => "v5.channel.k8s.io",
            Self::PortForwardTunnel => "SPDY/3.1+portforward.k8s.io",
        }
    }

    /// Whether the error channel ends with a JSON `Status`, so that an exit code can be read from it.
    pub const fn has_status(self) -> bool {
        matches!(self, Self::ChannelV4 | Self::ChannelV5)
    }

    fn named(stream: Stream, name: &str) -> Option<Self> {
        let known: &[Self] = if stream == Stream::Portforward {
            &[Self::PortForwardTunnel, Self::PortForwardChannels]
        } else {
            &[Self::ChannelV5, Self::ChannelV4, Self::ChannelV3, Self::ChannelV2, Self::ChannelV1]
        };
        known.iter().copied().find(|protocol| protocol.as_str() == name)
    }
}

impl Offer {
    /// What may be chosen, the client's favourite first.
    pub fn protocols(&self) -> &[Protocol] {
        &self.protocols
    }

    /// The header that goes upstream.
    pub fn header(&self) -> String {
        let names: Vec<&str> = self.protocols.iter().map(|protocol| protocol.as_str()).collect();
        names.join(", ")
    }

    /// What upstream's answer chose; the same header goes back to the client.
    ///
    /// # Errors
    /// When it chose nothing, or something else.
    pub fn choose(&self, answered: Option<&str>) -> Result<Protocol, NegotiateError> {
        let answered = answered.map(str::trim).ok_or(NegotiateError::NotOffered)?;
        self.protocols.iter().copied().find(|protocol| protocol.as_str() == answered).ok_or(NegotiateError::NotOffered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_client_is_kept() {
        let offer = Protocol::negotiate(Stream::Exec, "v4.channel.k8s.io,v5.channel.k8s.io , channel.k8s.io").unwrap();
        assert_eq!(offer.protocols(), [Protocol::ChannelV4, Protocol::ChannelV5, Protocol::ChannelV1]);
        assert_eq!(offer.header(), "v4.channel.k8s.io, v5.channel.k8s.io, channel.k8s.io");
        assert_eq!(offer.choose(Some("channel.k8s.io")), Ok(Protocol::ChannelV1));
        for wrong in [None, Some(""), Some("v3.channel.k8s.io"), Some("V5.channel.k8s.io")] {
            assert_eq!(offer.choose(wrong), Err(NegotiateError::NotOffered), "{wrong:?}");
        }
    }

    #[test]
    fn every_protocol_is_known_by_its_name() {
        for name in
            ["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
        {
            let offer = Protocol::negotiate(Stream::Attach, name).unwrap();
            assert_eq!(offer.header(), name);
        }
        let tunnel = Protocol::negotiate(Stream::Portforward, "SPDY/3.1+portforward.k8s.io").unwrap();
        assert_eq!(tunnel.protocols(), [Protocol::PortForwardTunnel]);
        let channels = Protocol::negotiate(Stream::Portforward, "v4.channel.k8s.io").unwrap();
        assert_eq!(channels.protocols(), [Protocol::PortForwardChannels]);
    }

    #[test]
    fn bypass_row_22_a_bearer_is_stripped() {
        let offered = "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io";
        let offer = Protocol::negotiate(Stream::Exec, offered).unwrap();
        assert_eq!(offer.header(), "v5.channel.k8s.io");
        let alone = Protocol::negotiate(Stream::Exec, "base64url.bearer.authorization.k8s.io.c2VjcmV0").unwrap_err();
        assert!(matches!(alone, NegotiateError::Missing { .. }));
        assert!(!alone.to_string().contains("c2VjcmV0"));
    }

    #[test]
    fn unknown_names_are_left_out_and_alone_refused() {
        let offer = Protocol::negotiate(Stream::Exec, "v6.channel.k8s.io, v5.channel.k8s.io").unwrap();
        assert_eq!(offer.header(), "v5.channel.k8s.io");
        for offered in ["v6.channel.k8s.io", "SPDY/3.1+portforward.k8s.io", "soap"] {
            let error = Protocol::negotiate(Stream::Exec, offered).unwrap_err();
            assert!(matches!(error, NegotiateError::Unknown { .. }), "{offered}");
        }
        for offered in ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"] {
            let error = Protocol::negotiate(Stream::Exec, offered).unwrap_err();
            assert!(matches!(error, NegotiateError::Base64 { .. }), "{offered}");
        }
        assert!(matches!(Protocol::negotiate(Stream::Exec, ""), Err(NegotiateError::Missing { .. })));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let many = vec!["v5.channel.k8s.io"; 17].join(",");
        for offered in [",", "v5.channel.k8s.io,", "v5.channel.k8s.io,v5.channel.k8s.io", &many] {
            assert_eq!(Protocol::negotiate(Stream::Exec, offered), Err(NegotiateError::Malformed), "{offered}");
        }
    }

    #[test]
    fn bypass_row_21_reads_over_websocket_are_refused() {
        for stream in [Stream::Watch, Stream::Logs, Stream::None] {
            for offered in ["", "binary.k8s.io", "base64.binary.k8s.io", "v5.channel.k8s.io"] {
                assert_eq!(Protocol::negotiate(stream, offered), Err(NegotiateError::ReadOverWebSocket));
            }
        }
        assert_eq!(Protocol::negotiate(Stream::Proxy, "v5.channel.k8s.io"), Err(NegotiateError::NotASession));
    }
}
