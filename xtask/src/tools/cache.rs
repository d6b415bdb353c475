//! The cache outside the clone: an entry is a directory that appears whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$LOCKGATE_CACHE`, else `~/.cache/lockgate`. Made if missing.
pub(crate) fn directory() -> Result<PathBuf> {
    let directory = match std::env::var_os("LOCKGATE_CACHE") {
        Some(cache) => std::path::absolute(PathBuf::from(cache))?,
        None => {
            let home =
                std::env::var_os("HOME").context("HOME is not set: set LOCKGATE_CACHE to a directory for the cache")?;
            PathBuf::from(home).join(".cache/lockgate")
        }
    };
    fs::create_dir_all(&directory).with_context(|| format!("cannot make the cache {}", directory.display()))?;
    Ok(directory)
}

/// The cache entry `key` (`name-version`); `make` fills an empty directory when there is none yet.
///
/// Concurrent callers, in this process or another, wait for the first. A killed or failed `make` leaves nothing that looks whole.
pub(crate) fn once(key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    once_in(&directory()?, key, make)
}

fn once_in(cache: &Path, key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let entry = cache.join(key);
    if entry.is_dir() {
        return Ok(entry);
    }
    let _lock = lock(&cache.join(format!("{key}.lock")), key)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let part = cache.join(format!("{key}.part"));
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot clear {} of an earlier run", part.display()))?;
    }
    fs::create_dir_all(&part)?;
    make(&part)?;
    fs::rename(&part, &entry)?;
    Ok(entry)
}

/// Holds `path` exclusively until dropped; says so when another process has it.
pub(crate) fn lock(path: &Path, what: &str) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("· waiting for another process that works on {what} ({})", path.display());
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("lockgate-cache-{name}-{}", std::process::id()));
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn concurrent_builders_make_an_entry_once() {
        let cache = scratch("once");
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let entry = once_in(&cache, "thing-v1", |part| {
                        made.fetch_add(1, Ordering::SeqCst);
                        Ok(fs::write(part.join("program"), "x")?)
                    });
                    assert!(entry.unwrap().join("program").is_file());
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_failed_build_leaves_no_entry_and_the_next_starts_clean() {
        let cache = scratch("failed");
        let failed = once_in(&cache, "thing-v1", |part| {
            fs::write(part.join("half"), "x")?;
            anyhow::bail!("compiler says no")
        });
        assert!(failed.is_err());
        let entry = once_in(&cache, "thing-v1", |part| {
            assert!(!part.join("half").exists());
            Ok(())
        });
        assert!(entry.unwrap().is_dir());
        fs::remove_dir_all(cache).unwrap();
    }
}
