//! A gateway that needs no cluster: the real binary between a test's own API server and a test's own identity provider,
//! all on loopback, each over TLS. For what a real cluster cannot be made to do: 300 MB lists, a thousand watches, stalls.

mod client;
mod gateway;
mod issuer;
mod server;

use std::path::{Path, PathBuf};

pub use self::client::{Client, Connection, Protocol};
pub use self::gateway::{Gateway, Settings};
pub use self::issuer::Issuer;
pub use self::server::{Body, Server, chunks, whole};

/// The name of the cluster behind a standalone gateway.
pub const CLUSTER: &str = "shop";

/// One self-signed certificate for 127.0.0.1 that every server of a test shows, and that every client trusts.
pub struct Certificate {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
}

impl Certificate {
    /// A new one.
    ///
    /// # Panics
    /// If none can be made.
    pub fn new() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}

/// A directory that goes with the value, unless a test failed in it.
pub struct Directory(PathBuf);

impl Directory {
    /// A new, empty one.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; 6];
        aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
        let word: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("lockgate-{name}-{word}"));
        std::fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the test left is in {}", self.0.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}
