//! Bodies under seal: AES-256-GCM under the instance key, a random nonce, bound to their ticket's id.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use lockgate_core::{ApprovalId, Secret};
use zeroize::Zeroizing;

use crate::backend::SealedBody;
use crate::error::StoreError;
use crate::proof::ReviewedBody;

const KEY_BYTES: usize = 32;

/// The key under which this instance seals bodies. Who has it and the database can read held requests.
#[derive(Clone)]
pub struct InstanceKey(Secret<[u8; KEY_BYTES]>);

impl InstanceKey {
    /// A key from elsewhere (a secret store, or a test).
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Reads the key, or makes one at the first start. The file has mode 0600; one that others may read is refused, since
    /// nobody can tell who has it.
    pub fn load_or_create(path: &Path) -> Result<Self, StoreError> {
        match fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => Self::trusted(path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(StoreError::file(path, error)),
        }
    }

    fn trusted(path: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let mode = fs::metadata(path).map_err(|error| StoreError::file(path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let reason =
                "others may read this key: make it mode 0600, or remove it (held requests must then be asked anew)";
            return Err(StoreError::Key { path: path.to_owned(), reason });
        }
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| StoreError::Key {
            path: path.to_owned(),
            reason: "the instance key must be 32 bytes: restore it from a backup, or remove it (held requests must then be asked anew)",
        })?;
        Ok(Self::from_bytes(bytes))
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| StoreError::Key {
            path: path.to_owned(),
            reason: "the machine gave no randomness for a new instance key",
        })?;
        // Written beside and moved into place, so that a crash leaves no half of a key.
        let beside = path.with_extension("new");
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(
            |mut file| {
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&beside, path)?;
                sync_parent(path)
            },
        );
        written.map_err(|error| StoreError::file(path, error))?;
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn seal(&self, id: ApprovalId, body: &ReviewedBody) -> Result<SealedBody, StoreError> {
        let mut plain =
            pack(body).ok_or(StoreError::TooLarge { what: "content type", bytes_max: CONTENT_TYPE_NONE - 1 })?;
        let key = self.cipher(id)?;
        let nonce = key
            .seal_in_place_append_tag(Aad::from(id.uuid().as_bytes()), &mut plain)
            .map_err(|_| StoreError::Sealed { id })?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut plain);
        Ok(SealedBody(sealed))
    }

    pub(crate) fn open(&self, id: ApprovalId, sealed: SealedBody) -> Result<ReviewedBody, StoreError> {
        let error = || StoreError::Sealed { id };
        let mut bytes = Zeroizing::new(sealed.0);
        let (nonce, cipher) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(error)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| error())?;
        let key = self.cipher(id)?;
        let plain = key.open_in_place(nonce, Aad::from(id.uuid().as_bytes()), cipher).map_err(|_| error())?;
        unpack(plain).ok_or_else(error)
    }

    /// The mark of secret bytes: the same for the same bytes, and of no use to who guesses at them without the key.
    pub(crate) fn mark(&self, bytes: &[u8]) -> Secret<Vec<u8>> {
        // Another use of the key than sealing, so another key.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.expose()), b"lockgate mark");
        let mark = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), bytes);
        Secret::new(mark.as_ref().to_vec())
    }

    fn cipher(&self, id: ApprovalId) -> Result<RandomizedNonceKey, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.expose()).map_err(|_| StoreError::Sealed { id })
    }
}

impl std::fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstanceKey(…)")
    }
}

/// Makes a new directory entry survive a crash.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Length that says "no content type".
const CONTENT_TYPE_NONE: usize = u16::MAX as usize;

/// Two bytes of length (big-endian), the content type, the body.
fn pack(body: &ReviewedBody) -> Option<Vec<u8>> {
    let content_type = body.content_type.as_deref();
    let length = match content_type {
        Some(text) => u16::try_from(text.len()).ok().filter(|length| usize::from(*length) != CONTENT_TYPE_NONE)?,
        None => u16::MAX,
    };
    let mut plain = length.to_be_bytes().to_vec();
    plain.extend_from_slice(content_type.unwrap_or_default().as_bytes());
    plain.extend_from_slice(body.bytes.expose());
    Some(plain)
}

fn unpack(plain: &[u8]) -> Option<ReviewedBody> {
    let (length, rest) = plain.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (content_type, bytes) = match length {
        CONTENT_TYPE_NONE => (None, rest),
        length => {
            let (text, bytes) = rest.split_at_checked(length)?;
            (Some(String::from_utf8(text.to_vec()).ok()?), bytes)
        }
    };
    Some(ReviewedBody { content_type, bytes: Secret::new(bytes.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> ApprovalId {
        ApprovalId::new(uuid::Uuid::from_u128(number))
    }

    fn body(content_type: Option<&str>) -> ReviewedBody {
        ReviewedBody { content_type: content_type.map(str::to_owned), bytes: Secret::new(b"{\"spec\":1}".to_vec()) }
    }

    #[test]
    fn a_sealed_body_opens_for_its_ticket_only() {
        let key = InstanceKey::from_bytes([7; 32]);
        for content_type in [None, Some(""), Some("application/json")] {
            let sealed = key.seal(id(1), &body(content_type)).unwrap();
            let opened = key.open(id(1), sealed.clone()).unwrap();
            assert_eq!(opened.content_type.as_deref(), content_type);
            assert_eq!(opened.bytes.expose(), b"{\"spec\":1}");
            assert!(matches!(key.open(id(2), sealed.clone()), Err(StoreError::Sealed { .. })));
            assert!(InstanceKey::from_bytes([8; 32]).open(id(1), sealed).is_err());
        }
    }

    #[test]
    fn a_changed_or_short_sealed_body_does_not_open() {
        let key = InstanceKey::from_bytes([7; 32]);
        let sealed = key.seal(id(1), &body(None)).unwrap();
        for index in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[index] ^= 1;
            assert!(key.open(id(1), changed).is_err(), "byte {index}");
            assert!(key.open(id(1), SealedBody(sealed.0[..index].to_vec())).is_err(), "length {index}");
        }
    }

    #[test]
    fn two_seals_of_one_body_differ() {
        let key = InstanceKey::from_bytes([7; 32]);
        assert_ne!(key.seal(id(1), &body(None)).unwrap().0, key.seal(id(1), &body(None)).unwrap().0);
    }

    #[test]
    fn invariant_8_neither_key_nor_body_shows_in_debug() {
        let key = InstanceKey::from_bytes([7; 32]);
        assert_eq!(format!("{key:?}"), "InstanceKey(…)");
        assert_eq!(format!("{:?}", key.seal(id(1), &body(None)).unwrap()), "SealedBody(…)");
    }
}
