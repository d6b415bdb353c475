//! Helm's releases: packed into one value of a Secret or ConfigMap, masked inside, packed again, so that helm can read
//! them.
//!
//! `data.release` of a Secret is base64 (the API's) of base64 (Helm's) of gzip of JSON; in a ConfigMap it is base64 of
//! gzip of JSON. Which parts of that JSON are masked is said in [`super::path`]; the manifests in it are read by
//! [`super::manifest`]. What cannot be read, or is larger than a limit, is masked whole. The same release is packed
//! into the same bytes every time.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use thiserror::Error;

use super::machine::{Context, Masker};
use super::plan::MaskPlan;
use super::profile::Profile;
use super::rewrite::Rewrite;
use super::{MaskLimits, text};

/// Most bytes of a release that is unpacked. (A Secret holds 1 MiB; charts pack to a tenth.)
pub const RELEASE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest text in a release that is withheld until it is whole: a manifest.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

const CHUNK_BYTES: usize = 32 * 1024;

/// How a release is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As `data.release` of a Secret.
    InSecret,
    /// As `data.release` of a ConfigMap.
    InConfigMap,
}

/// Why a value is no release that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReleaseError {
    /// It is not base64 of gzip.
    #[error("the value is not a packed Helm release")]
    NotPacked,
    /// It unpacks to too much.
    #[error("the Helm release unpacks to more than {RELEASE_BYTES_MAX} bytes")]
    TooLarge,
}

/// How `value` is stored, if it may be a release: told by how base64 of gzip begins.
pub fn stored_as(value: &str) -> Option<Stored> {
    if value.starts_with("SDRzS") {
        Some(Stored::InSecret)
    } else {
        value.starts_with("H4sI").then_some(Stored::InConfigMap)
    }
}

/// The JSON of the release that is stored as `value`.
///
/// # Errors
/// When it is none, or unpacks to more than [`RELEASE_BYTES_MAX`].
pub fn unpack(value: &str, stored: Stored) -> Result<Vec<u8>, ReleaseError> {
    unpack_at_most(value, stored, RELEASE_BYTES_MAX)
}

/// As [`unpack`], with a limit of the caller's own.
pub(super) fn unpack_at_most(value: &str, stored: Stored, bytes_max: u64) -> Result<Vec<u8>, ReleaseError> {
    let mut json = Vec::new();
    unpack_pieces(value.as_bytes(), stored, bytes_max, |piece| {
        json.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(json)
}

/// The value as which a release of this JSON is stored.
///
/// # Errors
/// None in practice: memory is written to.
pub fn pack(json: &[u8], stored: Stored) -> std::io::Result<String> {
    let mut packer = packer();
    packer.write_all(json)?;
    Ok(armoured(&packer.finish()?, stored))
}

/// Masks the release whose literal this is.
pub(super) fn rewrite(literal: &[u8], stored: Stored, profile: Profile, context: &Context) -> Rewrite {
    match masked(literal, stored, profile, context) {
        Ok(rewrite) => rewrite,
        Err(_) => Rewrite::Mask,
    }
}

fn masked(literal: &[u8], stored: Stored, profile: Profile, context: &Context) -> Result<Rewrite, ReleaseError> {
    let decoded = if literal.contains(&b'\\') { text::decode(literal) } else { None };
    let value = decoded.as_ref().map_or(literal, |text| text.as_bytes());
    let limits = MaskLimits { annotation_bytes_max: TEXT_BYTES_MAX, ..context.limits };
    let context = Context { limits, nesting: context.nesting + 1, ..context.clone() };
    let mut masker = Masker::within(MaskPlan::for_release(profile), context);
    let mut packer = packer();
    let mut output = Vec::new();
    unpack_pieces(value, stored, RELEASE_BYTES_MAX, |piece| {
        output.clear();
        masker.push(piece, &mut output).map_err(|_| ReleaseError::NotPacked)?;
        packer.write_all(&output).map_err(|_| ReleaseError::NotPacked)
    })?;
    output.clear();
    let summary = masker.finish(&mut output).map_err(|_| ReleaseError::NotPacked)?;
    if summary.masked == 0 {
        return Ok(Rewrite::Keep);
    }
    let packed = packer.finish().map_err(|_| ReleaseError::NotPacked)?;
    Ok(Rewrite::counted(&armoured(&packed, stored), masker.into_counts()))
}

/// Unpacks a release and gives its JSON to `act` piece by piece.
fn unpack_pieces(
    value: &[u8],
    stored: Stored,
    bytes_max: u64,
    mut act: impl FnMut(&[u8]) -> Result<(), ReleaseError>,
) -> Result<(), ReleaseError> {
    const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];
    let plain = |bytes: &[u8]| STANDARD.decode(bytes).map_err(|_| ReleaseError::NotPacked);
    let packed = match stored {
        Stored::InSecret => plain(&plain(value)?)?,
        Stored::InConfigMap => plain(value)?,
    };
    if !packed.starts_with(&GZIP) {
        return Err(ReleaseError::NotPacked);
    }
    // As Go reads it: several members one behind the other are one text.
    let mut unpacker = MultiGzDecoder::new(packed.as_slice()).take(bytes_max + 1);
    let mut piece = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        let length = unpacker.read(&mut piece).map_err(|_| ReleaseError::NotPacked)?;
        total += length as u64;
        if total > bytes_max {
            return Err(ReleaseError::TooLarge);
        }
        match piece.get(..length) {
            Some([]) | None => return Ok(()),
            Some(bytes) => act(bytes)?,
        }
    }
}

fn packer() -> GzEncoder<Vec<u8>> {
    // No time, no name, no operating system: nothing but the text decides the bytes.
    GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6))
}

fn armoured(packed: &[u8], stored: Stored) -> String {
    let text = STANDARD.encode(packed);
    match stored {
        Stored::InSecret => STANDARD.encode(text),
        Stored::InConfigMap => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for stored in [Stored::InSecret, Stored::InConfigMap] {
            let packed = pack(b"{\"name\":\"a\"}", stored).unwrap();
            assert_eq!(pack(b"{\"name\":\"a\"}", stored).unwrap(), packed, "the same bytes every time");
            assert_eq!(unpack(&packed, stored).unwrap(), b"{\"name\":\"a\"}");
            assert_eq!(stored_as(&packed), Some(stored));
        }
        assert_eq!(unpack("aGk=", Stored::InConfigMap), Err(ReleaseError::NotPacked));
        assert_eq!(unpack("not base64", Stored::InSecret), Err(ReleaseError::NotPacked));
        let cut = pack(&[b'x'; 1000], Stored::InConfigMap).unwrap();
        assert_eq!(unpack(cut.get(..cut.len() - 8).unwrap(), Stored::InConfigMap), Err(ReleaseError::NotPacked));
    }

    #[test]
    fn members_behind_one_another_are_one_text() {
        let mut bytes = Vec::new();
        for part in [&b"{\"a\""[..], b":1}"] {
            let mut packer = packer();
            packer.write_all(part).unwrap();
            bytes.extend_from_slice(&packer.finish().unwrap());
        }
        assert_eq!(unpack(&STANDARD.encode(bytes), Stored::InConfigMap).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let packed = pack(&vec![b' '; 1024 * 1024], Stored::InConfigMap).unwrap();
        for (bytes_max, expected) in [
            (1024 * 1024, Ok(())),
            (1024 * 1024 - 1, Err(ReleaseError::TooLarge)),
            (100_000, Err(ReleaseError::TooLarge)),
        ] {
            let mut seen = 0;
            let result = unpack_pieces(packed.as_bytes(), Stored::InConfigMap, bytes_max, |piece| {
                seen += piece.len() as u64;
                Ok(())
            });
            assert_eq!(result, expected);
            assert!(seen <= bytes_max);
        }
    }
}
