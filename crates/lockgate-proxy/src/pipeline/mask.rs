//! What must the client not see? Decides the duty before forwarding, and puts filter and masker in the way after.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use lockgate_auth::Authenticated;
use lockgate_core::{MaskProfile, Stream};
use lockgate_policy::View;
use lockgate_wire::accept::{self, AnswerForm, UpstreamAccept, Wanted};
use lockgate_wire::filter::{FilterSummary, Form};
use lockgate_wire::mask::restore::Masking;
use lockgate_wire::mask::{MaskLimits, Scan, TextLimits, TextMasker};
use lockgate_wire::review::Review;
use lockgate_wire::{RequestInfo, WireError, status};

use super::{Forwarded, Masked, Refusal, Stop, Understood, Way, review};
use crate::answer::{AnswerError, AnswerStream, Cut, Duties};
use crate::gateway::Gateway;
use crate::sieve::{self, Sieve};
use crate::upstream::headers::clean_response;
use crate::upstream::{Exchange, UpstreamBody};
use crate::veil::{self, Veil};

/// Until enough of one object must have arrived to tell whether the caller may see it.
const OBJECT_READ_MAX: Duration = Duration::from_secs(30);

/// An answer about one object is read so far before its head leaves, which says what is masked in it.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// And no longer than this.
const AHEAD_READ_MAX: Duration = Duration::from_secs(1);

/// Instead of a warning that cannot be told with its secrets masked.
const MASKED_WARNING: &str = "299 lockgate \"a warning is masked\"";

/// Told with every list and watch that holds a part. Never how much is missing.
const FILTERED: &str = "299 lockgate \"only objects that your rules let you see are listed\"";

/// Asks upstream for what the masker can read.
pub(super) fn narrow_accept(info: &RequestInfo, headers: &mut HeaderMap, view: Option<&View>) -> Result<(), WireError> {
    let client: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let client = (!client.is_empty()).then(|| client.join(","));
    let wanted = if Review::of(info).is_some() { Wanted::PlainObject } else { sieve::wanted(view) };
    if let UpstreamAccept::Narrowed(narrowed) = accept::upstream_accept_for(info, client.as_deref(), wanted)? {
        let value = HeaderValue::try_from(narrowed).map_err(|_| WireError::NotAcceptable)?;
        headers.insert(header::ACCEPT, value);
    }
    Ok(())
}

/// How the caller sees objects like those that the request is about.
pub(super) fn masking(gateway: &Gateway, understood: &Understood, mask: MaskProfile) -> Masking {
    let RequestInfo { api_group, resource, .. } = &understood.info;
    let scan = veil::scan(gateway, &understood.upstream.cluster().name);
    Masking::new(api_group, resource, veil::profile(mask), MaskLimits::default()).searched_by(Arc::new(scan))
}

pub(super) async fn mask(gateway: &Gateway, forwarded: Forwarded) -> Result<Masked, Stop> {
    let (exchange, way) = match forwarded {
        Forwarded::Answer(exchange, way) => (exchange, way),
        Forwarded::Session(response) => return Ok(Masked::Session(response)),
    };
    let Exchange { response, receipt } = *exchange;
    let form = match form(&response, &way) {
        Ok(form) => form,
        Err(refusal) => return Err(Stop::failed(receipt, refusal)),
    };
    let (head, mut body) = response.into_parts();
    let scan = veil::scan(gateway, &way.upstream.cluster().name);
    let Way { info, view, review, action, mask, message, caller, .. } = *way;
    let veil = Veil::of(&info, form, mask, &scan);
    let is_partial = view.as_ref().is_some_and(View::is_partial);
    let one = sieve::form(&info) == Form::One;
    if is_partial && one && head.status == StatusCode::NOT_FOUND {
        return Err(Stop::failed(receipt, not_shown(&info, false)));
    }
    let filters = form == AnswerForm::Json && head.status.is_success();
    let sieve = view.filter(|_| filters).map(|view| Sieve::new(&info, view, gateway.clock().clone()));
    let mut duties = Duties { sieve, veil, passed: Vec::new() };
    if one && let Some(sieve) = &mut duties.sieve {
        match hold_back(gateway, sieve, &mut body).await {
            Ok(passed) => duties.passed = passed,
            Err(refusal) => return Err(Stop::failed(receipt, refusal.unwrap_or_else(|| not_shown(&info, true)))),
        }
    }
    let mut warning = (is_partial && !one && duties.sieve.is_some()).then(|| HeaderValue::from_static(FILTERED));
    let review = review.filter(|_| head.status.is_success());
    if let Some(review) = &review {
        match review::answer(gateway, review, form, &mut body).await {
            Ok(combined) => (duties.passed, warning) = (combined.body, combined.warning),
            Err(refusal) => return Err(Stop::failed(receipt, refusal)),
        }
    }
    let keeps_length = duties.veil.as_ref().is_none_or(Veil::keeps_length);
    let changed = duties.sieve.is_some() || !keeps_length || review.is_some();
    let tells = one && action.stream == Stream::None && duties.veil.is_some() && !keeps_length;
    let cut = cut(gateway, action.stream, &caller);
    let (mut stream, ending) = AnswerStream::new(body, duties, head.status.as_u16(), cut);
    let masked = if tells { masked_in(&mut stream, &info).await } else { None };
    let mut answer = Response::new(crate::answer::AnswerBody::new(stream));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = clean_response(&head.headers);
    if mask != MaskProfile::Off {
        mask_warnings(answer.headers_mut(), &scan);
    }
    if changed {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let own = |text: &str| HeaderValue::try_from(status::warning(text)).ok();
    let told = [warning, message.as_deref().and_then(own), masked.as_deref().and_then(own)];
    for warning in told.into_iter().flatten() {
        answer.headers_mut().append(header::WARNING, warning);
    }
    Ok(Masked::Answer { response: answer, receipt, ending, upstream_status: head.status.as_u16() })
}

/// Admission tells clients in headers what it thinks of their objects, and may quote them.
fn mask_warnings(headers: &mut HeaderMap, scan: &Scan) {
    let header::Entry::Occupied(mut warnings) = headers.entry(header::WARNING) else { return };
    for warning in warnings.iter_mut() {
        let mut text = TextMasker::new(scan.clone(), TextLimits::default());
        let mut masked = Vec::with_capacity(warning.len());
        text.push(warning.as_bytes(), &mut masked);
        if text.finish(&mut masked).masked > 0 {
            *warning = HeaderValue::from_bytes(&masked).unwrap_or(HeaderValue::from_static(MASKED_WARNING));
        }
    }
}

/// What is masked in the answer about one object, if that is so small that it is known before the head leaves.
async fn masked_in(stream: &mut AnswerStream, info: &RequestInfo) -> Option<String> {
    if tokio::time::timeout(AHEAD_READ_MAX, stream.read_ahead(AHEAD_BYTES_MAX)).await.is_err() {
        tracing::debug!("an answer is slow; its head leaves before what is masked in it is known");
    }
    let kind = singular(&info.resource);
    stream.masked_in(&info.name.as_ref().map_or_else(|| kind.clone(), |name| format!("{kind} {name}")))
}

/// `secret` for `secrets`: what people call one of them. Kinds with plurals of their own stay as they are.
fn singular(resource: &str) -> String {
    let one = match resource {
        "endpoints" => resource,
        _ if resource.ends_with("sses") => resource.strip_suffix("es").unwrap_or(resource),
        _ if resource.ends_with("ies") => return format!("{}y", resource.strip_suffix("ies").unwrap_or(resource)),
        _ => resource.strip_suffix('s').unwrap_or(resource),
    };
    one.to_owned()
}

/// What ends an answer early: the gateway's own end, and for what may go on for ever the end of the caller's token. What a
/// token said hours ago (its groups, that it was not withdrawn) is no reason to go on.
fn cut(gateway: &Gateway, stream: Stream, caller: &Authenticated) -> Cut {
    let (ends, is_endless) = match stream {
        Stream::Watch | Stream::Logs => (gateway.draining.clone(), true),
        Stream::Proxy => (gateway.ending.clone(), true),
        Stream::None | Stream::Exec | Stream::Attach | Stream::Portforward => (gateway.ending.clone(), false),
    };
    let left = caller.expires_at.since(gateway.clock().now());
    Box::pin(async move {
        tokio::select! {
            () = ends.cancelled() => AnswerError::Draining,
            () = tokio::time::sleep(left), if is_endless => AnswerError::TokenExpired,
        }
    })
}

/// Reads one object until it is known whether the caller may see it: no head must leave before. `Err(None)`: he may not.
async fn hold_back(gateway: &Gateway, sieve: &mut Sieve, body: &mut UpstreamBody) -> Result<Vec<u8>, Option<Refusal>> {
    let mut passed = Vec::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(Ok(data)) = frame.map(http_body::Frame::into_data) else {
                return Err(Some(Refusal::PreviewUnreadable));
            };
            sieve.push(&data, &mut passed).map_err(|_| Some(Refusal::PreviewUnreadable))?;
            match sieve.summary() {
                FilterSummary { shown: 0, hidden: 0 } => {}
                FilterSummary { hidden: 0, .. } => return Ok(()),
                FilterSummary { .. } => return Err(None),
            }
        }
        Err(None)
    };
    tokio::select! {
        read = tokio::time::timeout(OBJECT_READ_MAX, read) => {
            read.unwrap_or(Err(Some(Refusal::PreviewUnreadable)))?;
        }
        () = gateway.ending.cancelled() => return Err(Some(Refusal::PreviewUnreadable)),
    }
    Ok(passed)
}

/// What is not there and what may not be seen get the same answer.
fn not_shown(info: &RequestInfo, exists: bool) -> Refusal {
    Refusal::NotShown {
        resource: info.resource.clone(),
        group: info.api_group.clone(),
        name: info.name.clone().unwrap_or_default(),
        exists,
    }
}

/// How the answer reads, or why it must not reach the client.
fn form<B>(response: &Response<B>, way: &Way) -> Result<AnswerForm, Refusal> {
    let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (status, stream) = (response.status(), way.action.stream);
    if status == StatusCode::UNAUTHORIZED && stream != Stream::Proxy {
        way.upstream.cluster().credential_refused();
        return Err(Refusal::UpstreamCredential(way.upstream.cluster().name.clone()));
    }
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::UpstreamEncoding);
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED && stream != Stream::Proxy {
        return Err(Refusal::UpstreamRedirect { status: status.as_u16() });
    }
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(AnswerForm::Opaque);
    }
    let content_type = text(header::CONTENT_TYPE);
    let form = accept::answer_form(&way.info, status.as_u16(), content_type).map_err(Refusal::UpstreamAnswer)?;
    if way.view.is_some() && status.is_success() && form != AnswerForm::Json {
        let content_type = content_type.unwrap_or_default().chars().take(100).collect();
        return Err(Refusal::UpstreamAnswer(WireError::Answer { content_type }));
    }
    Ok(form)
}
