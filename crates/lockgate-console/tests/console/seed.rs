//! Held requests, calls and recordings as an agent would leave them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::{
    Action, Approval, Arrival, AuditId, Channel, Decision, Effect, ExecOptions, Obligations, Options, Origin,
    RequestFacts, ResponseFacts, Risk, Session, SessionId, Source, Stream, Terms, Timestamp, Verb,
};
use lockgate_store::{CanonicalRequest, NewApproval, RequestBody, admit};
use lockgate_wire::PLACEHOLDER;
use serde_json::{Value, json};

use crate::support::{World, subject};

/// Text that would move a line, clear a screen, or be markup, were it not inert.
pub const HOSTILE: &str = "a\u{1b}[2Jb\u{202e}c\u{200b}<img src=x onerror=alert(1)>";

pub fn action(verb: Verb, resource: &str, namespace: &str, name: &str, risk: Risk) -> Action {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let group = if resource == "deployments" { "apps" } else { "" };
    Action {
        verb,
        api_group: group.into(),
        api_version: "v1".into(),
        resource: resource.into(),
        path: match resource {
            "namespaces" => format!("/api/v1/namespaces/{name}"),
            _ => format!("/api/v1/namespaces/{namespace}/{resource}/{name}"),
        },
        stream: if subresource.as_deref() == Some("exec") { Stream::Exec } else { Stream::None },
        subresource,
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        risk,
    }
}

/// What a held request is made of.
pub struct Held {
    pub agent: &'static str,
    pub cluster: &'static str,
    pub action: Action,
    pub options: Options,
    pub summary: &'static str,
    pub reason: Option<&'static str>,
    pub payload: Option<Value>,
    pub four_eyes: bool,
}

impl Held {
    pub fn namespace_delete(agent: &'static str) -> Self {
        Self {
            agent,
            cluster: "shop",
            action: action(Verb::Delete, "namespaces", "shop-old", "shop-old", Risk::Mass),
            options: Options { propagation_policy: Some("Background".into()), ..Options::default() },
            summary: "delete namespace shop-old",
            reason: Some("The old shop has been moved to shop-v2; its namespace is empty and blocks the quota."),
            payload: Some(json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})),
            four_eyes: true,
        }
    }

    pub fn secret_patch() -> Self {
        Self {
            agent: "other-agent",
            cluster: "shop-staging",
            action: action(Verb::Patch, "secrets", "shop", "database", Risk::Ask),
            options: Options { field_manager: Some("kubectl".into()), force: Some(true), ..Options::default() },
            summary: "patch secret shop/database",
            reason: None,
            payload: Some(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database", "labels": {"app": "shop", "team": "payments"}},
                "data": {"password": PLACEHOLDER, "user": PLACEHOLDER}, "type": "Opaque"}),
            ),
            four_eyes: false,
        }
    }

    pub fn hostile_exec() -> Self {
        let exec = ExecOptions {
            container: Some("web".into()),
            argv: vec!["sh".into(), "-c".into(), HOSTILE.into()],
            stdout: true,
            stderr: true,
            stdin: true,
            tty: true,
        };
        Self {
            agent: "agent",
            cluster: "sandbox",
            action: action(Verb::Create, "pods/exec", "shop", "web-6c9f7d5b8-x2x7q", Risk::Stream),
            options: Options { exec: Some(exec), ..Options::default() },
            summary: "exec in pod shop/web-6c9f7d5b8-x2x7q",
            reason: Some(HOSTILE),
            payload: None,
            four_eyes: false,
        }
    }
}

impl World {
    pub async fn hold(&self, held: Held) -> Approval {
        let audit_id = self.store.new_audit_id();
        let subject = subject(self.issuer.as_str(), held.agent).unwrap();
        let terms =
            Terms { approver_groups: vec!["sre".into()], count: 1, four_eyes: held.four_eyes, ttl_seconds: 600 };
        let decision = Decision {
            effect: Effect::Ask,
            rule: Some("destructive".into()),
            policy_revision: "3f9a1c2d77e04b51".into(),
            reasons: vec!["The rule \"destructive\" matches: it asks a human.".into()],
            obligations: Obligations::default(),
            terms: Some(terms.clone()),
            message: None,
        };
        let new = NewApproval {
            subject: subject.clone(),
            cluster: held.cluster.into(),
            action: held.action.clone(),
            options: held.options.clone(),
            summary: held.summary.into(),
            reason: held.reason.map(str::to_owned),
            fingerprint: format!("{:x<64}", held.summary.len()),
            rule: Some("destructive".into()),
            terms,
            policy_revision: decision.policy_revision.clone(),
            target_uid: Some("7d1b1c9e-7d5a-4f0a-9f4e-0a8d5f0b2c11".into()),
            payload: held.payload.clone(),
            body: Bytes::from_static(b"{}"),
            content_type: Some("application/json".into()),
            effect: None,
            invocation: None,
            audit_id,
        };
        let approval = self.store.hold(new).await.unwrap().approval().clone();
        let mut call =
            self.store.call(audit_id, self.arrival(held.agent, held.cluster, Some(held.action), held.payload));
        call.arrival().options = held.options;
        call.decided(&decision);
        call.held(approval.id).await.unwrap();
        let message = format!("Held for a human: {} (rule destructive).", approval.id);
        drop(call.refuse(403, "ApprovalRequired", &message, Some(approval.id)).await.unwrap());
        approval
    }

    pub async fn call(&self, agent: &'static str, action: Action, effect: Effect, status: u16) -> AuditId {
        let id = self.store.new_audit_id();
        let decision = Decision {
            effect,
            rule: (effect == Effect::Allow).then(|| "read".into()),
            policy_revision: "3f9a1c2d77e04b51".into(),
            reasons: vec!["The rule \"read\" matches.".into()],
            obligations: Obligations::default(),
            terms: None,
            message: None,
        };
        let mut call = self.store.call(id, self.arrival(agent, "shop", Some(action), None));
        call.decided(&decision);
        if effect == Effect::Deny {
            drop(call.refuse(status, "Forbidden", "No rule allows this; ask the platform team.", None).await.unwrap());
            return id;
        }
        let request = CanonicalRequest {
            method: http::Method::GET,
            target: "/api/v1/pods".into(),
            headers: http::HeaderMap::new(),
            body: RequestBody::empty(),
        };
        let permit = admit(&decision, None).unwrap();
        let (_, receipt) = call.open(permit, request, "agent:agent".into()).await.unwrap().into_parts();
        self.clock.advance(Duration::from_millis(42));
        receipt
            .close(status, ResponseFacts { status, bytes: 18_233, masked: 2, ..ResponseFacts::default() })
            .await
            .unwrap();
        id
    }

    fn arrival(&self, agent: &str, cluster: &str, action: Option<Action>, payload: Option<Value>) -> Arrival {
        let uri = action.as_ref().map_or("/".to_owned(), |action| format!("/clusters/{cluster}{}", action.path));
        Arrival {
            origin: Origin::Http,
            parent_id: None,
            subject: subject(self.issuer.as_str(), agent),
            source: Source {
                ip: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
                user_agent: "kubectl/v1.36.1 (linux/amd64)".into(),
            },
            cluster: cluster.into(),
            method: action.as_ref().map_or("GET", |action| if action.verb.is_read() { "GET" } else { "DELETE" }).into(),
            request_uri: uri,
            action,
            options: Options::default(),
            request: RequestFacts {
                bytes: payload.as_ref().map_or(0, |_| 64),
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
                content_type: payload.as_ref().map(|_| "application/json".into()),
                payload,
                restored: 0,
            },
        }
    }

    pub async fn session(&self, tty: bool, argv: &[&str], frames: &[(u64, Channel, &[u8])], exit: i32) -> SessionId {
        let id = self.store.new_session_id();
        let session = Session {
            id,
            audit_id: self.store.new_audit_id(),
            subject: subject(self.issuer.as_str(), "agent").unwrap(),
            cluster: "shop".into(),
            action: action(Verb::Create, "pods/exec", "shop", "web-6c9f7d5b8-x2x7q", Risk::Stream),
            container: Some("web".into()),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            tty,
            stdin: tty,
            protocol: "v5.channel.k8s.io".into(),
            started_at: self.now(),
            ended_at: None,
            end_reason: None,
            exit_code: None,
            channels: std::collections::BTreeMap::new(),
        };
        let mut recorder = self.store.record_session(session).await.unwrap();
        let mut at = 0;
        for (offset, channel, payload) in frames {
            self.clock.advance(Duration::from_millis(offset - at));
            at = *offset;
            recorder.frame(*channel, payload).await.unwrap();
        }
        recorder.finish("completed", Some(exit)).await.unwrap();
        id
    }

    pub fn now(&self) -> Timestamp {
        lockgate_core::Clock::now(&self.clock)
    }

    /// A terminal session that shows what terminals do, SHIFT OUT and all.
    pub async fn terminal_session(&self) -> SessionId {
        let frames: &[(u64, Channel, &[u8])] = &[
            (1, Channel::Resize, br#"{"Width":100,"Height":24}"#),
            (200, Channel::Stdout, b"\x1b[1;32mweb-6c9f7d5b8-x2x7q\x1b[0m:\x1b[34m/srv\x1b[0m$ "),
            (900, Channel::Stdin, b"ls -l\r"),
            (910, Channel::Stdout, b"ls -l\r\ntotal 8\r\n-rw-r--r-- 1 www www 1204 Nov 24 09:12 \x1b[36mindex.html\x1b[0m\r\n-rw-r--r-- 1 www www  311 Nov 24 09:12 \x1b[33mshop.conf\x1b[0m\r\n"),
            (1500, Channel::Stdout, b"$ printf '\\016abc\\017ok\\n'\r\n\x0eabc\x0fok\r\n"),
            (2200, Channel::Stdout, "<script>alert(1)</script> grüße 日本語 \u{1f980}\r\n".as_bytes()),
            (2600, Channel::Stdout, b"$ echo done\r\ndone\r\n$ exit\r\n"),
            (2700, Channel::Error, br#"{"metadata":{},"status":"Success"}"#),
        ];
        self.session(true, &["bash", "-l"], frames, 0).await
    }
}
