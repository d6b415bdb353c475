//! Does a request ask to leave HTTP, and for what?

use thiserror::Error;

/// A protocol that a request may be upgraded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upgrade {
    /// `websocket` (RFC 6455).
    WebSocket,
    /// `SPDY/3.1`, what kubectl and client-go speak when WebSocket fails or is off.
    Spdy,
}

/// An upgrade request that is refused with 400, never passed on and never treated as a plain request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpgradeError {
    /// `Connection: upgrade` without an `Upgrade` header.
    #[error("the Connection header asks for an upgrade but no Upgrade header says to what")]
    NoProtocol,
    /// An `Upgrade` header without `Connection: upgrade`.
    #[error("an Upgrade header needs Connection: Upgrade beside it")]
    NoConnection,
    /// More than one protocol in one header.
    #[error("the Upgrade header must name exactly one protocol")]
    Ambiguous,
    /// Neither WebSocket nor SPDY/3.1.
    #[error("the Upgrade header names a protocol that is neither websocket nor SPDY/3.1")]
    Unknown,
}

impl Upgrade {
    /// What the request asks for; `None` for a plain request.
    ///
    /// Both headers are compared without regard to case; `connection_headers` are all `Connection` headers of the
    /// request, since a client may repeat the header. A repeated `Upgrade` header is for the caller to refuse, or to
    /// join with commas, which is refused here.
    ///
    /// # Errors
    /// When one of the two headers is there without the other, or the protocol is not exactly one of ours.
    pub fn of<'h>(
        upgrade_header: Option<&str>,
        connection_headers: impl Iterator<Item = &'h str>,
    ) -> Result<Option<Self>, UpgradeError> {
        let asked = connection_headers
            .flat_map(|header| header.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
        let Some(protocol) = upgrade_header.map(str::trim) else {
            return if asked { Err(UpgradeError::NoProtocol) } else { Ok(None) };
        };
        if !asked {
            return Err(UpgradeError::NoConnection);
        }
        if protocol.contains(',') {
            return Err(UpgradeError::Ambiguous);
        }
        if protocol.eq_ignore_ascii_case("websocket") {
            Ok(Some(Self::WebSocket))
        } else if protocol.eq_ignore_ascii_case("SPDY/3.1") {
            Ok(Some(Self::Spdy))
        } else {
            Err(UpgradeError::Unknown)
        }
    }

    /// The `Upgrade` header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "SPDY/3.1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(upgrade: Option<&str>, connection: &[&str]) -> Result<Option<Upgrade>, UpgradeError> {
        Upgrade::of(upgrade, connection.iter().copied())
    }

    #[test]
    fn a_plain_request_is_none() {
        assert_eq!(of(None, &[]), Ok(None));
        assert_eq!(of(None, &["keep-alive, Upgrade-Insecure-Requests"]), Ok(None));
    }

    #[test]
    fn bypass_row_20_case_and_duplicate_connection_headers() {
        assert_eq!(of(Some("websocket"), &["Upgrade"]), Ok(Some(Upgrade::WebSocket)));
        assert_eq!(of(Some("WebSocket"), &["keep-alive", "UPGRADE"]), Ok(Some(Upgrade::WebSocket)));
        assert_eq!(of(Some(" spdy/3.1 "), &["keep-alive , uPgRaDe,close"]), Ok(Some(Upgrade::Spdy)));
        assert_eq!(of(Some("SPDY/3.1"), &["close", "Upgrade"]), Ok(Some(Upgrade::Spdy)));
    }

    #[test]
    fn half_an_upgrade_is_refused() {
        assert_eq!(of(None, &["Upgrade"]), Err(UpgradeError::NoProtocol));
        assert_eq!(of(Some("websocket"), &[]), Err(UpgradeError::NoConnection));
        assert_eq!(of(Some("websocket"), &["keep-alive"]), Err(UpgradeError::NoConnection));
    }

    #[test]
    fn other_protocols_are_refused() {
        for other in ["h2c", "SPDY/3", "SPDY/4", "websocket/13", "TLS/1.2", ""] {
            assert_eq!(of(Some(other), &["Upgrade"]), Err(UpgradeError::Unknown), "{other}");
        }
        assert_eq!(of(Some("websocket, SPDY/3.1"), &["Upgrade"]), Err(UpgradeError::Ambiguous));
        assert_eq!(of(Some("websocket,websocket"), &["Upgrade"]), Err(UpgradeError::Ambiguous));
    }
}
