//! Walks over a subtree by counting brackets outside of strings, 64 bytes at a time.
//!
//! Each block becomes four bitmaps (quotes, backslashes, opening and closing brackets; bit n for byte n). Escapes
//! follow from adding the backslash runs with carry, insides of strings from the parity of the quotes before. Three
//! words go from one block to the next, so a block may end anywhere. The last, short block is padded with spaces, which
//! mean nothing in any place.
//! (Geoff Langdale and Daniel Lemire, "Parsing Gigabytes of JSON per Second", sections 3.1.1 and 3.1.2.)

use wide::u8x64;

/// Where the walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skip {
    depth: u32,
    depth_max: u32,
    in_string: bool,
    escaped: bool,
}

/// Whether a walk stops at some strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stops {
    Nowhere,
    /// At the opening quote of every string that may begin with a `v`, plain or escaped.
    AtV,
}

/// How far a walk came in the bytes it was given; offsets are counted from their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// The subtree goes on behind them.
    Inside,
    /// It ended; this is the offset behind its closing bracket.
    End(usize),
    /// At the opening quote of a string as [`Stops`] names them. The walk goes on behind the string.
    Quote(usize),
}

/// The subtree nests deeper than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooDeep;

const BLOCK_BYTES: usize = 64;

impl Skip {
    /// Just behind the subtree's opening bracket, which may nest to `depth_max`, itself counted.
    pub(super) const fn new(depth_max: u32) -> Self {
        Self { depth: 1, depth_max, in_string: false, escaped: false }
    }

    /// Walks on to the subtree's end.
    pub(super) fn walk(&mut self, bytes: &[u8], stops: Stops) -> Result<Walk, TooDeep> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        let mut base = 0;
        for block in blocks {
            match self.block(block, BLOCK_BYTES, stops)? {
                Walk::Inside => base += BLOCK_BYTES,
                Walk::End(at) => return Ok(Walk::End(base + at)),
                Walk::Quote(at) => return Ok(Walk::Quote(base + at)),
            }
        }
        if rest.is_empty() {
            return Ok(Walk::Inside);
        }
        let mut block = [b' '; BLOCK_BYTES];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(match self.block(&block, rest.len(), stops)? {
            Walk::Inside => Walk::Inside,
            Walk::End(at) => Walk::End(base + at),
            Walk::Quote(at) => Walk::Quote(base + at),
        })
    }

    /// One block, of which `length` bytes are text.
    fn block(&mut self, block: &[u8; BLOCK_BYTES], length: usize, stops: Stops) -> Result<Walk, TooDeep> {
        let bytes = u8x64::from(*block);
        let backslash = equal(bytes, b'\\');
        let folded = bytes | u8x64::splat(0x20);
        let (escaped, escapes_next) = escaped(backslash, self.escaped, length);
        let quote = equal(bytes, b'"') & !escaped;
        // From each opening quote up to, but not with, its closing quote.
        let string = parity(quote) ^ if self.in_string { u64::MAX } else { 0 };
        let open = equal(folded, b'{') & !string;
        let close = equal(folded, b'}') & !string;
        let mut seen = u64::MAX;
        let mut stop = None;
        if stops == Stops::AtV {
            let opening = quote & string;
            let v = equal(bytes, b'v') | backslash;
            // The byte behind the block's last is not known.
            let suspect = opening & ((v >> 1) | (1 << (length - 1)));
            if suspect != 0 {
                let at = suspect.trailing_zeros();
                seen = below(at);
                stop = Some(at as usize);
            }
        }
        if let Some(end) = self.count(open & seen, close & seen)? {
            return Ok(Walk::End(end));
        }
        if let Some(at) = stop {
            (self.in_string, self.escaped) = (false, false);
            return Ok(Walk::Quote(at));
        }
        (self.in_string, self.escaped) = (string >> 63 == 1, escapes_next);
        Ok(Walk::Inside)
    }

    /// Counts one block's brackets; the offset behind the one that ends the subtree, if it is here.
    fn count(&mut self, open: u64, close: u64) -> Result<Option<usize>, TooDeep> {
        let (opens, closes) = (open.count_ones(), close.count_ones());
        if self.depth + opens > self.depth_max {
            return self.count_each(open, close);
        }
        if closes >= self.depth {
            let mut rest = close;
            let mut closed = 0;
            while rest != 0 {
                let at = rest.trailing_zeros();
                closed += 1;
                if self.depth + (open & below(at)).count_ones() == closed {
                    return Ok(Some(at as usize + 1));
                }
                rest &= rest - 1;
            }
        }
        self.depth = self.depth + opens - closes;
        Ok(None)
    }

    /// The same one by one, where the limit may be reached.
    fn count_each(&mut self, open: u64, close: u64) -> Result<Option<usize>, TooDeep> {
        let mut rest = open | close;
        while rest != 0 {
            let at = rest.trailing_zeros();
            if open >> at & 1 == 1 {
                if self.depth >= self.depth_max {
                    return Err(TooDeep);
                }
                self.depth += 1;
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Ok(Some(at as usize + 1));
                }
            }
            rest &= rest - 1;
        }
        Ok(None)
    }
}

/// A bit for every byte that equals `byte`.
#[inline]
fn equal(bytes: u8x64, byte: u8) -> u64 {
    bytes.simd_eq(u8x64::splat(byte)).to_bitmask()
}

/// The bits below `at`.
const fn below(at: u32) -> u64 {
    (1_u64 << at) - 1
}

/// Which bytes are escaped by a backslash before them, and whether the byte at `length` is.
fn escaped(backslash: u64, carried: bool, length: usize) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carried = u64::from(carried);
    let backslash = backslash & !carried;
    if backslash == 0 {
        return (carried, false);
    }
    let follows = backslash << 1 | carried;
    let odd_starts = backslash & !EVEN & !follows;
    let (even_runs, overflow) = odd_starts.overflowing_add(backslash);
    let escaped = (EVEN ^ (even_runs << 1)) & follows;
    let next = if length == BLOCK_BYTES { overflow } else { escaped >> length & 1 == 1 };
    (escaped, next)
}

/// Bit n says whether the number of bits up to n is odd.
const fn parity(bits: u64) -> u64 {
    let mut bits = bits;
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// The same, byte by byte.
    fn simple(bytes: &[u8], depth_max: u32) -> Result<Walk, TooDeep> {
        let (mut depth, mut in_string, mut escaped) = (1, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' if !escaped => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' if depth == depth_max => return Err(TooDeep),
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 1 => return Ok(Walk::End(at + 1)),
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            // A backslash outside of strings is no JSON; both only have to agree on it.
            escaped = *byte == b'\\' && !escaped;
        }
        Ok(Walk::Inside)
    }

    fn in_pieces(bytes: &[u8], size: usize, depth_max: u32) -> Result<Walk, TooDeep> {
        let mut skip = Skip::new(depth_max);
        for (index, piece) in bytes.chunks(size).enumerate() {
            match skip.walk(piece, Stops::Nowhere)? {
                Walk::Inside => {}
                Walk::End(at) => return Ok(Walk::End(index * size + at)),
                Walk::Quote(at) => return Ok(Walk::Quote(index * size + at)),
            }
        }
        Ok(Walk::Inside)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn blocks_agree_with_bytes(
            bytes in vec(prop_oneof![8 => select(br#"{}[]"\\\\{{[[ a"#.to_vec()), 1 => any::<u8>()], 0..300),
            size in 1_usize..200,
            depth_max in prop_oneof![1_u32..12, Just(1000)],
        ) {
            prop_assert_eq!(in_pieces(&bytes, size, depth_max), simple(&bytes, depth_max));
        }

        #[test]
        fn every_string_that_may_begin_with_v_stops_the_walk(
            parts in vec(select(vec!["{", "}", "[", "]", r#""v:1""#, r#""\u0076""#, r#""a\"v""#, r#""""#, r#""\\""#, "  ", ","]), 0..60),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let (mut skip, mut at, mut stops) = (Skip::new(1000), 0, Vec::new());
            let end = loop {
                match skip.walk(&bytes[at..], Stops::AtV).unwrap() {
                    Walk::Inside => break Walk::Inside,
                    Walk::End(end) => break Walk::End(at + end),
                    Walk::Quote(quote) => {
                        stops.push(at + quote);
                        at += quote + 1;
                        at += super::super::text::close(&mut false, &bytes[at..]).unwrap() + 1;
                    }
                }
            };
            prop_assert_eq!(Ok(end), simple(bytes, 1000));
            let length = if let Walk::End(end) = end { end } else { bytes.len() };
            let mut expected = Vec::new();
            let mut offset = 0;
            for part in parts {
                if offset < length && (part.starts_with("\"v") || part.starts_with("\"\\")) {
                    expected.push(offset);
                }
                offset += part.len();
            }
            prop_assert!(expected.iter().all(|quote| stops.contains(quote)), "{:?} in {:?}", expected, stops);
        }
    }
}
