//! Known values: an index of secrets that are to be found wherever they appear, in every spelling.
//!
//! Owns: which values are worth looking for (the `strength` module; others are reported as [`LeftOut`]), how they may
//! be spelled, what parts they have, and finding tens of thousands of them at the speed of memory. Secrets' bytes are in
//! memory that is cleared when the index goes; none shows in `Debug`.
//!
//! Refuses to know: where values come from, and what becomes of what is found. Start at [`KnownValues::builder`].

mod forms;
mod grams;
mod parts;
mod patterns;
mod strength;

use std::fmt;
use std::sync::Arc;

use self::forms::Spelling;
use self::grams::{Candidate, Grams};
use self::parts::Shape;
pub(super) use self::patterns::Cursor;
use self::patterns::Patterns;
pub(super) use self::strength::is_wordlike;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueLabel {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The key of its `data`.
    pub key: String,
}

/// Which value was found; [`KnownValues::label`] says whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

/// What an index may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// How many values; more are left out.
    pub values_max: usize,
    /// Longest value that is looked for as a whole, in bytes. It bounds what a stream may have to withhold.
    pub value_bytes_max: usize,
    /// All spellings of all values together, in bytes. The index takes some four times as much.
    pub spellings_bytes_max: usize,
}

impl Default for ValueLimits {
    /// 100,000 values of at most 16 KiB, 128 MiB of spellings: ten of a value of 30 bytes take some 400.
    fn default() -> Self {
        Self { values_max: 100_000, value_bytes_max: 16 * 1024, spellings_bytes_max: 128 * 1024 * 1024 }
    }
}

/// A value, or a part of one that its name calls secret, that is not looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose value.
    pub label: ValueLabel,
    /// Which part of it, as `db.password`; `None` when it is the whole.
    pub part: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why a value is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Under eight bytes.
    TooShort,
    /// A number, a date, an address, a run or a repetition.
    TooPlain,
    /// A word, a name, a host or a path: masking it would mask what is no secret.
    Words,
    /// A certificate or a public key.
    Public,
    /// A placeholder of Lockgate's that was written back.
    Placeholder,
    /// Longer than [`ValueLimits::value_bytes_max`].
    TooLong,
    /// [`ValueLimits::values_max`] or [`ValueLimits::spellings_bytes_max`] is reached.
    NoRoom,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::TooShort, Self::TooPlain, Self::Words, Self::Public, Self::Placeholder, Self::TooLong, Self::NoRoom];

    /// A word for metrics. A new one belongs into [`Why::ALL`] too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "short",
            Self::TooPlain => "plain",
            Self::Words => "words",
            Self::Public => "public",
            Self::Placeholder => "placeholder",
            Self::TooLong => "long",
            Self::NoRoom => "no-room",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooShort => "shorter than 8 bytes",
            Self::TooPlain => "a number, a date, an address, a run or a repetition",
            Self::Words => "a word, a name, a host or a path",
            Self::Public => "a certificate or a public key",
            Self::Placeholder => "a placeholder that Lockgate put in the place of a value",
            Self::TooLong => "longer than the limit for one value",
            Self::NoRoom => "the limit for all values is reached",
        })
    }
}

/// The index. Built once, shared behind an `Arc`, cleared when the last owner lets go.
pub struct KnownValues {
    labels: Vec<ValueLabel>,
    patterns: Patterns,
    /// Finds patterns of 16 bytes and more, at a look every nine.
    long: Grams<8, 9>,
    /// Finds those of 8 to 15 bytes, at a look every four.
    short: Grams<5, 4>,
    /// Another index that is looked through as well.
    base: Option<Arc<KnownValues>>,
    /// How many indexes stand below this one.
    layer: u8,
}

impl KnownValues {
    /// An index to be filled.
    pub fn builder(limits: ValueLimits) -> KnownValuesBuilder {
        KnownValuesBuilder { limits, labels: Vec::new(), spellings: Vec::new(), bytes: 0, left_out: Vec::new() }
    }

    /// This index and another one as one: a few new values are known at once while the many need no new index. Every
    /// text is looked through for each, so the layers should stay few. The ids of `base` stay what they are.
    #[must_use]
    pub fn on(mut self, base: Arc<Self>) -> Self {
        self.layer = base.layer.saturating_add(1);
        self.base = Some(base);
        self
    }

    /// Whose value it is; `None` only for another index's id.
    pub fn label(&self, id: ValueId) -> Option<&ValueLabel> {
        match (self.own(id), &self.base) {
            (Some(own), _) => self.labels.get(own),
            (None, Some(base)) => base.label(id),
            (None, None) => None,
        }
    }

    /// How many values are looked for.
    pub fn len(&self) -> usize {
        self.below() + self.labels.len()
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the longest spelling: no more is ever withheld from a stream on account of known values.
    pub fn longest_spelling_bytes(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.longest_spelling_bytes()).max(self.patterns.longest())
    }

    /// How many values the indexes below have: their ids come first.
    fn below(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.len())
    }

    /// Which of this index's own values it is.
    fn own(&self, id: ValueId) -> Option<usize> {
        (id.0 as usize).checked_sub(self.below())
    }

    /// The owner of a pattern of this index's own.
    fn id(&self, pattern: u32) -> ValueId {
        let below = u32::try_from(self.below()).unwrap_or(u32::MAX);
        ValueId(self.patterns.owner(pattern).saturating_add(below))
    }

    /// Every place where a spelling stands in `text`, overlapping ones too, in no order.
    pub(super) fn find(&self, text: &[u8], found: &mut impl FnMut(usize, usize, ValueId)) {
        self.find_from(text, 0, found, &mut |_| {});
    }

    /// As `find`, for spellings that begin at `base` or behind it. `begun` gets every place before the tail (see
    /// [`Self::tail_bytes`]) from which on the whole rest of the text is the beginning of a spelling.
    pub(super) fn find_from(
        &self,
        text: &[u8],
        base: usize,
        found: &mut impl FnMut(usize, usize, ValueId),
        begun: &mut impl FnMut(usize),
    ) {
        if let Some(below) = &self.base {
            below.find_from(text, base, found, begun);
        }
        let mut check = |Candidate { pattern, start }: Candidate| {
            let Some(rest) = text.get(start..).filter(|_| start >= base) else { return };
            let bytes = self.patterns.bytes(pattern);
            if rest.starts_with(bytes) {
                found(start, start + bytes.len(), self.id(pattern));
            } else if bytes.starts_with(rest) {
                begun(start);
            }
        };
        let fresh = text.get(base..).unwrap_or_default();
        self.long.probe(fresh, base, &mut check);
        self.short.probe(fresh, base, &mut check);
    }

    /// A spelling that begins further from the end of a text than this, and goes on behind it, is seen by `find_from`.
    pub(super) fn tail_bytes(&self) -> usize {
        let own = self.long.window_end_max().max(self.short.window_end_max());
        self.base.as_ref().map_or(0, |base| base.tail_bytes()).max(own)
    }

    /// Whether `tail` reads like the beginning of a spelling, and the cursors to go on with. Longer spellings only.
    pub(super) fn begin_all(&self, start: usize, tail: &[u8], cursors: &mut Vec<Cursor>) {
        if let Some(base) = &self.base {
            base.begin_all(start, tail, cursors);
        }
        cursors.extend(self.begin(start, tail));
    }

    /// The same for the spellings of this index's own.
    fn begin(&self, start: usize, tail: &[u8]) -> Option<Cursor> {
        let mut cursor = if self.patterns.may_begin(tail) { self.patterns.cursor(start, tail) } else { None }?;
        cursor.layer = self.layer;
        Some(cursor)
    }

    /// Reads on from a cursor; `text` is the text that it stands in. Says whether a spelling still goes on.
    pub(super) fn advance(
        &self,
        cursor: &mut Cursor,
        text: &[u8],
        found: &mut impl FnMut(usize, usize, ValueId),
    ) -> bool {
        if cursor.layer != self.layer {
            return self.base.as_ref().is_some_and(|base| base.advance(cursor, text, found));
        }
        let rest = text.get(cursor.start..).unwrap_or_default();
        let (goes_on, complete) = self.patterns.advance(cursor, rest);
        if let Some((pattern, length)) = complete {
            found(cursor.start, cursor.start + length, self.id(pattern));
        }
        goes_on
    }
}

impl fmt::Debug for KnownValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spellings = self.patterns.count();
        let mut formatter = formatter.debug_struct("KnownValues");
        if let Some(base) = &self.base {
            formatter.field("base", base);
        }
        formatter.field("values", &self.labels.len()).field("spellings", &spellings).finish()
    }
}

/// Takes values, and keeps of each what is worth looking for.
pub struct KnownValuesBuilder {
    limits: ValueLimits,
    labels: Vec<ValueLabel>,
    spellings: Vec<(Spelling, u32)>,
    bytes: usize,
    left_out: Vec<LeftOut>,
}

impl KnownValuesBuilder {
    /// Adds a Secret's value, decoded. Of a document (JSON, YAML, properties, a connection URL) the strings inside are
    /// looked for instead of the whole; of a text of several lines, the lines as well as the whole.
    pub fn add(&mut self, label: ValueLabel, value: &[u8]) {
        let value = value.trim_ascii();
        if self.labels.len() >= self.limits.values_max {
            self.left_out.push(LeftOut { label, part: None, why: Why::NoRoom });
            return;
        }
        let shape = if strength::weakness(&label.key, value).is_none() { parts::shape(value) } else { Shape::Plain };
        let mut spellings = Vec::new();
        let mut is_document = false;
        match shape {
            Shape::Plain => {}
            Shape::Document(parts) => {
                for part in parts {
                    let part_value = part.value.trim_ascii();
                    match self.weakness(&part.name, part_value) {
                        None => spellings.extend(forms::spellings(part_value)),
                        Some(why) if part.is_named_secret() && !part_value.is_empty() => {
                            self.left_out.push(LeftOut { label: label.clone(), part: Some(part.name), why });
                        }
                        Some(_) => {}
                    }
                }
                is_document = !spellings.is_empty();
            }
            Shape::Lines(lines) => {
                let lines = lines.iter().filter(|line| self.weakness(&line.name, &line.value).is_none());
                spellings.extend(lines.flat_map(|line| forms::plain_spellings(&line.value)));
            }
        }
        if !is_document {
            match self.weakness(&label.key, value) {
                None => spellings.extend(forms::spellings(value)),
                Some(why) => self.left_out.push(LeftOut { label: label.clone(), part: None, why }),
            }
        }
        self.keep(label, spellings);
    }

    /// The index, and what is not in it.
    pub fn build(self) -> (KnownValues, Vec<LeftOut>) {
        let patterns = Patterns::new(self.spellings);
        let numbered = (0..patterns.count()).map(|number| (number, patterns.bytes(number)));
        let is_long = |(_, bytes): &(u32, &[u8])| bytes.len() >= Grams::<8, 9>::PATTERN_BYTES_MIN;
        let long = Grams::new(numbered.clone().filter(is_long));
        let short = Grams::new(numbered.filter(|pattern| !is_long(pattern)));
        let values = KnownValues { labels: self.labels, long, short, patterns, base: None, layer: 0 };
        (values, self.left_out)
    }

    fn weakness(&self, name: &str, value: &[u8]) -> Option<Why> {
        strength::weakness(name, value).or_else(|| (value.len() > self.limits.value_bytes_max).then_some(Why::TooLong))
    }

    fn keep(&mut self, label: ValueLabel, spellings: Vec<Spelling>) {
        let bytes: usize = spellings.iter().map(|spelling| spelling.len()).sum();
        // Patterns are counted, and their bytes addressed, in 32 bits.
        let bytes_max = self.limits.spellings_bytes_max.min(u32::MAX as usize / 2);
        if self.bytes + bytes > bytes_max {
            self.left_out.push(LeftOut { label, part: None, why: Why::NoRoom });
        } else if !spellings.is_empty() {
            let owner = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
            self.bytes += bytes;
            self.labels.push(label);
            self.spellings.extend(spellings.into_iter().map(|spelling| (spelling, owner)));
        }
    }
}

impl fmt::Debug for KnownValuesBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KnownValuesBuilder").field("values", &self.labels.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
