//! What the error and resize channels say.

use serde::{Deserialize, Serialize};

/// A terminal's size, as the resize channel sends it (`k8s.io/client-go/tools/remotecommand.TerminalSize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct TerminalSize {
    /// Columns.
    #[serde(rename = "Width", alias = "width")]
    pub columns: u16,
    /// Rows.
    #[serde(rename = "Height", alias = "height")]
    pub rows: u16,
}

impl TerminalSize {
    /// Reads one message of the resize channel; `None` when it is not a size. (It goes upstream all the same: what it
    /// means there is not ours to say.)
    pub fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    causes: Option<Vec<Cause>>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'m> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: &'m str,
    reason: &'static str,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

/// The exit code in the final `Status` of the error channel (v4 and v5): 0 for success, the command's own code where it
/// ended with one. `None` when it never ended by itself, or this is no such `Status`.
pub fn exit_code(status_json: &[u8]) -> Option<i32> {
    let status: Status = serde_json::from_slice(status_json).ok()?;
    match (status.status.as_str(), status.reason.as_str()) {
        ("Success", _) => Some(0),
        ("Failure", "NonZeroExitCode") => {
            let causes = status.details?.causes?;
            causes.iter().find(|cause| cause.reason == "ExitCode")?.message.parse().ok()
        }
        _ => None,
    }
}

/// A failed `Status` for the error channel, for a command whose end is not known. kubectl prints the message and exits
/// with 1.
pub fn failure_status(message: &str) -> Vec<u8> {
    let failure = Failure {
        kind: "Status",
        api_version: "v1",
        metadata: Empty {},
        status: "Failure",
        message,
        reason: "InternalError",
        code: 500,
    };
    // Strings and a number always serialize; an empty body would read as success, so text stands in for it.
    serde_json::to_vec(&failure).unwrap_or_else(|_| b"the command's end is not known".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_read() {
        let ended = |code: &str| {
            format!(
                "{{\"metadata\":{{}},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code\",\
                 \"reason\":\"NonZeroExitCode\",\"details\":{{\"causes\":[{{\"reason\":\"Other\",\"message\":\"1\"}},\
                 {{\"reason\":\"ExitCode\",\"message\":\"{code}\"}}]}}}}"
            )
        };
        assert_eq!(exit_code(b"{\"metadata\":{},\"status\":\"Success\"}"), Some(0));
        assert_eq!(exit_code(ended("7").as_bytes()), Some(7));
        assert_eq!(exit_code(ended("137").as_bytes()), Some(137));
        assert_eq!(exit_code(ended("x").as_bytes()), None);
    }

    #[test]
    fn what_is_no_end_has_no_code() {
        for text in [
            "",
            "{}",
            "[]",
            "lost",
            "{\"status\":\"Failure\",\"reason\":\"InternalError\",\"code\":500}",
            "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\"}",
            "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":null}}",
            "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"message\":\"7\"}]}}",
            "{\"status\":\"success\"}",
        ] {
            assert_eq!(exit_code(text.as_bytes()), None, "{text}");
        }
        assert_eq!(exit_code(&failure_status("upstream lost")), None);
    }

    #[test]
    fn terminal_sizes_are_read() {
        let size = Some(TerminalSize { columns: 80, rows: 24 });
        assert_eq!(TerminalSize::parse(b"{\"Width\":80,\"Height\":24}\n"), size);
        assert_eq!(TerminalSize::parse(b"{\"height\":24,\"width\":80}"), size);
        for text in
            ["", "{}", "{\"Width\":80}", "{\"Width\":-1,\"Height\":2}", "{\"Width\":65536,\"Height\":2}", "80x24"]
        {
            assert_eq!(TerminalSize::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_failure_is_a_status() {
        let status: serde_json::Value = serde_json::from_slice(&failure_status("gone\n\"x\"")).unwrap();
        let expected = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "gone\n\"x\"", "reason": "InternalError", "code": 500});
        assert_eq!(status, expected);
    }
}
