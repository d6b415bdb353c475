//! The member names that mean something somewhere.

use super::text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Annotations,
    ApiVersion,
    Args,
    BinaryData,
    Causes,
    Certificate,
    Command,
    Data,
    Details,
    Env,
    HttpHeaders,
    Items,
    Kind,
    LastApplied,
    ManagedFields,
    Message,
    Metadata,
    Called,
    Object,
    Release,
    Rows,
    Spec,
    Status,
    Template,
    Token,
    Value,
    ValueFrom,
    /// None of the names, and too long to be judged by its words.
    Long,
    Other,
}

/// No literal longer than this is one of the names (the longest has 48 characters, each at most six bytes), or is
/// judged by its words.
pub(super) const NAME_LITERAL_BYTES_MAX: usize = 288;

pub(super) const LAST_APPLIED: &[u8] = b"kubectl.kubernetes.io/last-applied-configuration";

impl Name {
    /// The name that a literal spells, escapes decoded, and how it is spelled without them. A literal that is no text
    /// is none of the names.
    pub(super) fn of(literal: &[u8], act: impl FnOnce(Self, &[u8])) {
        if literal.len() > NAME_LITERAL_BYTES_MAX {
            return act(Self::Long, literal.get(..NAME_LITERAL_BYTES_MAX).unwrap_or_default());
        }
        if !literal.contains(&b'\\') {
            return act(Self::plain(literal), literal);
        }
        match text::decode(literal) {
            Some(name) => act(Self::plain(name.as_bytes()), name.as_bytes()),
            None => act(Self::Other, literal),
        }
    }

    /// What masks in a Secret, a ConfigMap or a pod template counts in any case, since an annotation holds what a
    /// person wrote.
    fn plain(name: &[u8]) -> Self {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            3 if is(b"env") => Self::Env,
            4 => match name {
                b"kind" => Self::Kind,
                b"name" => Self::Called,
                b"rows" => Self::Rows,
                b"spec" => Self::Spec,
                _ if is(b"args") => Self::Args,
                _ if is(b"data") => Self::Data,
                _ => Self::Other,
            },
            5 => match name {
                b"items" => Self::Items,
                _ if is(b"value") => Self::Value,
                _ if is(b"token") => Self::Token,
                _ => Self::Other,
            },
            6 => match name {
                b"causes" => Self::Causes,
                b"object" => Self::Object,
                b"status" => Self::Status,
                _ => Self::Other,
            },
            7 => match name {
                b"details" => Self::Details,
                b"message" => Self::Message,
                b"release" => Self::Release,
                _ if is(b"command") => Self::Command,
                _ => Self::Other,
            },
            8 if name == b"metadata" => Self::Metadata,
            8 if name == b"template" => Self::Template,
            9 if name == b"valueFrom" => Self::ValueFrom,
            10 if name == b"apiVersion" => Self::ApiVersion,
            10 if is(b"stringData") => Self::Data,
            10 if is(b"binaryData") => Self::BinaryData,
            11 if name == b"annotations" => Self::Annotations,
            11 if is(b"httpHeaders") => Self::HttpHeaders,
            11 if is(b"certificate") => Self::Certificate,
            13 if name == b"managedFields" => Self::ManagedFields,
            48 if name == LAST_APPLIED => Self::LastApplied,
            _ => Self::Other,
        }
    }
}
