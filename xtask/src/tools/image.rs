//! Container images without an engine: a docker archive of one or more layers, written from bytes in memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

/// One file of a layer; directories come by themselves.
pub(crate) enum Entry<'a> {
    /// An executable, mode 0755. `path` has no leading slash.
    Program { path: &'a str, bytes: Vec<u8> },
    /// A symbolic link.
    Link { path: String, target: &'a str },
}

pub(crate) struct Image<'a> {
    pub(crate) reference: &'a str,
    pub(crate) entrypoint: &'a [&'a str],
    pub(crate) command: &'a [&'a str],
    /// Laid over a small base of directories and `/etc/passwd`.
    pub(crate) layers: &'a [&'a [Entry<'a>]],
}

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\nnobody:x:65534:\n";
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TAR_BLOCK_BYTES: usize = 512;

/// Writes `image` as an archive for `ctr images import`.
pub(crate) fn write(archive: &Path, image: &Image<'_>) -> Result<()> {
    let mut layers = vec![base_layer()?];
    for entries in image.layers {
        layers.push(layer(entries)?);
    }
    let digests: Vec<String> = layers.iter().map(|bytes| sha256(bytes)).collect();
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": image.entrypoint, "Cmd": image.command, "Env": [SEARCH_PATH]},
        "rootfs": {"type": "layers", "diff_ids": digests.iter().map(|digest| format!("sha256:{digest}")).collect::<Vec<_>>()},
        "history": digests.iter().map(|_| json!({"created_by": "lockgate xtask"})).collect::<Vec<_>>(),
    });
    let config = serde_json::to_vec(&config)?;
    let config_name = format!("{}.json", sha256(&config));
    let layer_names: Vec<String> = digests.iter().map(|digest| format!("{digest}/layer.tar")).collect();
    let manifest = json!([{"Config": config_name, "RepoTags": [image.reference], "Layers": layer_names}]);

    let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = Tar::new(BufWriter::new(file));
    tar.file(&config_name, 0o644, &config)?;
    for (name, bytes) in layer_names.iter().zip(&layers) {
        tar.file(name, 0o644, bytes)?;
    }
    tar.file("manifest.json", 0o644, &serde_json::to_vec(&manifest)?)?;
    tar.finish()
}

/// Lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Go's name for this machine's architecture, which images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn base_layer() -> Result<Vec<u8>> {
    let mut tar = Tar::new(Vec::new());
    for directory in ["bin", "dev", "etc", "proc", "root", "sys", "usr", "usr/bin", "var", "var/log"] {
        tar.directory(directory, 0o755)?;
    }
    tar.directory("tmp", 0o1777)?;
    tar.file("etc/passwd", 0o644, PASSWD)?;
    tar.file("etc/group", 0o644, GROUP)?;
    tar.finish_with_bytes()
}

fn layer(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut tar = Tar::new(Vec::new());
    let mut seen = BTreeSet::new();
    for entry in entries {
        let path: &str = match entry {
            Entry::Program { path, .. } => path,
            Entry::Link { path, .. } => path,
        };
        if let Some((directory, _)) = path.rsplit_once('/')
            && seen.insert(directory.to_owned())
        {
            tar.directory(directory, 0o755)?;
        }
        match entry {
            Entry::Program { path, bytes } => tar.file(path, 0o755, bytes)?,
            Entry::Link { path, target } => tar.link(path, target)?,
        }
    }
    tar.finish_with_bytes()
}

/// A writer of plain ustar: names up to 100 bytes, no owners, no times, so that equal input gives equal bytes.
struct Tar<W> {
    sink: W,
}

impl<W: Write> Tar<W> {
    fn new(sink: W) -> Self {
        Self { sink }
    }

    fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.header(&format!("{path}/"), mode, b'5', 0, "")
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.header(path, 0o777, b'2', 0, target)
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.header(path, mode, b'0', bytes.len(), "")?;
        self.sink.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(TAR_BLOCK_BYTES) - bytes.len();
        Ok(self.sink.write_all(&[0; TAR_BLOCK_BYTES].as_slice()[..padding])?)
    }

    fn header(&mut self, path: &str, mode: u32, kind: u8, size: usize, target: &str) -> Result<()> {
        if path.len() > 100 || target.len() > 100 {
            bail!("{path}: a name in an image is at most 100 bytes");
        }
        let mut header = Vec::with_capacity(TAR_BLOCK_BYTES);
        let mut field = |text: &[u8], width: usize| {
            header.extend_from_slice(text);
            header.resize(header.len() + width - text.len(), 0);
        };
        field(path.as_bytes(), 100);
        field(format!("{mode:07o}").as_bytes(), 8);
        field(b"0000000", 8); // user
        field(b"0000000", 8); // group
        field(format!("{size:011o}").as_bytes(), 12);
        field(b"00000000000", 12); // time
        field(b"        ", 8); // the checksum counts as blanks while it is summed
        field(&[kind], 1);
        field(target.as_bytes(), 100);
        field(b"ustar\x0000", 8);
        field(b"", TAR_BLOCK_BYTES - 265);
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header.splice(148..156, format!("{sum:06o}\0 ").into_bytes());
        Ok(self.sink.write_all(&header)?)
    }

    fn finish(mut self) -> Result<()> {
        self.sink.write_all(&[0; 2 * TAR_BLOCK_BYTES])?;
        Ok(self.sink.flush()?)
    }
}

impl Tar<Vec<u8>> {
    fn finish_with_bytes(mut self) -> Result<Vec<u8>> {
        self.sink.extend_from_slice(&[0; 2 * TAR_BLOCK_BYTES]);
        Ok(self.sink)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn tar(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("tar").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Judged by the system's tar, not by our own reader.
    #[test]
    fn an_archive_holds_what_containerd_looks_for() {
        let archive = std::env::temp_dir().join(format!("lockgate-image-{}.tar", std::process::id()));
        let path = archive.to_str().unwrap();
        let entries = [
            Entry::Program { path: "bin/busybox", bytes: vec![7; 1_000] },
            Entry::Link { path: "bin/sh".to_owned(), target: "/bin/busybox" },
        ];
        let image =
            Image { reference: "registry.example/shell:1", entrypoint: &[], command: &["sh"], layers: &[&entries] };
        write(&archive, &image).unwrap();

        let manifest: serde_json::Value = serde_json::from_slice(&tar(&["-xOf", path, "manifest.json"])).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "registry.example/shell:1");
        let config_name = manifest[0]["Config"].as_str().unwrap();
        let config_bytes = tar(&["-xOf", path, config_name]);
        assert_eq!(config_name, format!("{}.json", sha256(&config_bytes)));
        let config: serde_json::Value = serde_json::from_slice(&config_bytes).unwrap();
        for (index, layer_name) in manifest[0]["Layers"].as_array().unwrap().iter().enumerate() {
            let layer = tar(&["-xOf", path, layer_name.as_str().unwrap()]);
            assert_eq!(config["rootfs"]["diff_ids"][index], format!("sha256:{}", sha256(&layer)));
        }
        std::fs::remove_file(archive).unwrap();
    }

    #[test]
    fn a_layer_has_directories_modes_and_links() {
        let file = std::env::temp_dir().join(format!("lockgate-layer-{}.tar", std::process::id()));
        let entries = [
            Entry::Program { path: "bin/busybox", bytes: vec![7; 513] },
            Entry::Link { path: "bin/sh".to_owned(), target: "/bin/busybox" },
        ];
        std::fs::write(&file, layer(&entries).unwrap()).unwrap();
        let listing = String::from_utf8(tar(&["--numeric-owner", "-tvf", file.to_str().unwrap()])).unwrap();
        let lines: Vec<&str> = listing.lines().collect();
        assert!(lines[0].starts_with("drwxr-xr-x 0/0") && lines[0].ends_with("bin/"), "{listing}");
        assert!(lines[1].starts_with("-rwxr-xr-x 0/0") && lines[1].contains(" 513 "), "{listing}");
        assert!(lines[2].starts_with("lrwxrwxrwx") && lines[2].ends_with("bin/sh -> /bin/busybox"), "{listing}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn long_names_are_refused_not_cut() {
        assert!(layer(&[Entry::Link { path: "a".repeat(101), target: "/x" }]).is_err());
    }
}
