//! What is said when the gateway's own parts, or the cluster, cannot serve.

use super::{Reason, Status, phrase, refused};

/// The log cannot be written: nothing passes unrecorded.
pub fn audit_unavailable() -> Status {
    Status::failure(
        503,
        Reason::ServiceUnavailable,
        "Lockgate cannot write its audit log, so nothing was sent to the cluster.\n\
         Next step: tell the operator; try again later.",
    )
}

/// The recorder cannot take the session.
pub fn recorder_unavailable() -> Status {
    Status::failure(
        503,
        Reason::ServiceUnavailable,
        "Lockgate cannot record this session, so it was not opened.\nNext step: tell the operator; try again later.",
    )
}

/// The gateway is ending, or at a limit named in `what`.
pub fn overloaded(what: &str) -> Status {
    Status::failure(
        503,
        Reason::ServiceUnavailable,
        format!("Lockgate cannot take this request now: {}.\nNext step: send it again.", phrase(what)),
    )
    .with_retry_after_seconds(1)
}

/// The API server could not be reached, or broke off before its answer began. `sent` tells whether the request may have
/// taken effect.
pub fn upstream_unreachable(cluster: &str, sent: Sent) -> Status {
    let cluster = phrase(cluster);
    let text = match sent {
        Sent::No => format!(
            "the API server of cluster {cluster} cannot be reached; nothing was sent.\nNext step: try again later."
        ),
        Sent::Perhaps => format!(
            "the connection to the API server of cluster {cluster} broke before it answered; whether the request took effect \
             is unknown.\nNext step: read the object's present state."
        ),
    };
    Status::failure(502, Reason::BadGateway, text)
}

/// The API server did not answer in time.
pub fn upstream_timeout(cluster: &str) -> Status {
    Status::failure(
        504,
        Reason::Timeout,
        format!(
            "the API server of cluster {} did not answer in time; whether the request took effect is unknown.\n\
             Next step: read the object's present state.",
            phrase(cluster)
        ),
    )
}

/// The cluster does not accept Lockgate's own credential; the client's token is not at fault.
pub fn upstream_credential(cluster: &str) -> Status {
    refused(
        502,
        Reason::BadGateway,
        &format!("cluster {} does not accept the gateway's own credential", phrase(cluster)),
        "tell the gateway's operator; your token is not at fault",
    )
}

/// The cluster answered, and its answer must not reach the client.
pub fn answer_withheld(why: &str) -> Status {
    Status::failure(
        502,
        Reason::BadGateway,
        format!(
            "Lockgate withholds the cluster's answer: {}.\n\
             Next step: read the object's present state before you send this again; tell the gateway's operator.",
            phrase(why)
        ),
    )
}

/// Whether a request may have reached the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not.
    No,
    /// Nobody knows.
    Perhaps,
}
