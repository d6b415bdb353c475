//! The architecture's rules that text can check: which crate may know which, what the pure crates may not touch, what
//! no line of the product may say. Each finding names the rule and the place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Which of our crates each crate may depend on (ARCHITECTURE.md).
const MAY_DEPEND_ON: [(&str, &[&str]); 9] = [
    ("lockgate-core", &[]),
    ("lockgate-expr", &["lockgate-core"]),
    ("lockgate-wire", &["lockgate-core"]),
    ("lockgate-policy", &["lockgate-core", "lockgate-expr"]),
    ("lockgate-auth", &["lockgate-core", "lockgate-expr"]),
    ("lockgate-store", &["lockgate-core"]),
    ("lockgate-proxy", &["lockgate-core", "lockgate-wire", "lockgate-policy", "lockgate-auth", "lockgate-store"]),
    ("lockgate-console", &["lockgate-core", "lockgate-wire", "lockgate-policy", "lockgate-auth", "lockgate-store"]),
    (
        "lockgate",
        &[
            "lockgate-core",
            "lockgate-expr",
            "lockgate-wire",
            "lockgate-policy",
            "lockgate-auth",
            "lockgate-store",
            "lockgate-proxy",
            "lockgate-console",
        ],
    ),
];

/// Crates without tokio, clock, randomness or filesystem (invariant 1).
const PURE: [&str; 4] = ["lockgate-core", "lockgate-expr", "lockgate-wire", "lockgate-policy"];

/// Dependencies that would bring IO into a pure crate.
const IMPURE_DEPENDENCIES: [&str; 8] = ["tokio", "hyper", "rand", "getrandom", "sqlx", "axum", "tokio-util", "reqwest"];

/// Paths that would bring IO into a pure crate without a dependency.
const IMPURE_PATHS: [&str; 8] =
    ["std::fs", "std::env", "std::net::Tcp", "SystemTime", "Instant::now", "std::process", "now_v7", "Timestamp::now"];

/// Where a file becomes a review stop, in lines.
const FILE_LINES_MAX: usize = 800;

/// The table of attacks, each with the tests that hold it off.
const ATTACKS: &str = "docs/threat-model.md";

/// The invariants of ARCHITECTURE.md; a test is named after each.
const INVARIANTS: std::ops::RangeInclusive<u32> = 1..=12;

pub(crate) fn run(_arguments: Arguments) -> anyhow::Result<()> {
    let findings = findings(&workspace()?)?;
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: every rule holds");
            Ok(())
        }
        count => bail!("tidy: {count} findings"),
    }
}

fn workspace() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask stands in the workspace")
}

fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = dependency_direction(root)?;
    let sources = sources(root)?;
    for (path, text) in &sources {
        findings.extend(in_file(path, text));
    }
    let all: String = sources.values().map(String::as_str).collect();
    findings.extend(
        INVARIANTS.filter(|number| !all.contains(&format!("fn invariant_{number}_"))).map(|number| {
            format!("invariant {number} of ARCHITECTURE.md has no test: name one `invariant_{number}_…`")
        }),
    );
    let attacks = std::fs::read_to_string(root.join(ATTACKS)).with_context(|| format!("cannot read {ATTACKS}"))?;
    findings.extend(tests_of_attacks(&attacks, &all));
    Ok(findings)
}

/// Every test that the table of attacks names is one.
fn tests_of_attacks(document: &str, sources: &str) -> Vec<String> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.contains("`bypass_row_"));
    let last_cells = rows.filter_map(|row| row.trim_end().trim_end_matches('|').rsplit('|').next());
    let named: BTreeSet<&str> = last_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let exists = |name: &str| sources.contains(&format!("fn {name}("));
    let missing = named.iter().filter(|name| !exists(name));
    let mut findings: Vec<String> =
        missing.map(|name| format!("{ATTACKS} names a test `{name}` that is none")).collect();
    if named.is_empty() {
        findings.push(format!("{ATTACKS} has lost its table of attacks and their tests"));
    }
    findings
}

/// From `cargo metadata`: our own direction, and nothing impure in the pure crates.
fn dependency_direction(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cargo metadata cannot run")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name) else { continue };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        // Tests may look at everything; the product may not.
        for dependency in dependencies.filter(|dependency| dependency["kind"].is_null()) {
            let dependency = dependency["name"].as_str().unwrap_or_default();
            let ours = dependency.starts_with("lockgate") || dependency == "testkit";
            if ours && !allowed.contains(&dependency) {
                findings.push(format!("{name} must not depend on {dependency} (ARCHITECTURE.md, the table of crates)"));
            }
            if PURE.contains(&name) && IMPURE_DEPENDENCIES.contains(&dependency) {
                findings.push(format!("{name} must not depend on {dependency} (invariant 1: pure crates do no IO)"));
            }
        }
    }
    Ok(findings)
}

/// Every Rust file of the product and of what stands beside it.
fn sources(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "testkit", "e2e", "xtask"].iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)?;
                sources.insert(path.strip_prefix(root)?.to_path_buf(), text);
            }
        }
    }
    Ok(sources)
}

/// The rules for one file. Test modules end the part of a file that is product.
fn in_file(path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if text.lines().count() > FILE_LINES_MAX {
        findings.push(format!("{}: over {FILE_LINES_MAX} lines; split it by what it owns", path.display()));
    }
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    let (Some("crates"), Some(krate)) = (parts.next().as_deref(), parts.next()) else { return findings };
    if parts.next().as_deref() != Some("src") || path.ends_with("tests.rs") {
        return findings;
    }
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    for (at, line) in product.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        findings.extend(in_line(&krate, code).map(|rule| format!("{}:{}: {rule}", path.display(), at + 1)));
    }
    findings
}

fn in_line(krate: &str, code: &str) -> Option<String> {
    if PURE.contains(&krate)
        && let Some(found) = IMPURE_PATHS.iter().find(|path| code.contains(*path))
    {
        return Some(format!("{found} in a pure crate (invariant 1)"));
    }
    if krate != "lockgate-store" && code.contains("sqlx") {
        return Some("SQL stands in lockgate-store only".into());
    }
    if code.contains("let _ =") {
        return Some("`let _ =` swallows a result; handle it (style rule 12)".into());
    }
    if code.contains("tokio::spawn(") {
        return Some("bare tokio::spawn; use a TaskTracker so that shutdown waits for it (style rule 14)".into());
    }
    if code.contains("danger_accept_invalid") || code.contains("insecure_skip_tls_verify: true") {
        return Some("certificates are always verified".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_a_pure_crate_is_found() {
        let found = in_file(Path::new("crates/lockgate-wire/src/x.rs"), "fn f() { std::time::SystemTime::now(); }\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("crates/lockgate-wire/src/x.rs:1") && found[0].contains("invariant 1"));
    }

    #[test]
    fn a_swallowed_result_is_found_but_not_in_tests() {
        let text = "fn f() { let _ = g(); }\n#[cfg(test)]\nmod tests { fn t() { let _ = g(); } }\n";
        assert_eq!(in_file(Path::new("crates/lockgate-store/src/x.rs"), text).len(), 1);
    }

    #[test]
    fn a_test_that_the_table_of_attacks_names_must_exist() {
        let row = |tests: &str| format!("# Rows\n\n| 1 | with `code` in it | refused | {tests} |\n");
        let found = |tests: &str| tests_of_attacks(&row(tests), "async fn bypass_row_1_a() {}\nfn c12_b() {}");
        assert!(found("`bypass_row_1_a`, `c12_b`").is_empty());
        let missing = found("`bypass_row_1_a`, `bypass_row_1_gone`");
        assert!(missing.len() == 1 && missing[0].contains("`bypass_row_1_gone`"), "{missing:?}");
        assert_eq!(tests_of_attacks("no table", "").len(), 1);
    }

    #[test]
    fn invariant_1_pure_crates_depend_on_nothing_that_does_io() {
        let findings = dependency_direction(&workspace().unwrap()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}
