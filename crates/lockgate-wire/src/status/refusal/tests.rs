use std::time::Duration;

use lockgate_core::{ApprovalId, FreezeId};

use super::*;
use crate::WireError;

fn ticket() -> ApprovalId {
    "apr_01932f3e-7d4c-7000-8000-0123456789ab".parse().unwrap()
}

fn freeze() -> FreezeId {
    "frz_01932f3e-7d4c-7000-8000-0123456789ab".parse().unwrap()
}

const EXPIRES: Timestamp = Timestamp::from_seconds(1_795_600_000);
const KEY: &str = "agt_3f9a1c2d77e04b51";

fn denied(note: Option<&str>) -> Denied<'_> {
    Denied { summary: "delete deployment.apps web in namespace shop", by: "Ada", until: EXPIRES, note }
}

fn tickets() -> Vec<(&'static str, Status)> {
    let summary = "delete namespace shop";
    let scale = "patch scale of deployment.apps web in namespace shop";
    vec![
        ("approval_required", approval_required(ticket(), summary, "prod", EXPIRES)),
        ("denied_by_human", denied_by_human(ticket(), summary, "Ada", Some("Ask the shop team first."))),
        ("denied_by_human_without_note", denied_by_human(ticket(), summary, "Ada", None)),
        ("denied_before", denied_before(ticket(), scale, &denied(Some("Checkout is live.")))),
        ("approval_expired", approval_expired(ticket(), summary)),
        ("approval_cancelled", approval_cancelled(ticket(), summary)),
        ("approval_indeterminate", approval_indeterminate(ticket(), summary)),
        ("changed_since_review", changed_since_review(ticket(), "patch deployment shop/web")),
    ]
}

fn limits() -> Vec<(&'static str, Status)> {
    let (summary, minute) = ("delete pod web-1 in namespace shop", Duration::from_secs(60));
    let why = "humans denied 3 of its requests in a row";
    vec![
        ("frozen", frozen(freeze(), summary, why, EXPIRES, KEY)),
        ("rate_limited", rate_limited(None, 600, minute, Duration::from_millis(1_200))),
        ("rate_limited_by_rule", rate_limited(Some("reads"), 5, Duration::from_secs(1), Duration::from_millis(20))),
        ("removes_too_much", removes_too_much(summary, "routine", Some(5), 5, Duration::from_secs(600))),
        ("removes_a_collection", removes_too_much(summary, "routine", None, 5, Duration::from_secs(600))),
        ("too_many_pending", too_many_pending(summary, 64)),
        ("too_many_asked", too_many_asked(summary, 240)),
    ]
}

fn requests() -> Vec<(&'static str, Status)> {
    let delete = "delete namespace shop";
    let media = WireError::ContentType { content_type: "application/cbor".into() };
    vec![
        (
            "labels_unknown",
            labels_unknown(
                "run `sh` in pod web in namespace shop",
                "prod",
                "no-finance",
                "the cluster refuses to show it (HTTP 403)",
                "tell your human that your role in the cluster must let you get pods",
            ),
        ),
        ("not_canonical", WireError::Target("a dot segment").status()),
        ("unknown_method", WireError::Method { method: "BREW".into() }.status()),
        ("undecodable_body", WireError::Body("expected value at line 1 column 1".into()).status()),
        ("unsupported_media_type", media.status()),
        ("not_acceptable", WireError::NotAcceptable.status()),
        ("no_cluster", WireError::NoCluster.status()),
        ("ambiguous", ambiguous("more than one Host header")),
        ("impersonation", impersonation()),
        ("stream_over_websocket", stream_over_websocket()),
        ("websocket_required", websocket_required("exec in pod shop/web-1")),
        ("unauthenticated", unauthenticated("the token has expired")),
        ("issuer_unavailable", issuer_unavailable("the issuer https://idp.example.com cannot be reached")),
        ("unknown_cluster", unknown_cluster("prud")),
        ("target_not_found", target_not_found("deployments", "apps", "web")),
        ("body_too_large", body_too_large(3 * 1024 * 1024)),
        ("body_timeout", body_timeout(Duration::from_secs(60))),
        ("body_broken", body_broken()),
        ("preview_not_allowed", preview_not_allowed(delete, "The rule \"no-reads\" matches: it denies.")),
        ("preview_refused", preview_refused(delete, 403)),
        ("preview_unreadable", preview_unreadable(delete)),
    ]
}

fn faults() -> Vec<(&'static str, Status)> {
    vec![
        ("audit_unavailable", audit_unavailable()),
        ("recorder_unavailable", recorder_unavailable()),
        ("overloaded", overloaded("too many sessions are open")),
        ("upstream_unreachable", upstream_unreachable("prod", Sent::No)),
        ("upstream_broke", upstream_unreachable("prod", Sent::Perhaps)),
        ("upstream_timeout", upstream_timeout("prod")),
        ("upstream_credential", upstream_credential("prod")),
        ("answer_withheld", answer_withheld("it redirects (HTTP 307), and Lockgate follows none and passes none on")),
    ]
}

fn all() -> Vec<(&'static str, Status)> {
    let summary = "delete namespace shop";
    let words = Some("The control plane is off limits for agents.");
    let mut all = vec![
        ("denied_by_policy", denied_by_policy(summary, "prod", Some("control-plane"), words)),
        ("denied_by_no_rule", denied_by_policy(summary, "prod", None, None)),
    ];
    all.extend(tickets());
    all.extend(limits());
    all.extend(requests());
    all.extend(faults());
    all
}

#[test]
fn every_refusal_has_its_golden_wording() {
    let text: String = all()
        .into_iter()
        .map(|(name, status)| {
            format!("== {name}: {} {}\n{}\n\n", status.code(), status.reason().as_str(), status.message())
        })
        .collect();
    insta::assert_snapshot!(text);
    insta::assert_snapshot!(
        String::from_utf8(
            approval_required(ticket(), "delete namespace shop", "prod", Timestamp::from_seconds(0)).to_json()
        )
        .unwrap()
    );
}

#[test]
fn a_ticket_stands_early_and_in_the_last_line_and_no_message_is_long() {
    let long = "x".repeat(5_000);
    let note = "ü\u{202e}\u{1b}[31m\n".repeat(500);
    let (minute, huge) = (Duration::from_secs(61), Duration::from_secs(1_000_000_007));
    let mut statuses: Vec<Status> = all().into_iter().map(|(_, status)| status).collect();
    statuses.extend([
        denied_by_human(ticket(), &long, &long, Some(&note)),
        denied_before(ticket(), &long, &Denied { summary: &long, by: &long, until: EXPIRES, note: Some(&note) }),
        denied_by_policy(&long, &long, Some(&long), Some(&note)),
        approval_required(ticket(), &long, &long, Timestamp::from_seconds(0)),
        changed_since_review(ticket(), &long),
        frozen(freeze(), &long, &long, EXPIRES, &long),
        rate_limited(Some(&long), u32::MAX, huge, huge),
        removes_too_much(&long, &long, Some(u32::MAX), u32::MAX, minute),
        too_many_pending(&long, u32::MAX),
        preview_not_allowed(&long, &note),
        not_understood(400, Reason::BadRequest, &note),
        ambiguous(&note),
    ]);
    for status in statuses {
        let message = status.message();
        assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes: {message}", message.len());
        assert!(!message.chars().any(|character| character != '\n' && is_unsafe_in_terminal(character)), "{message:?}");
        let (ticket, freeze) = (ticket().to_string(), freeze().to_string());
        for id in [ticket, freeze].iter().filter(|id| message.contains(id.as_str())) {
            assert!(message.find(id.as_str()).unwrap() < 20, "{message}");
            assert!(message.lines().last().unwrap().contains(id), "{message}");
        }
        if status.code() == 403 {
            assert!(message.contains(NO_DETOUR), "{message}");
        }
    }
}

/// Facts, then one next step; a "not found" is the API server's own sentence, since clients look for it.
#[test]
fn every_refusal_names_one_next_step() {
    for (name, status) in all() {
        let steps = status.message().matches("Next step: ").count();
        assert_eq!(steps, usize::from(name != "target_not_found"), "{name}: {}", status.message());
    }
}
