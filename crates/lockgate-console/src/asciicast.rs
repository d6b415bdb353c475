//! A recording as asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>), for the terminal and the browser.
//!
//! Sans-IO: frames in, lines out. The recording itself stays exact; here text that is no UTF-8 becomes U+FFFD, since
//! asciicast is JSON, and a session without a terminal gets the carriage returns that a terminal would have added.

use lockgate_core::{Channel, Session};
use serde::Deserialize;
use serde_json::json;

use crate::recording::Frame;

/// A terminal's size when the session never told one.
const DEFAULT_SIZE: Size = Size { width: 80, height: 24 };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// Turns frames into lines, one session long.
#[derive(Debug)]
pub struct Asciicast {
    timestamp: i64,
    title: String,
    tty: bool,
    header_written: bool,
    last_offset: f64,
    stdin: Utf8,
    stdout: Utf8,
    stderr: Utf8,
}

/// A character that is split over two frames waits here.
#[derive(Debug, Default)]
struct Utf8 {
    pending: Vec<u8>,
}

impl Asciicast {
    /// Starts a cast of this session.
    pub fn new(session: &Session) -> Self {
        Self {
            timestamp: session.started_at.seconds(),
            title: session.argv.join(" "),
            tty: session.tty,
            header_written: false,
            last_offset: 0.0,
            stdin: Utf8::default(),
            stdout: Utf8::default(),
            stderr: Utf8::default(),
        }
    }

    /// The lines of one frame; empty when it adds nothing that a cast can say.
    pub fn frame(&mut self, frame: &Frame) -> String {
        // Players want offsets that never run backwards.
        self.last_offset = self.last_offset.max(frame.offset().as_secs_f64());
        match frame.channel {
            Channel::Stdin => {
                let text = self.stdin.push(&frame.payload);
                self.event("i", &text)
            }
            Channel::Stdout => {
                let text = self.stdout.push(&frame.payload);
                self.output(&text)
            }
            Channel::Stderr => {
                let text = self.stderr.push(&frame.payload);
                self.output(&text)
            }
            Channel::Resize => self.resize(&frame.payload),
            Channel::Error => String::new(),
        }
    }

    /// What is left: a header when nothing was written, and unfinished characters.
    pub fn end(&mut self) -> String {
        let rest = format!("{}{}", self.stdout.end(), self.stderr.end());
        let mut out = self.output(&rest);
        if !self.header_written {
            out = self.header(DEFAULT_SIZE);
        }
        out
    }

    fn resize(&mut self, payload: &[u8]) -> String {
        let Ok(size) = serde_json::from_slice::<Size>(payload) else { return String::new() };
        if size.width == 0 || size.height == 0 {
            return String::new();
        }
        if !self.header_written {
            return self.header(size);
        }
        self.event("r", &format!("{}x{}", size.width, size.height))
    }

    fn output(&mut self, text: &str) -> String {
        if self.tty {
            self.event("o", text)
        } else {
            self.event("o", &text.replace("\r\n", "\n").replace('\n', "\r\n"))
        }
    }

    fn event(&mut self, code: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let mut out = if self.header_written { String::new() } else { self.header(DEFAULT_SIZE) };
        let offset = (self.last_offset * 1_000_000.0).round() / 1_000_000.0;
        out.push_str(&format!("{}\n", json!([offset, code, text])));
        out
    }

    fn header(&mut self, size: Size) -> String {
        self.header_written = true;
        let header = json!({"version": 2, "width": size.width, "height": size.height, "timestamp": self.timestamp,
            "title": self.title});
        format!("{header}\n")
    }
}

impl Utf8 {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let keep = incomplete(&self.pending);
        let whole = self.pending.len().saturating_sub(keep);
        let rest = self.pending.split_off(whole);
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending = rest;
        text
    }

    fn end(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// How many bytes at the end begin a character that is not yet whole.
fn incomplete(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let tail = bytes.get(bytes.len().saturating_sub(back)..).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(tail)
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return back;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockgate_core::{Action, AuditId, Risk, SessionId, Stream, Subject, SubjectKind, Timestamp, Verb};

    use super::*;

    fn session(tty: bool) -> Session {
        let nil = "00000000-0000-0000-0000-000000000000";
        Session {
            id: format!("ses_{nil}").parse::<SessionId>().unwrap(),
            audit_id: format!("aud_{nil}").parse::<AuditId>().unwrap(),
            subject: Subject {
                issuer: "https://idp.example.com".into(),
                id: "deployer".into(),
                kind: SubjectKind::Agent,
                owner: None,
                on_behalf_of: None,
                groups: vec![],
                token_id: None,
            },
            cluster: "shop".into(),
            action: Action {
                verb: Verb::Create,
                api_group: String::new(),
                api_version: "v1".into(),
                resource: "pods".into(),
                subresource: Some("exec".into()),
                namespace: Some("shop".into()),
                name: Some("web".into()),
                path: "/api/v1/namespaces/shop/pods/web/exec".into(),
                risk: Risk::Stream,
                stream: Stream::Exec,
            },
            container: None,
            argv: vec!["sh".into()],
            tty,
            stdin: true,
            protocol: "v5.channel.k8s.io".into(),
            started_at: Timestamp::from_seconds(1_700_000_000),
            ended_at: None,
            end_reason: None,
            exit_code: None,
            channels: std::collections::BTreeMap::new(),
        }
    }

    fn frame(offset_microseconds: u64, channel: Channel, payload: &[u8]) -> Frame {
        Frame { offset_microseconds, channel, payload: Bytes::copy_from_slice(payload) }
    }

    fn cast(tty: bool, frames: &[Frame]) -> Vec<String> {
        let mut cast = Asciicast::new(&session(tty));
        let mut text: String = frames.iter().map(|frame| cast.frame(frame)).collect();
        text.push_str(&cast.end());
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_size_is_the_headers() {
        let lines = cast(
            true,
            &[
                frame(10, Channel::Resize, br#"{"Width":120,"Height":40}"#),
                frame(1_500_000, Channel::Stdout, b"$ "),
                frame(2_000_000, Channel::Resize, br#"{"Width":100,"Height":30}"#),
            ],
        );
        assert_eq!(
            lines,
            [
                r#"{"height":40,"timestamp":1700000000,"title":"sh","version":2,"width":120}"#,
                r#"[1.5,"o","$ "]"#,
                r#"[2.0,"r","100x30"]"#,
            ]
        );
    }

    #[test]
    fn a_character_split_at_any_point_stays_whole() {
        let bytes = "aé日🙂z".as_bytes();
        for split in 0..=bytes.len() {
            let (one, two) = bytes.split_at(split);
            let lines = cast(true, &[frame(1, Channel::Stdout, one), frame(2, Channel::Stdout, two)]);
            let text: String =
                lines[1..].iter().map(|line| serde_json::from_str::<(f64, String, String)>(line).unwrap().2).collect();
            assert_eq!(text, "aé日🙂z", "split at {split}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_nothing_is_lost() {
        let lines = cast(true, &[frame(1, Channel::Stdout, b"a\xff\xfeb\xe6\x97")]);
        let text: String =
            lines[1..].iter().map(|line| serde_json::from_str::<(f64, String, String)>(line).unwrap().2).collect();
        assert_eq!(text, "a\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn without_a_terminal_lines_begin_at_the_left() {
        let lines = cast(false, &[frame(1_000, Channel::Stdout, b"a\nb\r\n"), frame(2_000, Channel::Stderr, b"x\n")]);
        assert_eq!(lines[1..], [r#"[0.001,"o","a\r\nb\r\n"]"#, r#"[0.002,"o","x\r\n"]"#]);
    }

    #[test]
    fn an_empty_session_is_a_header() {
        assert_eq!(cast(true, &[]).len(), 1);
    }
}
