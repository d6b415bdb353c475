//! The one canonical parser of request targets (architecture.md, invariant 11).
//!
//! Owns what a path and a query may look like, the split of the cluster prefix, and the form that is sent upstream.
//! Refuses to know what a path means ([`crate::request_info`]). What is not canonical is refused, never repaired: router,
//! policy, recorder, masker and forwarder all read this one value. Accepted leniencies: discovery's trailing slash, and
//! `%XX` that decodes to a punctuation character legal in a segment (generated clients escape `:`). An escaped letter,
//! digit, `-`, `.` or `_` is refused: no client writes one, and who does hides something (docs/adr/0007).

use std::fmt::Write as _;

use lockgate_core::limit::REQUEST_TARGET_BYTES_MAX;

use crate::WireError;

/// Most query parameters of one request; kubectl exec sends one per argument.
pub const QUERY_PARAMETERS_MAX: usize = 4_096;

/// Longest cluster name, in bytes: a DNS label.
pub const CLUSTER_NAME_BYTES_MAX: usize = 63;

/// Parameters that carry several values in Kubernetes' own API: `command` (exec), `ports` (port-forward), `exclude` (health).
const MULTI_VALUED: [&str; 3] = ["command", "exclude", "ports"];

/// A parsed request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    cluster: String,
    segments: Vec<String>,
    trailing_slash: bool,
    parameters: Vec<(String, String)>,
}

impl Target {
    /// Parses the target of a request line (`/clusters/<name>/…?…`).
    pub fn parse(target: &str) -> Result<Self, WireError> {
        if target.len() > REQUEST_TARGET_BYTES_MAX {
            return Err(WireError::TargetTooLong);
        }
        check_characters(target)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, query),
            None => (target, ""),
        };
        let (mut segments, trailing_slash) = path_segments(path)?;
        if segments.len() < 2 || segments.first().is_none_or(|first| first != "clusters") {
            return Err(WireError::NoCluster);
        }
        let cluster = segments.drain(..2).nth(1).unwrap_or_default();
        if !is_cluster_name(&cluster) {
            return Err(WireError::NoCluster);
        }
        if trailing_slash && !trailing_slash_is_served(&segments) {
            return Err(WireError::Target("a trailing slash has no meaning on a resource path"));
        }
        let trailing_slash = trailing_slash && !segments.is_empty();
        let parameters = query_parameters(query, is_behind_proxy(&segments))?;
        Ok(Self { cluster, segments, trailing_slash, parameters })
    }

    /// The cluster's name, as in the path; whether it exists is the caller's knowledge.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The decoded segments behind the cluster prefix.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The canonical path at the API server, without the cluster prefix.
    pub fn path(&self) -> String {
        let mut path = String::from("/");
        path.push_str(&self.segments.join("/"));
        if self.trailing_slash {
            path.push('/');
        }
        path
    }

    /// The canonical query, without `?`; empty when there is none.
    pub fn query(&self) -> String {
        encode_query(&self.parameters)
    }

    /// What to write behind the upstream's base: path, and query if there is one.
    pub fn path_and_query(&self) -> String {
        join(self.path(), &self.query())
    }

    /// [`Self::path_and_query`] without the named parameters, for a request whose options moved into its body.
    pub fn path_and_query_without(&self, names: &[&str]) -> String {
        let kept: Vec<_> =
            self.parameters.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect();
        join(self.path(), &encode_query(&kept))
    }

    /// [`Self::path_and_query`] with other values for the named parameters; `None` takes one out.
    pub fn path_and_query_with(&self, values: &[(&str, Option<String>)]) -> String {
        let named = |name: &str| values.iter().any(|(key, _)| *key == name);
        let kept = self.parameters.iter().filter(|(name, _)| !named(name)).cloned();
        let set = values.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
        join(self.path(), &encode_query(&kept.chain(set).collect::<Vec<_>>()))
    }

    /// The decoded value of a single-valued parameter; of a repeated one the first, as in Go's `url.Values.Get`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All decoded values of a parameter, in order.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn join(mut path: String, query: &str) -> String {
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    path
}

/// What no part of a target may hold, before any decoding.
fn check_characters(target: &str) -> Result<(), WireError> {
    check_bytes(target.as_bytes())?;
    if target.contains(';') {
        return Err(WireError::Target("a semicolon is ambiguous; escape it in a query value"));
    }
    Ok(())
}

/// What no HTTP request's target in origin form may hold, whatever it means.
pub(crate) fn check_bytes(target: &[u8]) -> Result<(), WireError> {
    if !target.starts_with(b"/") {
        return Err(WireError::Target("it must begin with a slash; absolute and authority forms are refused"));
    }
    for byte in target {
        match byte {
            b'#' => return Err(WireError::Target("a fragment is never sent to a server")),
            0..=0x20 | 0x7f => return Err(WireError::Target("it holds a control character or a space")),
            0x80.. => return Err(WireError::Target("it holds bytes outside ASCII; escape them")),
            b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                return Err(WireError::Target("it holds a character that must be escaped"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The decoded segments, and whether a slash follows the last.
fn path_segments(path: &str) -> Result<(Vec<String>, bool), WireError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (path, trailing_slash) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, false),
    };
    if path.is_empty() {
        return if trailing_slash { Err(EMPTY_SEGMENT) } else { Ok((Vec::new(), false)) };
    }
    let segments = path.split('/').map(path_segment).collect::<Result<_, _>>()?;
    Ok((segments, trailing_slash))
}

const EMPTY_SEGMENT: WireError = WireError::Target("it holds an empty path segment");

fn path_segment(raw: &str) -> Result<String, WireError> {
    if raw.is_empty() {
        return Err(EMPTY_SEGMENT);
    }
    let bytes = percent_decode(raw, Place::Path)?;
    if !bytes.iter().copied().all(is_segment_byte) {
        return Err(WireError::Target(
            "an escape in the path stands for a character that is not legal in a path segment",
        ));
    }
    if matches!(bytes.as_slice(), b"." | b"..") {
        return Err(WireError::Target("it holds a dot segment"));
    }
    String::from_utf8(bytes).map_err(|_| WireError::Target("it holds bytes outside ASCII; escape them"))
}

/// RFC 3986 `pchar` without the percent sign and without `;`, which some parsers take for a parameter.
const fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

fn is_cluster_name(name: &str) -> bool {
    name.len() <= CLUSTER_NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Discovery and other paths outside the resource space, and the tail of a proxy subresource.
fn trailing_slash_is_served(segments: &[String]) -> bool {
    match segments.first().map(String::as_str) {
        Some("api") if segments.len() > 2 => {}
        Some("apis") if segments.len() > 3 => {}
        _ => return true,
    }
    is_behind_proxy(segments)
}

/// Whether the path is one of a `proxy` subresource: what follows belongs to an application, not to Kubernetes. A
/// namespace or an object may well be named `proxy`.
fn is_behind_proxy(segments: &[String]) -> bool {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let rest = match segments.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => return false,
    };
    match rest {
        ["namespaces", _, _, _, "proxy", ..] => true,
        ["namespaces", ..] => false,
        [_, _, "proxy", ..] => true,
        _ => false,
    }
}

/// The decoded parameters in order; identical repeats of a single-valued parameter count once. `opaque` marks the path of
/// a proxied application, whose own parameters may repeat.
fn query_parameters(query: &str, opaque: bool) -> Result<Vec<(String, String)>, WireError> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    // Like Go's url.ParseQuery, empty pieces count for nothing; what goes upstream is our own encoding anyway.
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = parameter_name(name)?;
        let value = parameter_value(&name, value)?;
        if !MULTI_VALUED.contains(&name.as_str()) && !opaque {
            match parameters.iter().find(|(known, _)| *known == name) {
                Some((_, known)) if *known == value => continue,
                Some(_) => return Err(WireError::ConflictingParameter { name }),
                None => {}
            }
        }
        if parameters.len() == QUERY_PARAMETERS_MAX {
            return Err(WireError::Target("it has too many query parameters"));
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

fn parameter_name(raw: &str) -> Result<String, WireError> {
    let bytes = percent_decode(raw, Place::Query)?;
    if bytes.is_empty() || !bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'%') {
        return Err(WireError::Target("the name of a query parameter is empty or holds an illegal character"));
    }
    String::from_utf8(bytes).map_err(|_| WireError::Target("the name of a query parameter is not text"))
}

fn parameter_value(name: &str, raw: &str) -> Result<String, WireError> {
    let bytes = percent_decode(raw, Place::Query)?;
    // A script given to `sh -c` may well hold line breaks and tabs, never a NUL.
    let refused = |byte: &u8| if name == "command" { *byte == 0 } else { byte.is_ascii_control() };
    if bytes.iter().any(refused) {
        return Err(WireError::Target("the value of a query parameter holds a control character"));
    }
    String::from_utf8(bytes).map_err(|_| WireError::Target("the value of a query parameter is not UTF-8"))
}

/// Where an escape stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `+` is itself, and plain characters are not escaped.
    Path,
    /// `+` is a space, and anything may be escaped.
    Query,
}

fn percent_decode(raw: &str, place: Place) -> Result<Vec<u8>, WireError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => match high << 4 | low {
                    plain if place == Place::Path && is_never_escaped(plain) => {
                        return Err(WireError::Target("the path escapes a character that is written plainly"));
                    }
                    escaped => escaped,
                },
                _ => return Err(WireError::Target("a percent sign is not followed by two hexadecimal digits")),
            },
            b'+' if place == Place::Query => b' ',
            other => other,
        });
    }
    Ok(decoded)
}

/// Characters that every client writes plainly in a path: an escape of one has no use but to look like something else.
/// (`~`, unreserved too, is escaped by Java's `URLEncoder`.)
const fn is_never_escaped(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn encode_query(parameters: &[(String, String)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        encode_component(&mut query, name);
        query.push('=');
        encode_component(&mut query, value);
    }
    query
}

fn encode_component(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(into, "%{byte:02X}").unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(target: &str) -> Target {
        Target::parse(target).unwrap_or_else(|error| panic!("{target}: {error}"))
    }

    #[test]
    fn the_cluster_prefix_is_split_off() {
        let target = parsed("/clusters/prod/api/v1/namespaces/shop/pods?watch=true&resourceVersion=0");
        assert_eq!(target.cluster(), "prod");
        assert_eq!(target.path(), "/api/v1/namespaces/shop/pods");
        assert_eq!(target.path_and_query(), "/api/v1/namespaces/shop/pods?watch=true&resourceVersion=0");
        assert_eq!(target.path_and_query_without(&["watch"]), "/api/v1/namespaces/shop/pods?resourceVersion=0");
        let values = [("watch", None), ("labelSelector", Some("a=b,c!=d".to_owned()))];
        let with = "/api/v1/namespaces/shop/pods?resourceVersion=0&labelSelector=a%3Db%2Cc%21%3Dd";
        assert_eq!(target.path_and_query_with(&values), with);
        assert_eq!(parsed("/clusters/prod").path(), "/");
        assert_eq!(parsed("/clusters/prod/").path(), "/");
        assert_eq!(parsed("/clusters/prod?").path_and_query(), "/");
    }

    #[test]
    fn c02_c07_a_path_without_cluster_prefix_has_its_own_error() {
        for target in [
            "/",
            "/api",
            "/openapi/v3/apis/apps/v1?hash=A",
            "/clusters",
            "/clusters/",
            "/version",
            "/clusters/Prod/api",
        ] {
            assert_eq!(Target::parse(target), Err(WireError::NoCluster), "{target}");
        }
        assert_eq!(WireError::NoCluster.status().code(), 404);
    }

    #[test]
    fn bypass_row_18_a_path_that_is_not_canonical_is_refused() {
        for tail in [
            "api/v1/namespaces/a/pods/p/exec/",
            "api/v1/namespaces/a/pods/p/%65xec",
            "api/v1/namespaces/a/pods/p/%2565xec",
            "api/v1/namespaces/a/pods/%70",
            "%61pi/v1/pods",
            "api/v1/namespaces/a/pods/a%2Db",
            "api/v1/namespaces/proxy/pods/",
            "api/v1/namespaces/a/pods//p",
            "/api/v1/pods",
            "api/v1/namespaces/a/pods/p;x",
            "api/v1/namespaces/a/pods/p;x/exec",
            "api/v1/namespaces/a/pods/p/exec%3Fcommand=sh",
            "api/v1/namespaces/a%2Fpods/p",
            "api/v1/namespaces/a/../b/pods",
            "api/v1/namespaces/a/%2e%2E/b/pods",
            "api/v1/./pods",
            "api/v1/%2e/pods",
            "api/v1/pods/a%00",
            "api/v1/pods/a%0d%0aX:y",
            "api/v1/pods/a%3Bb",
            "api/v1/pods/a%23b",
            "api/v1/pods/a%5Cb",
            "api/v1/pods/a\\b",
            "api/v1/pods/%C3%BC",
            "api/v1/pods/ü",
            "api/v1/pods/a#b",
            "api/v1/pods/a b",
            "api/v1/pods/a%2",
            "api/v1/pods/a%zz",
            "api/v1/pods/",
            "apis/apps/v1/deployments/",
            "api//",
        ] {
            let target = format!("/clusters/prod/{tail}");
            assert!(
                matches!(Target::parse(&target), Err(WireError::Target(_))),
                "{target}: {:?}",
                Target::parse(&target)
            );
        }
    }

    #[test]
    fn bypass_row_18_escaped_punctuation_means_the_character() {
        for (escaped, name) in
            [("system%3Anode", "system:node"), ("system%3anode", "system:node"), ("a%7Eb%40c%2Bd", "a~b@c+d")]
        {
            let target = parsed(&format!("/clusters/prod/apis/x/v1/clusterroles/{escaped}"));
            assert_eq!(target.segments().last().unwrap(), name);
            assert_eq!(target.path(), format!("/apis/x/v1/clusterroles/{name}"));
        }
    }

    #[test]
    fn bypass_row_29_other_forms_of_target_are_refused() {
        for target in ["http://host/clusters/prod/api", "host:443", "*", "", "//clusters/prod/api", "/clusters//api"] {
            assert!(
                matches!(Target::parse(target), Err(WireError::Target(_))),
                "{target}: {:?}",
                Target::parse(target)
            );
        }
    }

    #[test]
    fn discovery_may_end_in_a_slash() {
        for path in ["/api/", "/api/v1/", "/apis/", "/apis/apps/", "/apis/apps/v1/", "/version/", "/openapi/v3/"] {
            assert_eq!(parsed(&format!("/clusters/prod{path}")).path(), path);
        }
        let tail = "/api/v1/namespaces/a/services/web/proxy/";
        assert_eq!(parsed(&format!("/clusters/prod{tail}")).path(), tail);
    }

    #[test]
    fn c01_identical_repeats_count_as_one_value() {
        let path = "/clusters/prod/api/v1/namespaces/a/pods/p/exec";
        let target = parsed(&format!("{path}?command=sh&container=app&container=app&command=sh"));
        assert_eq!(target.query(), "command=sh&container=app&command=sh");
        assert_eq!(target.parameters("command").count(), 2);
        assert_eq!(
            Target::parse(&format!("{path}?container=app&container=side")),
            Err(WireError::ConflictingParameter { name: "container".into() })
        );
        // A namespace, a pod or a parameter named like the proxy subresource changes nothing.
        for path in ["namespaces/proxy/pods/p/exec", "namespaces/a/pods/proxy/exec", "namespaces/proxy/pods/proxy/exec"]
        {
            let target = format!("/clusters/prod/api/v1/{path}?container=app&container=side&command=proxy");
            assert!(matches!(Target::parse(&target), Err(WireError::ConflictingParameter { .. })), "{path}");
        }
        // The same name, escaped, is the same name.
        assert!(Target::parse(&format!("{path}?dryRun=All&dry%52un=")).is_err());
    }

    #[test]
    fn a_query_is_decoded_and_written_in_one_form() {
        let target = parsed("/clusters/p/api/v1/namespaces/a/pods/p/exec?command=sh+-c&command=a%3Bb%0A%25s%C3%BC&tty");
        assert_eq!(target.parameters("command").collect::<Vec<_>>(), ["sh -c", "a;b\n%sü"]);
        assert_eq!(target.query(), "command=sh%20-c&command=a%3Bb%0A%25s%C3%BC&tty=");
        for query in ["a=%00", "command=%00", "a=%0a", "a=%ff", "=x", "a%20b=1", "a=1;b=2", "a=%4"] {
            assert!(Target::parse(&format!("/clusters/p/api?{query}")).is_err(), "{query}");
        }
        assert_eq!(parsed("/clusters/p/readyz?exclude=a&exclude=b").query(), "exclude=a&exclude=b");
        assert_eq!(parsed("/clusters/p/api/v1/nodes/n/proxy/x?m=1&m=2").query(), "m=1&m=2");
    }

    #[test]
    fn a_target_above_the_limit_is_414() {
        let target = format!("/clusters/p/api?x={}", "a".repeat(REQUEST_TARGET_BYTES_MAX));
        assert_eq!(Target::parse(&target).unwrap_err().status().code(), 414);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_is_canonical(text in "[/a-c.%0-9A-F;?&=+:~ü#]{0,40}") {
            for target in [text.clone(), format!("/clusters/p/{text}")] {
                if let Ok(parsed) = Target::parse(&target) {
                    let again = Target::parse(&format!("/clusters/{}{}", parsed.cluster(), parsed.path_and_query())).unwrap();
                    prop_assert_eq!(&again, &parsed);
                    prop_assert!(!parsed.path().contains("//") && !parsed.path().contains('%'));
                    prop_assert!(parsed.segments().iter().all(|segment| !segment.is_empty() && segment != "." && segment != ".."));
                }
            }
        }

        #[test]
        fn every_value_survives_the_round_trip(values in proptest::collection::vec("[^\0]{0,20}", 0..6)) {
            let parameters: Vec<_> = values.iter().map(|value| ("command".to_owned(), value.clone())).collect();
            let target = format!("/clusters/p/api/v1/namespaces/a/pods/b/exec?{}", encode_query(&parameters));
            let parsed = Target::parse(&target).unwrap();
            prop_assert_eq!(parsed.parameters("command").collect::<Vec<_>>(), values);
        }
    }
}
