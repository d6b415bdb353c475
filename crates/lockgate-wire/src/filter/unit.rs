//! What is known of the object at hand.

use serde_json::Value;

/// An object, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Item<'i> {
    /// `metadata.name`.
    pub name: &'i str,
    /// `metadata.namespace`; empty when it has none.
    pub namespace: &'i str,
    /// `metadata.labels`.
    pub labels: &'i [(String, String)],
    /// The whole object, with [`super::Reads::Object`].
    pub object: Option<&'i Value>,
}

/// The object (with its row, its event or its document) that is held, passes or is dropped.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) stage: Stage,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: Option<Vec<(String, String)>>,
    /// Its metadata has begun: a second one would be another object.
    pub(super) metadata: bool,
    /// The `object` of its event has begun, and that of its row.
    pub(super) event_object: bool,
    pub(super) row_object: bool,
    /// Of an event: its type is known.
    pub(super) typed: bool,
    /// What it says about itself.
    pub(super) kind: Kind,
    pub(super) group: Group,
    /// Where in the held bytes the object itself begins.
    pub(super) object_start: Option<usize>,
    /// Where in the held bytes the column definitions of a Table begin, while they are read.
    pub(super) columns_start: Option<usize>,
    /// Where they stand.
    pub(super) columns: Option<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// Not judged yet.
    #[default]
    Held,
    Shown,
    Hidden,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Unsaid,
    Table,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Group {
    #[default]
    Unsaid,
    /// `meta.k8s.io`
    Meta,
    Other,
}

/// Whether the object at hand is a Table, which holds the object in its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Table,
    Object,
    /// It says `kind: Table` but not yet of which group.
    Unclear,
}

impl Unit {
    pub(super) fn shape(&self) -> Shape {
        match (self.kind, self.group) {
            (Kind::Table, Group::Meta) => Shape::Table,
            (Kind::Table, Group::Unsaid) => Shape::Unclear,
            (Kind::Table, Group::Other) | (Kind::Other | Kind::Unsaid, _) => Shape::Object,
        }
    }

    pub(super) fn item<'u>(&'u self, object: Option<&'u Value>) -> Option<Item<'u>> {
        Some(Item {
            name: self.name.as_deref().filter(|name| !name.is_empty())?,
            namespace: self.namespace.as_deref().unwrap_or_default(),
            labels: self.labels.as_deref().unwrap_or_default(),
            object,
        })
    }
}
