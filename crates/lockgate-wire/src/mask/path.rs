//! Where in an answer the masker stands: a pushdown automaton over member names.

use super::object::{Basis, Object};
use super::plan::{Embedded, MaskPlan};
use super::text;

/// What the value that comes next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Of no interest, with all that is in it.
    Pass,
    /// Replaced by the placeholder, whatever it is.
    Mask,
    /// A Secret's `data`: the members' values are replaced; anything that is neither object nor null, itself.
    MaskMembers,
    /// An API object, or an array of them.
    Object(Basis),
    /// The `rows` of a Table.
    Rows,
    /// Any value in which API objects may be embedded.
    Look,
    /// An object's `metadata`.
    Metadata(Owner),
    /// An object's `annotations`.
    Annotations(Owner),
    /// The annotation itself.
    LastApplied(Owner),
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
    Message,
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
    Masked,
    Details,
    Cause,
}

/// The member names that mean something somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Annotations,
    ApiVersion,
    Causes,
    Data,
    Details,
    Items,
    Kind,
    LastApplied,
    ManagedFields,
    Message,
    Metadata,
    Object,
    Rows,
    Other,
}

/// No literal longer than this is one of the names: the longest has 48 characters, each at most six bytes.
pub(super) const NAME_LITERAL_BYTES_MAX: usize = 288;

impl Name {
    /// The name that a literal spells, escapes decoded. `data` and `stringData` count in any case, since an annotation
    /// holds what a person wrote.
    pub(super) fn of(literal: &[u8]) -> Self {
        if literal.len() > NAME_LITERAL_BYTES_MAX {
            return Self::Other;
        }
        if literal.contains(&b'\\') {
            return text::decode(literal).map_or(Self::Other, |name| Self::plain(name.as_bytes()));
        }
        Self::plain(literal)
    }

    fn plain(name: &[u8]) -> Self {
        match name {
            b"annotations" => Self::Annotations,
            b"apiVersion" => Self::ApiVersion,
            b"causes" => Self::Causes,
            b"details" => Self::Details,
            b"items" => Self::Items,
            b"kind" => Self::Kind,
            b"kubectl.kubernetes.io/last-applied-configuration" => Self::LastApplied,
            b"managedFields" => Self::ManagedFields,
            b"message" => Self::Message,
            b"metadata" => Self::Metadata,
            b"object" => Self::Object,
            b"rows" => Self::Rows,
            name if name.eq_ignore_ascii_case(b"data") || name.eq_ignore_ascii_case(b"stringData") => Self::Data,
            _ => Self::Other,
        }
    }
}

impl Members {
    /// What the value of the member `name` is.
    pub(super) fn value(&mut self, name: Name, plan: &MaskPlan) -> Next {
        match self {
            Self::Object(object) => match name {
                Name::Items | Name::Object => Next::Object(plan.basis),
                Name::Rows => Next::Rows,
                Name::Message if plan.basis == Basis::Secret => Next::Message,
                Name::Details if plan.basis == Basis::Secret => Next::Details,
                name => member(object, name, plan.embedded),
            },
            Self::Embedded(object) => member(object, name, Embedded::Look),
            Self::Row if name == Name::Object => Next::Object(plan.basis),
            Self::Metadata(owner) => match name {
                Name::Annotations => Next::Annotations(*owner),
                Name::ManagedFields if *owner == Owner::Secret => Next::ManagedFields,
                _ => Next::Pass,
            },
            Self::Annotations(owner) if name == Name::LastApplied => Next::LastApplied(*owner),
            Self::Masked => Next::Mask,
            Self::Details if name == Name::Causes => Next::Causes,
            Self::Cause if name == Name::Message => Next::Message,
            Self::Row | Self::Annotations(_) | Self::Details | Self::Cause => Next::Pass,
        }
    }
}

/// The members that every API object has.
fn member(object: &mut Object, name: Name, embedded: Embedded) -> Next {
    let rest = match embedded {
        Embedded::Look => Next::Look,
        Embedded::Pass => Next::Pass,
    };
    match name {
        Name::Kind => Next::Kind,
        Name::ApiVersion => Next::ApiVersion,
        Name::Metadata => Next::Metadata(if object.is_secret() { Owner::Secret } else { Owner::Other }),
        Name::Data if object.is_secret() => Next::MaskMembers,
        Name::Data => {
            object.pass_data();
            rest
        }
        Name::LastApplied if embedded == Embedded::Look => Next::LastApplied(Owner::Other),
        _ => rest,
    }
}

impl Next {
    /// The frame that `{` opens, or `None` where the value is not looked into.
    pub(super) const fn members(self) -> Option<Members> {
        match self {
            Self::Object(basis) => Some(Members::Object(Object::new(basis))),
            Self::Look | Self::Kind | Self::ApiVersion => Some(Members::Embedded(Object::new(Basis::Embedded))),
            Self::Rows => Some(Members::Row),
            Self::Metadata(owner) => Some(Members::Metadata(owner)),
            Self::Annotations(owner) => Some(Members::Annotations(owner)),
            Self::MaskMembers => Some(Members::Masked),
            Self::Details => Some(Members::Details),
            Self::Causes => Some(Members::Cause),
            Self::Pass | Self::Mask | Self::LastApplied(_) | Self::ManagedFields | Self::Message => None,
        }
    }

    /// Whether the value must not pass when it is an array, or of a type that the API never has there.
    pub(super) const fn is_masked_whole(self) -> bool {
        matches!(self, Self::Mask | Self::MaskMembers | Self::LastApplied(_) | Self::Message)
    }
}
