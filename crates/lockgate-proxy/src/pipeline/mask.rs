//! What must the client not see? Decides the duty before forwarding, and puts the masker in the way after.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use lockgate_core::{MaskProfile, Stream};
use lockgate_wire::accept::{self, AnswerForm, UpstreamAccept};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker};
use lockgate_wire::{RequestInfo, WireError};

use super::{Forwarded, Masked, Refusal, Stop, Way};
use crate::answer::AnswerStream;
use crate::gateway::Gateway;
use crate::upstream::Exchange;
use crate::upstream::headers::clean_response;

/// Asks upstream for what the masker can read.
pub(super) fn narrow_accept(info: &RequestInfo, headers: &mut HeaderMap) -> Result<(), WireError> {
    let client: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let client = (!client.is_empty()).then(|| client.join(","));
    if let UpstreamAccept::Narrowed(narrowed) = accept::upstream_accept(info, client.as_deref())? {
        let value = HeaderValue::try_from(narrowed).map_err(|_| WireError::NotAcceptable)?;
        headers.insert(header::ACCEPT, value);
    }
    Ok(())
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
    let (head, body) = response.into_parts();
    let masker = (form == AnswerForm::Json && way.mask == MaskProfile::Strict && way.info.is_resource()).then(|| {
        let plan = MaskPlan::for_resource(&way.info.api_group, &way.info.resource, way.action.stream == Stream::Watch);
        Masker::new(plan, MaskLimits::default())
    });
    let masked = masker.is_some();
    let ends = match way.action.stream {
        Stream::Watch | Stream::Logs => gateway.draining.clone(),
        Stream::None | Stream::Exec | Stream::Attach | Stream::Portforward | Stream::Proxy => gateway.ending.clone(),
    };
    let (stream, ending) = AnswerStream::new(body, masker, head.status.as_u16(), ends);
    let mut answer = Response::new(crate::answer::AnswerBody::new(stream));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = clean_response(&head.headers);
    if masked {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(Masked::Answer { response: answer, receipt, ending, upstream_status: head.status.as_u16() })
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
    accept::answer_form(&way.info, status.as_u16(), text(header::CONTENT_TYPE)).map_err(Refusal::UpstreamAnswer)
}
