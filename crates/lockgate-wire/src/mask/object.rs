//! Is this object a Secret, or a ConfigMap? What is known from the request, and what the object has said about itself
//! so far.

/// What the request tells about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// It is a Secret, whatever it says.
    Secret,
    /// It is a ConfigMap, unless it says that it is a Secret.
    ConfigMap,
    /// It is of a built-in kind other than these, unless it says otherwise.
    Typed,
    /// Nothing: it is a Secret unless it says otherwise.
    Unknown,
    /// It is neither, for certain.
    Other,
    /// It is embedded in another object, most likely no API object at all.
    Embedded,
}

/// What an object's `data` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Secret,
    ConfigMap,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsaid,
    Secret,
    ConfigMap,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Unsaid,
    Core,
    Named,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    Nothing,
    /// As a ConfigMap's: what by its name is secret has not.
    Judged,
    Everything,
}

/// What is known of one object while it streams by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    basis: Basis,
    kind: Kind,
    group: Group,
    passed: Passed,
}

impl Object {
    pub(super) const fn new(basis: Basis) -> Self {
        Self { basis, kind: Kind::Unsaid, group: Group::Unsaid, passed: Passed::Nothing }
    }

    /// What its data must be taken for, by what is known now.
    pub(super) fn data(self) -> Data {
        match (self.basis, self.kind, self.group) {
            (Basis::Secret, _, _) | (Basis::Unknown, Kind::Unsaid, Group::Unsaid | Group::Core) => Data::Secret,
            (Basis::Other, _, _) => Data::Plain,
            (Basis::ConfigMap, Kind::Secret, Group::Unsaid | Group::Core) => Data::Secret,
            (Basis::ConfigMap, _, _) => Data::ConfigMap,
            (_, _, Group::Named) => Data::Plain,
            (_, Kind::Secret, _) | (Basis::Typed | Basis::Embedded, Kind::Unsaid, Group::Core) => Data::Secret,
            (_, Kind::ConfigMap, _) => Data::ConfigMap,
            (_, Kind::Unsaid | Kind::Other, _) => Data::Plain,
        }
    }

    pub(super) fn is_secret(self) -> bool {
        self.data() == Data::Secret
    }

    /// Its `data` or `stringData` goes to the client unmasked.
    pub(super) const fn pass_data(&mut self) {
        self.passed = Passed::Everything;
    }

    /// What of its `data` does not say by its name that it is secret goes to the client.
    pub(super) fn judge_data(&mut self) {
        if self.passed == Passed::Nothing {
            self.passed = Passed::Judged;
        }
    }

    /// It says `kind: …`. Once a Secret, always one: with a repeated key, no parser's choice uncovers it.
    pub(super) fn say_kind(&mut self, kind: &[u8]) {
        match kind {
            b"Secret" => self.kind = Kind::Secret,
            b"ConfigMap" if self.kind != Kind::Secret => self.kind = Kind::ConfigMap,
            _ if self.kind == Kind::Unsaid => self.kind = Kind::Other,
            _ => {}
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

    /// It turns out to be a Secret (or a ConfigMap, where those are `covered`), and its data has passed.
    pub(super) fn is_exposed(self, config_maps_covered: bool) -> bool {
        let of_core = match self.basis {
            Basis::Other => false,
            Basis::Embedded => self.group == Group::Core,
            Basis::Secret | Basis::ConfigMap | Basis::Typed | Basis::Unknown => self.group != Group::Named,
        };
        let exposed = match self.kind {
            Kind::Secret => self.passed != Passed::Nothing,
            Kind::ConfigMap => config_maps_covered && self.passed == Passed::Everything,
            Kind::Unsaid | Kind::Other => false,
        };
        of_core && exposed
    }
}
