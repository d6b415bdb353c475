//! Is this object a Secret? What is known from the request, and what the object has said about itself so far.

/// What the request tells about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// It is a Secret, whatever it says.
    Secret,
    /// It is of a built-in kind other than Secret, unless it says otherwise.
    Typed,
    /// Nothing: it is a Secret unless it says otherwise.
    Unknown,
    /// It is no Secret, for certain.
    Other,
    /// It is embedded in another object, most likely no API object at all.
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsaid,
    Secret,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Unsaid,
    Core,
    Named,
}

/// What is known of one object while it streams by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    basis: Basis,
    kind: Kind,
    group: Group,
    data_passed: bool,
}

impl Object {
    pub(super) const fn new(basis: Basis) -> Self {
        Self { basis, kind: Kind::Unsaid, group: Group::Unsaid, data_passed: false }
    }

    /// Whether its data must be masked, by what is known now.
    pub(super) fn is_secret(self) -> bool {
        let said = self.kind == Kind::Secret && self.group != Group::Named;
        match self.basis {
            Basis::Secret => true,
            Basis::Other => false,
            Basis::Unknown => self.kind != Kind::Other && self.group != Group::Named,
            Basis::Typed | Basis::Embedded => said || (self.kind == Kind::Unsaid && self.group == Group::Core),
        }
    }

    /// Its `data` or `stringData` goes to the client unmasked.
    pub(super) const fn pass_data(&mut self) {
        self.data_passed = true;
    }

    /// It says `kind: …`. Once a Secret, always one: with a repeated key, no parser's choice uncovers it.
    pub(super) fn say_kind(&mut self, kind: &[u8]) {
        if kind == b"Secret" {
            self.kind = Kind::Secret;
        } else if self.kind == Kind::Unsaid {
            self.kind = Kind::Other;
        }
    }

    /// It says `apiVersion: …`.
    pub(super) fn say_api_version(&mut self, api_version: &[u8]) {
        if !api_version.contains(&b'/') {
            self.group = Group::Core;
        } else if self.group == Group::Unsaid {
            self.group = Group::Named;
        }
    }

    /// It turns out to be a Secret, and its data has passed.
    pub(super) fn is_exposed(self) -> bool {
        let secret = match self.basis {
            Basis::Other => false,
            Basis::Embedded => self.group == Group::Core,
            Basis::Secret | Basis::Typed | Basis::Unknown => self.group != Group::Named,
        };
        self.data_passed && self.kind == Kind::Secret && secret
    }
}
