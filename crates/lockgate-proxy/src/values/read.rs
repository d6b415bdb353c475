//! One read of Secrets by Lockgate itself: recorded like any call, sent with the `self` credential, without impersonation.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use lockgate_core::{
    Arrival, Decision, Effect, MaskProfile, Obligations, Origin, Outcome, RequestFacts, ResponseFacts, Source,
};
use lockgate_store::{CanonicalRequest, Receipt, RequestBody, StoreError, admit};
use lockgate_wire::secrets::Unreadable;
use lockgate_wire::{RequestInfo, Target, WireError, options};

use crate::gateway::Gateway;
use crate::pipeline;
use crate::upstream::{Exchange, SelfUpstream, SendError, UpstreamBody};

/// Why Secrets could not be read. Holds nothing of an answer's body.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Nothing was sent: it could not be written down.
    #[error("the audit log takes no records")]
    Store(#[from] StoreError),
    #[error("the request is not one that can be sent")]
    Request(#[from] WireError),
    #[error("the cluster cannot be reached with the credential in `self`")]
    Send(#[from] SendError),
    #[error("{}", refused(*.0))]
    Status(StatusCode),
    /// The version to go on from is too old: list again.
    #[error("the watch began too far back")]
    Expired,
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the answer is not JSON")]
    NoJson,
    /// The gateway stops.
    #[error("stopped")]
    Stopped,
}

fn refused(status: StatusCode) -> String {
    match status {
        StatusCode::UNAUTHORIZED => "the cluster does not take the credential in `self`; renew it".to_owned(),
        StatusCode::FORBIDDEN => {
            "the credential in `self` may not list and watch the Secrets of all namespaces; bind the ClusterRole of \
             docs/configuration.md to it"
                .to_owned()
        }
        other => format!("the cluster answers HTTP {}", other.as_u16()),
    }
}

/// An answer that is being read.
pub(super) struct Answer {
    body: UpstreamBody,
    receipt: Receipt,
    facts: ResponseFacts,
}

/// Sends a recorded `GET` and waits for its head.
pub(super) async fn open(
    gateway: &Gateway,
    upstream: &SelfUpstream,
    target: &str,
    head_max: Duration,
) -> Result<Answer, ReadError> {
    let cluster = upstream.cluster();
    let full = format!("/clusters/{}{target}", cluster.name);
    let parsed = Target::parse(&full)?;
    let info = RequestInfo::of("GET", &parsed)?;
    let options = options::effective(&info, &parsed, None, None)?;
    let action = pipeline::action(&info, &options, None);
    let arrival = Arrival {
        origin: Origin::SelfRead,
        parent_id: None,
        subject: None,
        source: Source { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: "lockgate known values".into() },
        cluster: cluster.name.clone(),
        method: "GET".into(),
        request_uri: full,
        action: Some(action),
        options,
        request: RequestFacts::default(),
    };
    let decision = decision();
    let mut log = gateway.store.call(gateway.store.new_audit_id(), arrival);
    log.decided(&decision);
    let permit = match admit(&decision, None) {
        Ok(permit) => permit,
        Err(never) => unreachable!("an allowed call is admitted: {never}"),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("lockgate known values"));
    let request =
        CanonicalRequest { method: Method::GET, target: target.to_owned(), headers, body: RequestBody::empty() };
    let ticket = log.open(permit, request, SelfUpstream::USER.to_owned()).await?;
    match upstream.send(ticket, head_max).await {
        Ok(exchange) => answer(upstream, exchange).await,
        Err((receipt, error)) => {
            receipt.abort(Outcome::Failed, error.to_string(), ResponseFacts::default()).await?;
            Err(error.into())
        }
    }
}

/// No policy decides about it: whoever configured `self` did.
fn decision() -> Decision {
    Decision {
        effect: Effect::Allow,
        rule: None,
        policy_revision: String::new(),
        reasons: vec!["Lockgate's own read of Secrets, to mask their values (clusters[].self)".to_owned()],
        obligations: Obligations { mask: MaskProfile::Off, record: false, filter: false, limits: None },
        terms: None,
        message: None,
    }
}

async fn answer(upstream: &SelfUpstream, exchange: Exchange) -> Result<Answer, ReadError> {
    let Exchange { response, receipt } = exchange;
    let status = response.status();
    let facts = ResponseFacts { status: status.as_u16(), ..ResponseFacts::default() };
    if status != StatusCode::OK {
        if status == StatusCode::UNAUTHORIZED {
            upstream.cluster().credential_refused();
        }
        receipt.close(status.as_u16(), facts).await?;
        let is_expired = status == StatusCode::GONE;
        return Err(if is_expired { ReadError::Expired } else { ReadError::Status(status) });
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|text| text.split(';').next() == Some("application/json"));
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    let answer = Answer { body: response.into_body(), receipt, facts };
    if is_json && is_plain { Ok(answer) } else { answer.fail(ReadError::NoJson).await }
}

impl Answer {
    /// The next bytes; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self, silent_max: Duration) -> Result<Option<Bytes>, ReadError> {
        loop {
            let frame = tokio::time::timeout(silent_max, self.body.frame()).await;
            match frame.map_err(|_| ReadError::Silent(silent_max))? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() {
                        self.facts.bytes += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// It was read to its end. Durable on return.
    pub(super) async fn close(self) -> Result<(), ReadError> {
        Ok(self.receipt.close(self.facts.status, self.facts).await?)
    }

    /// It did not end well, for this reason, which is given back. Durable on return.
    pub(super) async fn fail<T>(self, error: ReadError) -> Result<T, ReadError> {
        let outcome = if matches!(error, ReadError::Stopped) { Outcome::Aborted } else { Outcome::Failed };
        self.receipt.abort(outcome, error.to_string(), self.facts).await?;
        Err(error)
    }
}
