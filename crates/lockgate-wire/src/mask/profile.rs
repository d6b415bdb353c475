//! What each profile masks, as data.

/// How much of an answer is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Every value of a Secret or ConfigMap, of an environment variable, of a flag.
    Strict,
    /// Every value of a Secret; of the rest those whose name says that they are secret.
    Balanced,
    /// Every value of a Secret, and nothing else.
    Secrets,
    /// Nothing; the answer's structure is checked still.
    Off,
}

/// What becomes of values that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They pass.
    Pass,
    /// Those are masked whose name says that they are secret ([`super::names`]).
    ByName,
    /// They are masked.
    All,
}

impl Values {
    pub(super) const fn pass(self) -> bool {
        matches!(self, Self::Pass)
    }
}

/// What a profile masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Anything at all.
    pub(super) secrets: bool,
    /// A ConfigMap's `data`. (Its `binaryData` is masked whole unless this passes: bytes tell nobody what they are.)
    pub(super) config_maps: Values,
    /// Environment variables, words of command lines, headers of probes.
    pub(super) templates: Values,
    /// Tokens and certificates that are issued.
    pub(super) credentials: bool,
    /// Copies of manifests in annotations other than kubectl's.
    pub(super) annotations: Values,
    /// Values in a Helm release, which is masked inside; where they would pass, it is masked as any other value.
    pub(super) releases: Values,
}

impl Profile {
    pub(super) const fn rules(self) -> &'static Rules {
        const STRICT: Rules = Rules {
            secrets: true,
            config_maps: Values::All,
            templates: Values::All,
            credentials: true,
            annotations: Values::All,
            releases: Values::All,
        };
        const BALANCED: Rules = Rules {
            secrets: true,
            config_maps: Values::ByName,
            templates: Values::ByName,
            credentials: true,
            annotations: Values::ByName,
            releases: Values::ByName,
        };
        const SECRETS: Rules = Rules {
            secrets: true,
            config_maps: Values::Pass,
            templates: Values::Pass,
            credentials: false,
            annotations: Values::Pass,
            releases: Values::Pass,
        };
        const OFF: Rules = Rules { secrets: false, ..SECRETS };
        match self {
            Self::Strict => &STRICT,
            Self::Balanced => &BALANCED,
            Self::Secrets => &SECRETS,
            Self::Off => &OFF,
        }
    }
}
