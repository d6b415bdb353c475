//! The table of Kubernetes protobuf types in lockgate-wire, by reflection over the Go types (`xtask/protobuf`), and the check
//! that reading by it gives what the API server's own serializers give.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_wire::protobuf::Protobuf;
use serde_json::Value;

use crate::tools::{self, GoBuild, Progress};

mod damage;

/// Kinds in the committed corpus: those that clients send as protobuf most, and those with unusual types.
const CORPUS_KINDS: &str = "v1/DeleteOptions,policy/v1/Eviction,authentication.k8s.io/v1/TokenRequest,autoscaling/v1/Scale,\
authorization.k8s.io/v1/SelfSubjectAccessReview,authorization.k8s.io/v1/SelfSubjectRulesReview,authentication.k8s.io/v1/SelfSubjectReview,\
v1/Secret,v1/ConfigMap,rbac.authorization.k8s.io/v1/ClusterRoleBinding,rbac.authorization.k8s.io/v1/ClusterRole,\
apiregistration.k8s.io/v1/APIService,policy/v1/PodDisruptionBudget,coordination.k8s.io/v1/Lease,v1/Event,v1/ResourceQuota,\
apiextensions.k8s.io/v1/CustomResourceDefinition,v1/Pod,apps/v1/Deployment,v1/Service,networking.k8s.io/v1/Ingress,batch/v1/Job,\
autoscaling/v2/HorizontalPodAutoscaler,v1/Node,resource.k8s.io/v1/ResourceClaim,admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy,\
v1/List,apps/v1/ControllerRevision,certificates.k8s.io/v1/CertificateSigningRequest,v1/Namespace,discovery.k8s.io/v1/EndpointSlice,\
metrics.k8s.io/v1beta1/PodMetrics,authentication.k8s.io/v1/TokenReview,v1/ServiceAccount";

/// Random objects for each kind: in the corpus, and in the check of all kinds.
const CORPUS_OBJECTS: &str = "3";
const CHECK_OBJECTS: &str = "6";

/// Fixtures of kinds that no request to an API server carries: webhook reviews, discovery, watch events.
const NEVER_REQUESTED: [&str; 4] =
    ["admission.k8s.io.", "apidiscovery.k8s.io.", "imagepolicy.k8s.io.", "core.v1.WatchEvent."];

/// Faults that an error shows.
const FAULTS_SHOWN_MAX: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing: fail if the committed table is not what would be written, and read random objects of every kind
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let generator = build()?;
    let objects = module().join("twins.yaml");
    let committed = [
        ("src/protobuf/table.txt", generate(&generator, ["table"])?),
        ("corpus/protobuf.tsv", generate(&generator, ["fixtures", CORPUS_OBJECTS, CORPUS_KINDS])?),
        ("corpus/twins.tsv", generate(&generator, [OsStr::new("twins"), objects.as_os_str()])?),
    ];
    for (path, text) in committed {
        let path = wire_crate().join(path);
        if arguments.check {
            let committed = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(committed == text, "{} is out of date: run `cargo xtask codegen protobuf`", path.display());
        } else {
            fs::create_dir_all(path.parent().context("a file has a directory")?)?;
            fs::write(&path, &text)?;
            println!("{}: {} lines", path.display(), text.lines().count());
        }
    }
    if arguments.check {
        let random = generate(&generator, ["fixtures", CHECK_OBJECTS, "all"])?;
        let (objects, own) = (check(&random)?, check_own_fixtures()?);
        println!("{objects} random objects and {own} fixtures of Kubernetes are read as the API server reads them");
        println!("{}", damage::check(&generator, &random)?);
    }
    Ok(())
}

fn wire_crate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("crates").join("lockgate-wire")
}

fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protobuf")
}

fn build() -> Result<PathBuf> {
    let program = tools::cache_directory()?.join("codegen-protobuf");
    let progress = Progress::start("building the protobuf generator", Some("2 minutes, once"));
    let wanted =
        GoBuild { name: "codegen-protobuf", module: &module(), packages: &["."], ldflags: "", output: &program };
    tools::build_go_module(&wanted, &progress)?;
    progress.done("built");
    Ok(program)
}

fn generate(generator: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    tools::output(Command::new(generator).args(arguments)).map(|text| text + "\n")
}

/// Reads lines of base64 protobuf, a tab, and JSON; fails if any is read otherwise.
fn check(lines: &str) -> Result<usize> {
    let protobuf = Protobuf::load()?;
    let mut faults = Vec::new();
    for line in lines.lines() {
        let (wire, json) = line.split_once('\t').context("a line without a tab")?;
        compare(&protobuf, &STANDARD.decode(wire)?, json.as_bytes(), &mut faults)?;
    }
    report(&faults)?;
    Ok(lines.lines().count())
}

/// `k8s.io/api/testdata/HEAD`, from the module cache.
fn check_own_fixtures() -> Result<usize> {
    let mut list = Command::new("go");
    list.args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "k8s.io/api"]).current_dir(module());
    let directory = PathBuf::from(tools::output(&mut list)?).join("testdata/HEAD");
    let protobuf = Protobuf::load()?;
    let (mut faults, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".pb") && !NEVER_REQUESTED.iter().any(|kind| name.starts_with(kind)) {
            compare(&protobuf, &fs::read(&path)?, &fs::read(path.with_extension("json"))?, &mut faults)?;
            count += 1;
        }
    }
    report(&faults)?;
    Ok(count)
}

fn compare(protobuf: &Protobuf, wire: &[u8], json: &[u8], faults: &mut Vec<String>) -> Result<()> {
    let expected: Value = serde_json::from_slice(json)?;
    match protobuf.decode(wire) {
        Ok(value) if value == expected => {}
        Ok(_) => faults.push(format!("{} {} is read otherwise", expected["apiVersion"], expected["kind"])),
        Err(error) => faults.push(format!("{} {}: {error}", expected["apiVersion"], expected["kind"])),
    }
    Ok(())
}

fn report(faults: &[String]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} faults:\n{}", faults.len(), faults.iter().take(FAULTS_SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n"));
}
