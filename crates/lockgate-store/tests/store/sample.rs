//! The people, requests and tickets of the tests.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use lockgate_core::{
    Action, Approval, Arrival, Clock, Decision, Effect, Obligations, Options, Origin, RequestFacts, ResponseFacts,
    Risk, Session, SessionId, Source, Stream, Subject, SubjectKind, Terms, Verb,
};
use lockgate_store::{CallLog, CanonicalRequest, Hold, NewApproval, RequestBody, Store, Ticket, Word, admit};
use testkit::clock::PausedClock;

pub(crate) const BODY: &[u8] = b"{\"the\":\"reviewed body, which is a canary\"}";

pub(crate) fn agent(id: &str) -> Subject {
    Subject {
        issuer: "https://idp.test".into(),
        id: id.into(),
        kind: SubjectKind::Agent,
        owner: Some("olga".into()),
        on_behalf_of: None,
        groups: vec!["deployers".into()],
        token_id: Some("t1".into()),
    }
}

pub(crate) fn human(id: &str) -> Subject {
    Subject { kind: SubjectKind::Human, owner: None, groups: vec!["sre".into()], ..agent(id) }
}

pub(crate) fn action(verb: Verb, name: &str) -> Action {
    Action {
        verb,
        api_group: String::new(),
        api_version: "v1".into(),
        resource: "namespaces".into(),
        subresource: None,
        namespace: Some(name.into()),
        name: Some(name.into()),
        path: format!("/api/v1/namespaces/{name}"),
        risk: Risk::Mass,
        stream: Stream::None,
    }
}

pub(crate) fn arrival() -> Arrival {
    Arrival {
        origin: Origin::Http,
        parent_id: None,
        subject: Some(agent("a")),
        source: Source { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: "kubectl".into() },
        cluster: "shop".into(),
        method: "DELETE".into(),
        request_uri: "/clusters/shop/api/v1/namespaces/shop".into(),
        action: Some(action(Verb::Delete, "shop")),
        options: Options::default(),
        request: RequestFacts::default(),
    }
}

pub(crate) fn decision(effect: Effect) -> Decision {
    Decision {
        effect,
        rule: Some("r".into()),
        policy_revision: "p1".into(),
        reasons: vec!["because".into()],
        obligations: Obligations::default(),
        terms: (effect == Effect::Ask).then(terms),
        message: None,
    }
}

pub(crate) fn terms() -> Terms {
    Terms { approver_groups: vec!["sre".into()], count: 1, four_eyes: true, ttl_seconds: 600 }
}

pub(crate) fn request() -> CanonicalRequest {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/yaml"));
    CanonicalRequest {
        method: Method::DELETE,
        target: "/api/v1/namespaces/shop".into(),
        headers,
        body: RequestBody::whole(Bytes::from_static(b"what the client sent again")),
    }
}

pub(crate) fn answer(status: u16) -> ResponseFacts {
    ResponseFacts { status, bytes: 10, masked: 1, ..ResponseFacts::default() }
}

pub(crate) fn call(store: &Store) -> CallLog {
    store.call(store.new_audit_id(), arrival())
}

pub(crate) async fn opened(store: &Store) -> Ticket {
    let decision = decision(Effect::Allow);
    let mut call = call(store);
    call.decided(&decision);
    call.open(admit(&decision, None).unwrap(), request(), "agent:a".into()).await.unwrap()
}

pub(crate) fn new_approval(store: &Store, fingerprint: &str) -> NewApproval {
    NewApproval {
        subject: agent("a"),
        cluster: "shop".into(),
        action: action(Verb::Delete, "shop"),
        options: Options::default(),
        summary: "delete namespace shop".into(),
        reason: Some("it is old".into()),
        fingerprint: fingerprint.into(),
        rule: Some("destructive".into()),
        terms: terms(),
        policy_revision: "p1".into(),
        target_uid: Some("uid-1".into()),
        payload: None,
        body: Bytes::from_static(BODY),
        content_type: Some("application/json".into()),
        effect: None,
        invocation: None,
        audit_id: store.new_audit_id(),
    }
}

pub(crate) async fn held(store: &Store, fingerprint: &str) -> Approval {
    match store.hold(new_approval(store, fingerprint)).await.unwrap() {
        Hold::New(approval) => approval,
        Hold::Joined(_) => panic!("joined instead of new"),
    }
}

pub(crate) async fn approved(store: &Store, clock: &PausedClock, fingerprint: &str) -> Approval {
    let ticket = held(store, fingerprint).await;
    store.decide(ticket.id, word(clock, "sam", true)).await.unwrap()
}

pub(crate) fn word(clock: &PausedClock, who: &str, approve: bool) -> Word {
    Word { by: human(who), auth_time: clock.now().minus(Duration::from_secs(60)), approve, note: None }
}

pub(crate) fn session(store: &Store, id: SessionId) -> Session {
    Session {
        id,
        audit_id: store.new_audit_id(),
        subject: agent("a"),
        cluster: "shop".into(),
        action: action(Verb::Create, "shop"),
        container: None,
        argv: vec!["sh".into()],
        tty: true,
        stdin: true,
        protocol: "v5.channel.k8s.io".into(),
        started_at: store.clock().now(),
        ended_at: None,
        end_reason: None,
        exit_code: None,
        channels: std::collections::BTreeMap::new(),
    }
}

/// Lets other tasks run until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
