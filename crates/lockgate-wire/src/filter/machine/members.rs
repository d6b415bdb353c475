//! What the members of the objects that are looked into mean.

use crate::filter::FilterError;
use crate::filter::unit::{Shape, Stage, Unit};

use super::hold::Piece;
use super::{Filter, Frame, Next, Sink, Use};

impl Filter {
    /// What the value of the member `name` of the object at hand is.
    pub(super) fn member(&mut self, name: &str, piece: &mut Piece<'_, '_>) -> Result<Next, FilterError> {
        let offset = self.place(piece);
        let next = match self.frames.last() {
            Some(Frame::List) => match name {
                "metadata" => Next::ListMeta,
                "items" => Next::Items,
                "rows" => Next::Rows,
                "kind" | "apiVersion" | "columnDefinitions" => Next::Skip,
                _ => return Err(FilterError::Unexpected { offset }),
            },
            Some(Frame::ListMeta { .. }) => return self.list_meta_member(name, piece),
            Some(Frame::Item | Frame::RowObject) if name == "metadata" => self.metadata(offset)?,
            Some(Frame::Row) if name == "object" => self.inner(Next::RowObject, offset)?,
            Some(Frame::Event) => match name {
                "type" => Next::Text(Use::Type),
                "object" if self.unit.as_ref().is_some_and(|unit| unit.typed) => self.inner(Next::Document, offset)?,
                "object" => return Err(FilterError::Ambiguous { offset }),
                _ => return Err(FilterError::Unexpected { offset }),
            },
            Some(Frame::Document) => self.document_member(name, offset)?,
            Some(Frame::Metadata) => match name {
                "name" => Next::Text(Use::Name),
                "namespace" => Next::Text(Use::Namespace),
                "labels" => Next::Labels,
                _ => Next::Skip,
            },
            Some(Frame::Labels) => Next::Text(Use::Label),
            Some(Frame::Item | Frame::RowObject | Frame::Row | Frame::Elements { .. }) | None => Next::Skip,
        };
        Ok(next)
    }

    pub(super) fn list_meta_member(&mut self, name: &str, piece: &mut Piece<'_, '_>) -> Result<Next, FilterError> {
        if name == "remainingItemCount" {
            self.turn(Sink::Drop, piece)?;
            self.held.clear();
            return Ok(Next::Omit);
        }
        self.flush(piece)?;
        self.release(piece);
        self.sink = Sink::Pass;
        Ok(Next::Skip)
    }

    pub(super) fn document_member(&mut self, name: &str, offset: u64) -> Result<Next, FilterError> {
        let shape = self.unit.as_ref().map_or(Shape::Unclear, Unit::shape);
        match (name, shape) {
            ("kind", _) => Ok(Next::Text(Use::Kind)),
            ("apiVersion", _) => Ok(Next::Text(Use::ApiVersion)),
            ("metadata" | "rows" | "columnDefinitions", Shape::Unclear) => Err(FilterError::Ambiguous { offset }),
            ("metadata", Shape::Object) => self.metadata(offset),
            ("rows", Shape::Table) => Ok(Next::Rows),
            ("columnDefinitions", Shape::Table) => Ok(Next::Columns),
            _ => Ok(Next::Skip),
        }
    }

    /// A second `metadata` would be another object.
    pub(super) fn metadata(&mut self, offset: u64) -> Result<Next, FilterError> {
        match &mut self.unit {
            Some(unit) if !unit.metadata => unit.metadata = true,
            _ => return Err(FilterError::Ambiguous { offset }),
        }
        Ok(Next::Metadata)
    }

    /// The `object` of a row or an event; bookmarks and errors pass unread.
    pub(super) fn inner(&mut self, next: Next, offset: u64) -> Result<Next, FilterError> {
        let Some(unit) = &mut self.unit else { return Err(FilterError::Ambiguous { offset }) };
        let known = if next == Next::Document { &mut unit.event_object } else { &mut unit.row_object };
        if std::mem::replace(known, true) {
            return Err(FilterError::Ambiguous { offset });
        }
        let passes = next == Next::Document && unit.stage == Stage::Shown;
        Ok(if passes { Next::Skip } else { next })
    }
}
