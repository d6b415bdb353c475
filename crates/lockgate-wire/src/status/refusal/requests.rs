//! What is said about a request that is not understood, not known, or cannot be reviewed.

use std::time::Duration;

use super::{Reason, Status, forbidden, phrase, refused, shortened};

/// Longest description of what is wrong, in bytes.
const WRONG_BYTES_MAX: usize = 450;
/// Longest next step, in bytes.
const NEXT_BYTES_MAX: usize = 120;

/// The request has no meaning here, or more than one. `what` says which part, and what would be right: a step of its own
/// (`…. Next step: …`, as in [`crate::WireError`]) or the usual one for its code.
pub fn not_understood(code: u16, reason: Reason, what: &str) -> Status {
    let usual = match code {
        404 => "set the kubeconfig's server to https://<gateway>/clusters/<name>",
        413 | 414 => "send less in one request",
        406 => "send the request again with `Accept: application/json`",
        415 => "send the request again as JSON",
        500.. => "tell the gateway's operator",
        _ => "correct the request, and send it again",
    };
    let (wrong, next) = what.split_once(". Next step: ").unwrap_or((what, usual));
    refused(code, reason, &shortened(wrong, WRONG_BYTES_MAX, "…"), &shortened(next, NEXT_BYTES_MAX, "…"))
}

/// Headers on which two programs could disagree.
pub fn ambiguous(what: &str) -> Status {
    refused(
        400,
        Reason::BadRequest,
        &format!("it has {}, which two programs on its way could read differently", phrase(what)),
        "send it without",
    )
}

/// The client asks to be somebody else.
pub fn impersonation() -> Status {
    forbidden(
        "Lockgate did not run this request: it asks to act as somebody else (impersonation headers, kubectl --as), and the \
         token alone says who calls.",
        "send it without them",
    )
}

/// Watches and logs over WebSocket are not served.
pub fn stream_over_websocket() -> Status {
    refused(
        400,
        Reason::BadRequest,
        "only exec, attach and port-forward may switch protocols here",
        "watch and read logs over plain HTTP",
    )
}

/// No offered subprotocol can be recorded.
pub fn subprotocol(why: &str) -> Status {
    refused(400, Reason::BadRequest, &phrase(why), "use kubectl 1.31 or later, or offer v5.channel.k8s.io")
}

/// Exec, attach and port-forward over SPDY, which this gateway does not carry.
pub fn websocket_required(summary: &str) -> Status {
    Status::failure(
        400,
        Reason::BadRequest,
        format!(
            "{}: this gateway carries sessions over WebSocket only, and the request came over SPDY.\n\
             Next step: use kubectl 1.31 or later, which speaks WebSocket by default.",
            phrase(summary)
        ),
    )
}

/// No credential, or one that is not accepted. `reason` says which check failed, never what the token holds.
pub fn unauthenticated(reason: &str) -> Status {
    Status::failure(
        401,
        Reason::Unauthorized,
        format!(
            "Lockgate did not accept the credential: {}.\nNext step: obtain a fresh token from your identity provider.",
            phrase(reason)
        ),
    )
}

/// The identity provider cannot be reached, so nobody can be recognised.
pub fn issuer_unavailable(reason: &str) -> Status {
    refused(503, Reason::ServiceUnavailable, &phrase(reason), "tell the gateway's operator; try again later")
}

/// The cluster in the path is not one of ours. The names that exist are not told.
pub fn unknown_cluster(cluster: &str) -> Status {
    Status::failure(
        404,
        Reason::NotFound,
        format!(
            "no cluster named {:?} is served by this gateway.\n\
             Next step: check the path /clusters/<name> in the kubeconfig's server.",
            phrase(cluster)
        ),
    )
}

/// The target of a request that must be reviewed does not exist; in the API server's own words, since clients look for them.
pub fn target_not_found(resource: &str, group: &str, name: &str) -> Status {
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    Status::failure(404, Reason::NotFound, format!("{resource}{group} \"{name}\" not found"))
}

/// The body exceeds the limit.
pub fn body_too_large(limit_bytes: usize) -> Status {
    refused(
        413,
        Reason::RequestEntityTooLarge,
        &format!("its body exceeds the limit of {limit_bytes} bytes"),
        "send less in one request",
    )
}

/// The body did not arrive in time.
pub fn body_timeout(limit: Duration) -> Status {
    refused(408, Reason::Timeout, &format!("its body did not arrive within {} s", limit.as_secs()), "send it again")
}

/// The body broke off.
pub fn body_broken() -> Status {
    refused(400, Reason::BadRequest, "its body broke off", "send it again")
}

/// A rule decides by labels, and the object that has them cannot be read: nobody knows what the verdict would be. `why` and
/// `next` are half sentences.
pub fn labels_unknown(summary: &str, cluster: &str, rule: &str, why: &str, next: &str) -> Status {
    forbidden(
        &format!(
            "Lockgate did not run: {} on cluster {}: rule {:?} decides by the object's labels, and those could not be read: {}.",
            phrase(summary),
            phrase(cluster),
            phrase(rule),
            phrase(why)
        ),
        next,
    )
}

/// The agent may not read what it wants to change, so nobody can review the change.
pub fn preview_not_allowed(summary: &str, why: &str) -> Status {
    forbidden(
        &format!(
            "Lockgate did not run: {}: it needs a human's approval, and what it would change cannot be read for the review: \
             {}.",
            phrase(summary),
            phrase(why).trim_end_matches('.')
        ),
        "tell your human that the policy must let you read the object too",
    )
}

/// The cluster refused the read for the review.
pub fn preview_refused(summary: &str, status: u16) -> Status {
    forbidden(
        &format!(
            "Lockgate did not run: {}: it needs a human's approval, and the cluster refuses to show its target for the \
             review (HTTP {status}).",
            phrase(summary)
        ),
        "tell your human that your role in the cluster must be able to read the object",
    )
}

/// The cluster's answer to the read for the review makes no sense.
pub fn preview_unreadable(summary: &str) -> Status {
    refused(
        502,
        Reason::BadGateway,
        &format!(
            "{} needs a human's approval, and the cluster's answer about its target could not be read",
            phrase(summary)
        ),
        "send it again",
    )
}

/// The client went away while the request was held. Nobody reads this but the record's reader.
pub fn client_gone() -> Status {
    Status::failure(499, Reason::Timeout, "the client went away while the request was held")
}
