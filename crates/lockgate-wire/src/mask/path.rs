//! Where in an answer the masker stands: a pushdown automaton over member names.

use super::annotation::Annotation;
use super::helm::Stored;
use super::member_name::Name;
use super::names;
use super::object::{Basis, Data, Object};
use super::plan::{Embedded, MaskPlan, Messages};
use super::profile::Values;
use super::reason::Reason;
use super::words::Word;

/// What the value that comes next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Of no interest, with all that is in it, but for the secrets that its strings may hold.
    Pass,
    /// Of no interest at all, by a profile that masks nothing.
    Skip,
    /// Replaced by the placeholder, whatever it is.
    Mask(Reason),
    /// A map whose members' values are replaced; anything that is neither object nor null, itself.
    MaskMembers(Reason),
    /// Likewise, of those whose name says that they are secret.
    JudgeMembers(Reason),
    /// An API object, or an array of them.
    Object(Basis),
    /// The `rows` of a Table.
    Rows,
    /// Any value in which API objects and pod templates may be embedded.
    Look,
    /// An object's `metadata`.
    Metadata(Owner),
    /// An object's `annotations`.
    Annotations(Owner),
    /// kubectl's copy of the object.
    LastApplied(Owner),
    /// Any other annotation.
    Annotation(Annotation),
    /// A Secret's `managedFields`.
    ManagedFields,
    /// An object's `kind`.
    Kind,
    /// An object's `apiVersion`.
    ApiVersion,
    /// A `Status`' `details`.
    Details,
    /// Its `causes`.
    Causes,
    /// A message for people in a `Status`.
    Message(Messages),
    /// The value of `env` or `httpHeaders`: a list of names and values, or a map.
    Pairs(Reason),
    /// An element of such a list.
    Pair(Reason),
    /// A value of such a map.
    Mapped(Reason),
    /// The name in a pair.
    PairName,
    /// A command line: a list of words, the first of which may be the program.
    Words(Word),
    /// One of its words.
    Word(Word),
    /// An object one of whose members is a credential that was issued.
    Issued(Reason),
    /// A field that a rule names, or an element of it.
    Field,
    /// What Helm stores of a release, packed.
    Release(Stored),
    /// A release, unpacked.
    Unpacked,
    /// Its chart.
    Chart,
    /// What it says of its state.
    Info,
    /// Its hooks, or one of them.
    Hooks,
    /// YAML documents in one text.
    Manifest,
    /// A value it was given, or a map or list of such; `true` if its name, or that of what holds it, is secret.
    Given(bool),
}

/// Whose metadata it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Secret,
    Other,
}

/// An open bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// An object, whose members mean what this says.
    Members(Members),
    /// An array, whose elements are this.
    Elements(Next),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    Object(Object),
    Embedded(Object),
    Row,
    Metadata(Owner),
    Annotations(Owner),
    Masked(Reason),
    Judged(Reason),
    Details,
    Cause,
    Pair(Reason, PairName),
    Map(Reason),
    Issued(Reason),
    Release(ReleasePart),
    Given(bool),
}

/// An object in an unpacked release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReleasePart {
    Root,
    Chart,
    Info,
    Hook,
}

/// What is known of the name in a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairName {
    Unsaid,
    Secret,
    Harmless,
}

impl Members {
    /// What the value of the member `name` is, which is spelled `key`.
    pub(super) fn value(&mut self, name: Name, key: &[u8], plan: &MaskPlan) -> Next {
        let rules = plan.rules();
        if !rules.secrets {
            return Next::Skip;
        }
        match self {
            Self::Object(object) => match name {
                Name::Items | Name::Object => Next::Object(plan.basis),
                Name::Rows => Next::Rows,
                Name::Message if plan.messages != Messages::Pass => Next::Message(plan.messages),
                Name::Details if plan.messages != Messages::Pass => Next::Details,
                Name::Status | Name::Spec if plan.issued.is_some() => plan.issued.map_or(Next::Pass, Next::Issued),
                Name::Spec | Name::Template if plan.embedded == Embedded::Templates => Next::Look,
                name => member(object, name, plan.embedded, plan),
            },
            Self::Embedded(object) => match template_member(name, plan) {
                Some(next) => next,
                None => member(object, name, Embedded::Look, plan),
            },
            Self::Row if name == Name::Object => Next::Object(plan.basis),
            Self::Metadata(owner) => match name {
                Name::Annotations => Next::Annotations(*owner),
                Name::ManagedFields if *owner == Owner::Secret => Next::ManagedFields,
                _ => Next::Pass,
            },
            Self::Annotations(owner) if name == Name::LastApplied => Next::LastApplied(*owner),
            Self::Annotations(_) => Annotation::next(key, rules.annotations),
            Self::Masked(reason) | Self::Judged(reason) if name == Name::Release && !rules.releases.pass() => {
                let stored = if *reason == Reason::Secret { Stored::InSecret } else { Stored::InConfigMap };
                Next::Release(stored)
            }
            Self::Masked(reason) => Next::Mask(*reason),
            Self::Judged(reason) if is_secret(name, key) => Next::Mask(*reason),
            Self::Details if name == Name::Causes => Next::Causes,
            Self::Cause if name == Name::Message => Next::Message(plan.messages),
            Self::Pair(reason, said) => match name {
                Name::Called => Next::PairName,
                Name::Value if *said == PairName::Harmless && rules.templates != Values::All => Next::Pass,
                Name::Value => Next::Mask(*reason),
                _ => Next::Look,
            },
            Self::Map(reason) if name != Name::ValueFrom => match rules.templates {
                Values::All => Next::Mapped(*reason),
                Values::ByName if is_secret(name, key) => Next::Mapped(*reason),
                Values::ByName | Values::Pass => Next::Look,
            },
            Self::Map(_) => Next::Look,
            Self::Issued(Reason::Certificate) if name == Name::Certificate => Next::Mask(Reason::Certificate),
            Self::Issued(Reason::Token) if name == Name::Token => Next::Mask(Reason::Token),
            Self::Release(part) => part.value(key, rules.releases),
            Self::Given(secret) => Next::Given(*secret || is_secret(name, key)),
            Self::Row | Self::Judged(_) | Self::Details | Self::Cause | Self::Issued(_) => Next::Pass,
        }
    }
}

impl ReleasePart {
    /// As helm.sh/helm/v3/pkg/release and pkg/chart name them. What is not named is not known, and masked.
    fn value(self, key: &[u8], values: Values) -> Next {
        match (self, key) {
            (Self::Root, b"chart") => Next::Chart,
            (Self::Root, b"config") | (Self::Chart, b"values") => Next::Given(false),
            (Self::Root, b"hooks") => Next::Hooks,
            (Self::Root, b"info") => Next::Info,
            (Self::Root | Self::Hook, b"manifest") => Next::Manifest,
            (Self::Root, b"name" | b"namespace" | b"version" | b"apply_method") => Next::Pass,
            (Self::Chart, b"metadata" | b"lock" | b"templates" | b"schema" | b"files" | b"modtime") => Next::Pass,
            // What a chart prints after an installation: passwords, often enough.
            (Self::Info, b"notes") if values == Values::All => Next::Mask(Reason::Release),
            (Self::Info | Self::Hook, _) => Next::Pass,
            (Self::Root | Self::Chart, _) => Next::Mask(Reason::Release),
        }
    }
}

fn is_secret(name: Name, key: &[u8]) -> bool {
    name == Name::Long || std::str::from_utf8(key).map_or(true, names::is_secret)
}

/// The members that every API object has.
fn member(object: &mut Object, name: Name, embedded: Embedded, plan: &MaskPlan) -> Next {
    let rest = match embedded {
        Embedded::Look => template_member(name, plan).unwrap_or(Next::Look),
        Embedded::Templates | Embedded::Pass => Next::Pass,
    };
    match name {
        Name::Kind => Next::Kind,
        Name::ApiVersion => Next::ApiVersion,
        Name::Metadata => Next::Metadata(if object.is_secret() { Owner::Secret } else { Owner::Other }),
        Name::Data | Name::BinaryData => data(object, name, plan.rules().config_maps).unwrap_or(rest),
        Name::LastApplied if embedded == Embedded::Look => Next::LastApplied(Owner::Other),
        _ => rest,
    }
}

/// An object's `data`, or `None` if it is to be treated as any other member.
fn data(object: &mut Object, name: Name, config_maps: Values) -> Option<Next> {
    let binary = name == Name::BinaryData;
    match (object.data(), config_maps) {
        // A Secret has none, a ConfigMap whose kind comes last has.
        (Data::Secret, Values::Pass) if binary => None,
        (Data::Secret | Data::ConfigMap, Values::All | Values::ByName) if binary => {
            Some(Next::MaskMembers(Reason::BinaryConfig))
        }
        (Data::Secret, _) => Some(Next::MaskMembers(Reason::Secret)),
        (Data::ConfigMap, Values::All) => Some(Next::MaskMembers(Reason::ConfigMap)),
        (Data::ConfigMap, Values::ByName) => {
            object.judge_data();
            Some(Next::JudgeMembers(Reason::ConfigMap))
        }
        (Data::ConfigMap, Values::Pass) | (Data::Plain, _) => {
            object.pass_data();
            None
        }
    }
}

/// What pod templates are made of, wherever they stand.
fn template_member(name: Name, plan: &MaskPlan) -> Option<Next> {
    if plan.rules().templates.pass() {
        return None;
    }
    match name {
        Name::Env => Some(Next::Pairs(Reason::Environment)),
        Name::HttpHeaders => Some(Next::Pairs(Reason::Header)),
        Name::Command => Some(Next::Words(Word::Program)),
        Name::Args => Some(Next::Words(Word::Plain)),
        _ => None,
    }
}

impl Next {
    /// The frame that `{` opens, or `None` where the value is not looked into.
    pub(super) const fn members(self) -> Option<Members> {
        match self {
            Self::Object(basis) => Some(Members::Object(Object::new(basis))),
            Self::Look | Self::Kind | Self::ApiVersion | Self::PairName | Self::Words(_) => {
                Some(Members::Embedded(Object::new(Basis::Embedded)))
            }
            Self::Rows => Some(Members::Row),
            Self::Metadata(owner) => Some(Members::Metadata(owner)),
            Self::Annotations(owner) => Some(Members::Annotations(owner)),
            Self::MaskMembers(reason) => Some(Members::Masked(reason)),
            Self::JudgeMembers(reason) => Some(Members::Judged(reason)),
            Self::Details => Some(Members::Details),
            Self::Causes => Some(Members::Cause),
            Self::Pairs(reason) | Self::Mapped(reason) => Some(Members::Map(reason)),
            Self::Pair(reason) => Some(Members::Pair(reason, PairName::Unsaid)),
            Self::Word(_) => Some(Members::Pair(Reason::Argument, PairName::Unsaid)),
            Self::Issued(reason) => Some(Members::Issued(reason)),
            Self::Field => Some(Members::Masked(Reason::Field)),
            Self::Unpacked => Some(Members::Release(ReleasePart::Root)),
            Self::Chart => Some(Members::Release(ReleasePart::Chart)),
            Self::Info => Some(Members::Release(ReleasePart::Info)),
            Self::Hooks => Some(Members::Release(ReleasePart::Hook)),
            Self::Given(secret) => Some(Members::Given(secret)),
            Self::Pass
            | Self::Skip
            | Self::Mask(_)
            | Self::LastApplied(_)
            | Self::Annotation(_)
            | Self::ManagedFields
            | Self::Message(_)
            | Self::Manifest
            | Self::Release(_) => None,
        }
    }

    /// What the elements of an array are.
    pub(super) const fn elements(self) -> Self {
        match self {
            Self::Pairs(reason) => Self::Pair(reason),
            Self::Words(word) => Self::Word(word),
            Self::Word(_) => Self::Word(Word::Plain),
            other => other,
        }
    }

    /// Why the value must not pass when it is a bracket, or a scalar (`null` apart) that is no string, where it is not
    /// looked into.
    pub(super) const fn masked_whole(self) -> Option<Reason> {
        match self {
            Self::Mask(reason) | Self::MaskMembers(reason) | Self::JudgeMembers(reason) => Some(reason),
            Self::LastApplied(_) | Self::Annotation(Annotation::Manifest) => Some(Reason::Annotation),
            Self::Message(_) => Some(Reason::Message),
            Self::Manifest => Some(Reason::Release),
            Self::Release(Stored::InSecret) => Some(Reason::Secret),
            Self::Release(Stored::InConfigMap) => Some(Reason::ConfigMap),
            _ => None,
        }
    }

    /// Why a number, `true` or `false` that begins with this byte must not pass here.
    pub(super) fn masked_scalar(self, values: Values, byte: u8) -> Option<Reason> {
        match self {
            // Switches tell nothing, and charts do not work without them.
            Self::Given(secret) => (secret && !matches!(byte, b't' | b'f')).then_some(Reason::Release),
            Self::Pairs(reason) | Self::Pair(reason) if values == Values::All => Some(reason),
            Self::Mapped(reason) => Some(reason),
            Self::Field => Some(Reason::Field),
            Self::Words(_) | Self::Word(_) if values == Values::All => Some(Reason::Argument),
            other => other.masked_whole(),
        }
    }
}
