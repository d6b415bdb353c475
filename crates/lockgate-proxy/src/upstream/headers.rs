//! Which headers cross, in both directions (invariant 9).
//!
//! Order matters: a client can list `Impersonate-User` in `Connection`, which would make a naive proxy strip the
//! identity it just set. So the client's headers are cleaned first, and ours are set last, on ordinary requests and
//! upgrades alike.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use lockgate_core::AuditId;

/// How the cluster is told who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `Impersonate-Group` values.
    pub groups: Vec<String>,
    /// `Impersonate-Extra-<key>` values; low-cardinality, since each is authorised on every request.
    pub extras: Vec<(String, String)>,
}

/// A header that cannot carry what it must (control characters in a claim, say).
#[derive(Debug, thiserror::Error)]
#[error("the identity's {what} cannot be written as a header")]
pub struct UnwritableIdentity {
    what: &'static str,
}

impl UnwritableIdentity {
    /// A request that is none of Lockgate's own reads.
    pub(super) const NOT_OWN: Self = Self { what: "user (it is not Lockgate itself)" };
}

/// Headers that concern one hop only (RFC 9110, section 7.6.1), and those that speak of identity or credentials.
const NEVER_CROSS: [&str; 15] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "authorization",
    "cookie",
    "host",
    "content-length",
    "audit-id",
    "expect",
];

/// Prefixes of headers by which a client could claim an identity, an address or another method.
const NEVER_CROSS_PREFIXES: [&str; 6] =
    ["impersonate-", "x-remote-", "x-forwarded-", "x-http-method", "x-method-override", "sec-websocket-"];

/// Other single headers that claim an address or choose a representation; we decide both.
const REPLACED: [&str; 5] = ["forwarded", "x-real-ip", "accept-encoding", "range", "if-range"];

fn crosses(name: &HeaderName) -> bool {
    let name = name.as_str();
    !NEVER_CROSS.contains(&name)
        && !REPLACED.contains(&name)
        && !NEVER_CROSS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The names that a `Connection` header (or several) declares to be hop-by-hop.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

/// The client's headers that go upstream.
pub fn clean_request(headers: &HeaderMap) -> HeaderMap {
    let hop_by_hop = named_by_connection(headers);
    headers
        .iter()
        .filter(|(name, _)| crosses(name) && !hop_by_hop.iter().any(|hop| hop == name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The upstream's headers that go to the client.
pub fn clean_response(headers: &HeaderMap) -> HeaderMap {
    const HOP_BY_HOP: [&str; 10] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "set-cookie",
    ];
    let hop_by_hop = named_by_connection(headers);
    headers
        .iter()
        .filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()) && !hop_by_hop.iter().any(|hop| hop == name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Sets who is calling and which of our records says so. Call it last.
pub fn set_identity(
    headers: &mut HeaderMap,
    audit_id: AuditId,
    user: &str,
    identity: &Identity,
) -> Result<(), UnwritableIdentity> {
    let value = |what, text: &str| HeaderValue::from_str(text).map_err(|_| UnwritableIdentity { what });
    if user.is_empty() {
        return Err(UnwritableIdentity { what: "user (it is empty)" });
    }
    headers.insert("impersonate-user", value("user", user)?);
    for group in &identity.groups {
        headers.append("impersonate-group", value("group", group)?);
    }
    for (key, text) in &identity.extras {
        let name = HeaderName::try_from(format!("impersonate-extra-{}", escaped(key)))
            .map_err(|_| UnwritableIdentity { what: "extra's key" })?;
        headers.append(name, value("extra", text)?);
    }
    set_own(headers, audit_id)
}

/// Sets which of our records speaks of the request; nobody is impersonated. Call it last.
pub fn set_own(headers: &mut HeaderMap, audit_id: AuditId) -> Result<(), UnwritableIdentity> {
    let value = HeaderValue::from_str(&audit_id.uuid().to_string());
    headers.insert("audit-id", value.map_err(|_| UnwritableIdentity { what: "audit id" })?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(())
}

/// An extra's key as a part of a header's name: what is no token character is percent-encoded, as client-go does
/// (<https://github.com/kubernetes/client-go/blob/master/transport/round_trippers.go>, `headerKeyEscape`).
fn escaped(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for byte in key.to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn identity() -> Identity {
        Identity { groups: vec!["lockgate:deployers".into()], extras: vec![("owner".into(), "alice".into())] }
    }

    #[test]
    fn bypass_row_1_connection_cannot_strip_the_injected_identity() {
        let client = headers(&[("connection", "Impersonate-User, keep-alive"), ("connection", "impersonate-group")]);
        let mut upstream = clean_request(&client);
        set_identity(&mut upstream, AuditId::new(uuid::Uuid::nil()), "agent:x", &identity()).unwrap();
        assert_eq!(upstream.get("impersonate-user").unwrap(), "agent:x");
        assert_eq!(upstream.get("impersonate-group").unwrap(), "lockgate:deployers");
        assert!(upstream.get("connection").is_none());
    }

    #[test]
    fn an_extras_key_with_a_slash_is_escaped() {
        let identity = Identity { groups: Vec::new(), extras: vec![("lockgate.dev/Owner%".into(), "alice".into())] };
        let mut upstream = HeaderMap::new();
        set_identity(&mut upstream, AuditId::new(uuid::Uuid::nil()), "agent:x", &identity).unwrap();
        assert_eq!(upstream.get("impersonate-extra-lockgate.dev%2Fowner%25").unwrap(), "alice");
    }

    #[test]
    fn bypass_row_2_client_impersonation_never_crosses() {
        let client = headers(&[
            ("Impersonate-User", "system:admin"),
            ("Impersonate-Uid", "1"),
            ("Impersonate-Group", "system:masters"),
            ("Impersonate-Extra-Scopes", "all"),
            ("Impersonate-Something-New", "x"),
            ("X-Remote-User", "root"),
            ("X-Remote-Extra-Foo", "x"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("Authorization", "Bearer secret"),
            ("Cookie", "a=b"),
            ("Accept", "application/json"),
        ]);
        let upstream = clean_request(&client);
        assert_eq!(upstream.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn bypass_row_3_an_empty_identity_is_refused() {
        let nobody = Identity { groups: Vec::new(), extras: Vec::new() };
        assert!(set_identity(&mut HeaderMap::new(), AuditId::new(uuid::Uuid::nil()), "", &nobody).is_err());
    }

    #[test]
    fn bypass_row_22_a_bearer_in_the_websocket_protocol_never_crosses() {
        let client = headers(&[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0")]);
        assert!(clean_request(&client).is_empty());
    }
}
