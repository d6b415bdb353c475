//! Why a value is masked, and what stands in its place.

use super::patterns::Detector;
use crate::PLACEHOLDER;

/// Where a masked value stood, or what gave it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A Secret's `data` or `stringData`, or that of an object that may be one.
    Secret,
    /// A ConfigMap's `data`.
    ConfigMap,
    /// A ConfigMap's `binaryData`.
    BinaryConfig,
    /// The value of an environment variable.
    Environment,
    /// A word of a command line: `command`, `args`.
    Argument,
    /// The value of an HTTP header that a probe sends.
    Header,
    /// A token that was issued, or sent to be reviewed.
    Token,
    /// A certificate that was issued.
    Certificate,
    /// An annotation that copies a manifest or a command, and cannot be masked inside.
    Annotation,
    /// What a message of a `Status` quotes.
    Message,
    /// A field of a custom resource that the configuration names.
    Field,
    /// A value that a Helm release was given.
    Release,
    /// A Secret's value, wherever it stands.
    KnownValue,
    /// What looks like a secret, wherever it stands.
    Detected(Detector),
    /// A text that is too large to be searched.
    Large,
}

impl Reason {
    /// In a word or two, as it is counted and told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
            Self::BinaryConfig => "binary configmap",
            Self::Environment => "environment",
            Self::Argument => "argument",
            Self::Header => "header",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Annotation => "annotation",
            Self::Message => "message",
            Self::Field => "field",
            Self::Release => "release",
            Self::KnownValue => "known value",
            Self::Detected(detector) => detector.name(),
            Self::Large => "large",
        }
    }

    /// What stands in place of the value in JSON: always the same for one reason, so that neither equality nor length
    /// of two values shows; base64 where the schema needs it.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Secret => PLACEHOLDER,
            Self::ConfigMap => "**masked by lockgate: configmap**",
            // Of `**masked by lockgate: binary configmap**`, as the next one.
            Self::BinaryConfig => "KiptYXNrZWQgYnkgbG9ja2dhdGU6IGJpbmFyeSBjb25maWdtYXAqKg==",
            Self::Environment => "**masked by lockgate: environment**",
            Self::Argument => "**masked by lockgate: argument**",
            Self::Header => "**masked by lockgate: header**",
            Self::Token => "**masked by lockgate: token**",
            Self::Certificate => "KiptYXNrZWQgYnkgbG9ja2dhdGU6IGNlcnRpZmljYXRlKio=",
            Self::Annotation => "**masked by lockgate: annotation**",
            Self::Message => "**masked by lockgate: message**",
            Self::Field => "**masked by lockgate: field**",
            Self::Release => "**masked by lockgate: release**",
            Self::KnownValue => "**masked by lockgate: known value**",
            Self::Detected(detector) => detector.placeholder(),
            Self::Large => "**masked by lockgate: large**",
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        const PLAIN: [Reason; 14] = [
            Reason::Secret,
            Reason::ConfigMap,
            Reason::BinaryConfig,
            Reason::Environment,
            Reason::Argument,
            Reason::Header,
            Reason::Token,
            Reason::Certificate,
            Reason::Annotation,
            Reason::Message,
            Reason::Field,
            Reason::Release,
            Reason::KnownValue,
            Reason::Large,
        ];
        PLAIN.into_iter().chain(Detector::ALL.into_iter().map(Self::Detected))
    }

    /// The reason whose placeholder `text` is.
    pub fn of(text: &str) -> Option<Self> {
        Self::all().find(|reason| reason.placeholder() == text)
    }
}

/// Whether `text` holds a placeholder, wherever in it, in clear or in base64: nobody writes one on his own.
pub fn holds_placeholder(text: &str) -> bool {
    /// Every placeholder begins so: in clear, and in base64 behind 0, 1 and 2 bytes of another triple (what the
    /// neighbours have a part in is left out).
    const STARTS: [&str; 4] = [
        "**masked by lockgate",
        "KiptYXNrZWQgYnkgbG9ja2dhdG",
        "qbWFza2VkIGJ5IGxvY2tnYXRl",
        "qKm1hc2tlZCBieSBsb2NrZ2F0Z",
    ];
    STARTS.iter().any(|start| memchr::memmem::find(text.as_bytes(), start.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn placeholders_name_their_reason_and_are_told_apart() {
        for reason in Reason::all() {
            let placeholder = reason.placeholder();
            assert_eq!(Reason::of(placeholder), Some(reason));
            let is_base64 = matches!(reason, Reason::Secret | Reason::BinaryConfig | Reason::Certificate);
            let text = if is_base64 {
                String::from_utf8(STANDARD.decode(placeholder).unwrap()).unwrap()
            } else {
                placeholder.to_owned()
            };
            let expected = match reason {
                Reason::Secret => "**masked by lockgate**".to_owned(),
                _ => format!("**masked by lockgate: {}**", reason.name()),
            };
            assert_eq!(text, expected);
            assert!(holds_placeholder(&format!("--password={placeholder}\n")), "{placeholder}");
            for before in ["", "x", "xy", "xyz", "p:"] {
                let packed = STANDARD.encode(format!("{before}{text}{before}"));
                assert!(holds_placeholder(&packed), "{packed}");
            }
        }
        assert!(!holds_placeholder("masked by lockgate"));
        assert_eq!(Reason::of("hunter2"), None);
    }
}
