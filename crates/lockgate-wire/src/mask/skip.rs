//! Walks over a subtree in which nothing is looked for, by counting brackets outside of strings.

use super::text;

/// Where the walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip {
    depth: u32,
    depth_max: u32,
    in_string: bool,
    escaped: bool,
    /// Behind the colon that follows a member's name.
    behind_colon: bool,
}

/// Where a walk from string to string stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the quote that opens a string; a member's value, or a name or an element.
    String {
        /// Where.
        at: usize,
        /// Whether it is a member's value.
        is_value: bool,
    },
    /// Just behind the colon that follows a member's name.
    Colon(usize),
    /// Just behind the subtree's closing bracket.
    End(usize),
    /// Neither is in these bytes.
    More,
}

/// The subtree nests deeper than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

impl Skip {
    /// Just behind the subtree's opening bracket, which may nest to `depth_max`, itself counted.
    pub(crate) const fn new(depth_max: u32) -> Self {
        Self { depth: 1, depth_max, in_string: false, escaped: false, behind_colon: false }
    }

    /// The offset just behind the subtree's closing bracket, or `None` when it is not in `bytes`.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, TooDeep> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.in_string {
                let Some(close) = text::close(&mut self.escaped, rest) else { return Ok(None) };
                self.in_string = false;
                at += close + 1;
                continue;
            }
            for &byte in rest {
                at += 1;
                match byte {
                    b'"' => {
                        self.in_string = true;
                        break;
                    }
                    b'{' | b'[' if self.depth >= self.depth_max => return Err(TooDeep),
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth == 1 => return Ok(Some(at)),
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// As [`Self::end`], from outside of strings to the next one, or to the colon behind one.
    pub(crate) fn next_string(&mut self, bytes: &[u8]) -> Result<Stop, TooDeep> {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    let is_value = std::mem::take(&mut self.behind_colon);
                    return Ok(Stop::String { at, is_value });
                }
                b':' => {
                    self.behind_colon = true;
                    return Ok(Stop::Colon(at + 1));
                }
                b'{' | b'[' if self.depth >= self.depth_max => return Err(TooDeep),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.behind_colon = false;
                }
                b',' => self.behind_colon = false,
                b'}' | b']' if self.depth == 1 => return Ok(Stop::End(at + 1)),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        Ok(Stop::More)
    }
}
