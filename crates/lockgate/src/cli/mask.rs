//! `lockgate mask`: what an agent would see of a file. For people, and for tests of what is masked.
//!
//! Owns where bytes come from and go to. Refuses to know what is masked: that is `lockgate-wire`'s.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use lockgate_wire::mask::{MaskCounts, MaskLimits, MaskPlan, Masker, Profile, mask_manifests};

use super::output::note;
use super::{Exit, Wrong};

/// Most bytes of YAML, which is read whole.
const YAML_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Mask {
    /// How much is masked
    #[arg(long, value_enum, default_value_t = ProfileName::Strict)]
    profile: ProfileName,
    /// What was asked for, if the file is an answer of the API server: secrets, deployments.apps [default: whatever the
    /// objects say that they are]
    #[arg(long, value_name = "RESOURCE[.GROUP]")]
    resource: Option<String>,
    /// The file: JSON objects (one, or many as in a watch) or YAML documents [default: standard input]
    file: Option<PathBuf>,
}

/// The profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// Every value of a Secret or ConfigMap, of an environment variable, of a flag; the default for agents
    Strict,
    /// Every value of a Secret; of the rest those whose name says that they are secret
    Balanced,
    /// Nothing
    Off,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Strict => Self::Strict,
            ProfileName::Balanced => Self::Balanced,
            ProfileName::Off => Self::Off,
        }
    }
}

pub(crate) fn run(command: &Mask) -> anyhow::Result<Exit> {
    let input: Box<dyn Read> = match &command.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let plan = plan(command)?;
    let is_json = loop {
        let bytes = input.fill_buf().context("cannot read the input")?;
        match bytes.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => break bytes.get(at) == Some(&b'{'),
            None if bytes.is_empty() => return Ok(Exit::Done),
            None => {
                let blank = bytes.len();
                input.consume(blank);
            }
        }
    };
    let mut output = std::io::stdout().lock();
    let counts =
        if is_json { json(input, plan, &mut output)? } else { yaml(input, command.profile.into(), &mut output)? };
    output.flush().context("cannot write to stdout")?;
    if let Some(warning) = counts.warning("the input") {
        note(&warning)?;
    }
    Ok(Exit::Done)
}

fn plan(command: &Mask) -> Result<MaskPlan, Wrong> {
    let resource = command.resource.as_deref().unwrap_or_default();
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
    };
    if !is_name(resource) || resource.starts_with('.') {
        return Err(Wrong(format!("{resource:?} is no resource: use secrets or deployments.apps")));
    }
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    // Any number of objects one behind the other, as in a watch.
    Ok(MaskPlan::for_resource(group, resource, true, command.profile.into()))
}

/// Nothing is held but a chunk.
fn json(mut input: impl BufRead, plan: MaskPlan, output: &mut impl Write) -> anyhow::Result<MaskCounts> {
    let mut masker = Masker::new(plan, MaskLimits::default());
    let mut masked = Vec::new();
    loop {
        let bytes = input.fill_buf().context("cannot read the input")?;
        let length = bytes.len();
        masked.clear();
        let done = if length == 0 { masker.finish(&mut masked).map(|_| ()) } else { masker.push(bytes, &mut masked) };
        output.write_all(&masked).context("cannot write to stdout")?;
        done.map_err(|error| anyhow!("the input cannot be masked: {error}"))?;
        if length == 0 {
            return Ok(masker.counts().clone());
        }
        input.consume(length);
    }
}

fn yaml(input: impl BufRead, profile: Profile, output: &mut impl Write) -> anyhow::Result<MaskCounts> {
    let mut text = String::new();
    input.take(YAML_BYTES_MAX + 1).read_to_string(&mut text).context("the input is neither JSON nor text")?;
    if text.len() as u64 > YAML_BYTES_MAX {
        bail!("the input is YAML of more than {YAML_BYTES_MAX} bytes: give the objects one by one, or as JSON");
    }
    let (masked, counts) = mask_manifests(&text, profile, MaskLimits::default());
    output.write_all(masked.as_bytes()).context("cannot write to stdout")?;
    Ok(counts)
}
