//! Content negotiation narrowed to what the maskers read.
//!
//! Owns the `Accept` that goes upstream and the check of what comes back. For resources and discovery only JSON is asked for,
//! with the client's own `as=Table` and `as=PartialObjectMetadata`: client-go decodes by the answer's content type, so JSON
//! is a right answer to a client that would rather have protobuf, CBOR or YAML. A client that accepts none of the API
//! server's types (`text/html`, say) gets 406, as from the API server. `/openapi/*` and other non-resource paths pass as
//! negotiated: client-go decodes `/openapi/v2` as protobuf unconditionally, and they hold no objects.

use lockgate_core::Stream;

use crate::body::media_type;
use crate::{RequestInfo, WireError};

/// Most media ranges that are read from an `Accept` header.
pub const MEDIA_RANGES_MAX: usize = 64;

/// What to send upstream as `Accept`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAccept {
    /// This value, instead of the client's.
    Narrowed(String),
    /// The client's own header, or none if it sent none.
    AsSent,
}

/// How an answer's body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Kubernetes objects in JSON: one, or one per watch event.
    Json,
    /// Text that an HTTP layer of the API server wrote (`404 page not found`, `Too many requests`): an error, never an
    /// object. Bound it, or write a `Status` instead.
    ErrorText,
    /// A container's log, as text.
    Log,
    /// Not Kubernetes objects: a proxied application, `/openapi`, `/version`, `/metrics`.
    Opaque,
}

/// What of an object must stand in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What the client asks for.
    AsAsked,
    /// All of it: somebody has to look into the object. Metadata-only forms are not asked for.
    WholeObjects,
    /// The object in its own form, no table either: somebody has to change it.
    PlainObject,
}

/// [`upstream_accept`], where whole objects may be needed. A client that takes nothing but metadata gets 406.
pub fn upstream_accept_for(
    info: &RequestInfo,
    accept: Option<&str>,
    wanted: Wanted,
) -> Result<UpstreamAccept, WireError> {
    let narrowed = upstream_accept(info, accept)?;
    let UpstreamAccept::Narrowed(ranges) = &narrowed else { return Ok(narrowed) };
    if wanted == Wanted::AsAsked {
        return Ok(narrowed);
    }
    let forms = if wanted == Wanted::PlainObject { ";as=" } else { ";as=PartialObjectMetadata" };
    let whole: Vec<&str> = ranges.split(',').filter(|range| !range.contains(forms)).collect();
    if whole.is_empty() {
        return Err(WireError::NotAcceptable);
    }
    Ok(UpstreamAccept::Narrowed(whole.join(",")))
}

/// Narrows a client's `Accept` (all header lines, joined with commas). It depends on nothing else than the request's kind.
pub fn upstream_accept(info: &RequestInfo, accept: Option<&str>) -> Result<UpstreamAccept, WireError> {
    if is_opaque(info) || info.stream.is_session() {
        return Ok(UpstreamAccept::AsSent);
    }
    if is_log(info) {
        return Ok(UpstreamAccept::Narrowed("application/json, */*".into()));
    }
    let accept = accept.filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
    let mut ranges: Vec<(f32, String)> = Vec::new();
    for range in accept.split(',').take(MEDIA_RANGES_MAX) {
        if let Some((quality, json)) = as_json(range)
            && !ranges.iter().any(|(_, known)| *known == json)
        {
            ranges.push((quality, json));
        }
    }
    if ranges.is_empty() {
        return Err(WireError::NotAcceptable);
    }
    // Kubernetes takes the first that it can give, in order of quality; the sort keeps the client's order among equals.
    ranges.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let ranges: Vec<String> = ranges.into_iter().map(|(_, range)| range).collect();
    Ok(UpstreamAccept::Narrowed(ranges.join(",")))
}

/// What the answer's body is. Anything but what was asked for is refused (502): it could not be masked.
pub fn answer_form(info: &RequestInfo, status: u16, content_type: Option<&str>) -> Result<AnswerForm, WireError> {
    if is_opaque(info) {
        return Ok(AnswerForm::Opaque);
    }
    match media_type(content_type.unwrap_or_default()).as_str() {
        "application/json" => Ok(AnswerForm::Json),
        "text/plain" if status >= 400 => Ok(AnswerForm::ErrorText),
        "text/plain" if is_log(info) => Ok(AnswerForm::Log),
        _ => Err(WireError::Answer { content_type: content_type.unwrap_or_default().chars().take(100).collect() }),
    }
}

fn is_opaque(info: &RequestInfo) -> bool {
    info.stream == Stream::Proxy || !(info.is_resource() || info.is_discovery())
}

fn is_log(info: &RequestInfo) -> bool {
    info.api_group.is_empty() && info.resource == "pods" && info.subresource.as_deref() == Some("log")
}

/// The JSON that stands for a media range, with its quality; `None` for what Kubernetes could not give either.
fn as_json(range: &str) -> Option<(f32, String)> {
    let media_type = media_type(range);
    let known = matches!(
        media_type.as_str(),
        "*/*"
            | "application/*"
            | "application/json"
            | "application/yaml"
            | "application/cbor"
            | "application/cbor-seq"
            | "application/vnd.kubernetes.protobuf"
    );
    if !known {
        return None;
    }
    let mut quality = 1.0_f32;
    let mut json = String::from("application/json");
    for parameter in range.split(';').skip(1) {
        let (name, value) = parameter.trim().split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?,
            name @ ("as" | "g" | "v" | "profile" | "stream") if is_parameter_value(value.trim()) => {
                json.push_str(&format!(";{name}={}", value.trim()));
            }
            // Pretty-printing and character sets change nothing that matters; unknown parameters are not passed on.
            _ => {}
        }
    }
    (quality > 0.0).then_some((quality, json))
}

fn is_parameter_value(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn info(path: &str) -> RequestInfo {
        RequestInfo::of("GET", &Target::parse(&format!("/clusters/p{path}")).unwrap()).unwrap()
    }

    fn narrowed(path: &str, accept: &str) -> String {
        match upstream_accept(&info(path), Some(accept)) {
            Ok(UpstreamAccept::Narrowed(accept)) => accept,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn resources_are_asked_for_in_json_only() {
        let pods = "/api/v1/pods";
        assert_eq!(narrowed(pods, "application/vnd.kubernetes.protobuf,application/json"), "application/json");
        assert_eq!(
            narrowed(
                pods,
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
            ),
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
        );
        assert_eq!(
            narrowed(pods, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        );
        assert_eq!(narrowed(pods, "*/*, application/yaml;q=0.9"), "application/json");
        assert_eq!(
            narrowed(pods, "application/json;q=0.1;as=Table;g=meta.k8s.io;v=v1, application/cbor"),
            "application/json,application/json;as=Table;g=meta.k8s.io;v=v1"
        );
        assert_eq!(narrowed(pods, "application/json;stream=watch"), "application/json;stream=watch");
        assert_eq!(
            narrowed(
                "/apis",
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,*/*"
            ),
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,application/json"
        );
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let either = format!("{metadata},application/json");
        let whole = |accept: &str| upstream_accept_for(&info(pods), Some(accept), Wanted::WholeObjects);
        assert_eq!(whole(&either), Ok(UpstreamAccept::Narrowed("application/json".into())));
        assert_eq!(whole(metadata), Err(WireError::NotAcceptable));
        assert_eq!(upstream_accept(&info(pods), None), Ok(UpstreamAccept::Narrowed("application/json".into())));
        assert_eq!(upstream_accept(&info(pods), Some("text/html")), Err(WireError::NotAcceptable));
        assert_eq!(upstream_accept(&info(pods), Some("application/json;q=0")), Err(WireError::NotAcceptable));
    }

    #[test]
    fn openapi_and_proxied_applications_pass_as_negotiated() {
        for path in [
            "/openapi/v2",
            "/openapi/v3/apis/apps/v1",
            "/version",
            "/metrics",
            "/api/v1/nodes/n/proxy/stats",
            "/api/v1/namespaces/a/pods/p/exec",
        ] {
            assert_eq!(upstream_accept(&info(path), Some("text/html")), Ok(UpstreamAccept::AsSent), "{path}");
        }
        assert_eq!(
            answer_form(&info("/openapi/v2"), 200, Some("application/com.github.proto-openapi.spec.v2@v1.0+protobuf")),
            Ok(AnswerForm::Opaque)
        );
    }

    #[test]
    fn an_answer_in_another_form_is_502() {
        let pods = info("/api/v1/pods");
        assert_eq!(answer_form(&pods, 200, Some("application/json;stream=watch")), Ok(AnswerForm::Json));
        assert_eq!(answer_form(&pods, 404, Some("text/plain; charset=utf-8")), Ok(AnswerForm::ErrorText));
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/yaml"),
            Some("application/vnd.kubernetes.protobuf"),
            Some("application/cbor"),
        ] {
            assert_eq!(answer_form(&pods, 200, content_type).unwrap_err().status().code(), 502, "{content_type:?}");
        }
        let log = info("/api/v1/namespaces/a/pods/p/log?follow=true");
        assert_eq!(answer_form(&log, 200, Some("text/plain")), Ok(AnswerForm::Log));
    }
}
