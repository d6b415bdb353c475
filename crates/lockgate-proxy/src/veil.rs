//! What masks an answer on its way: objects by what they are, everything else by what is known and by what it looks like.
//!
//! Owns: which masker a body gets, and when a quiet stream lets go what it withholds. The engines are `lockgate_wire::mask`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lockgate_core::{MaskProfile, Stream};
use lockgate_wire::RequestInfo;
use lockgate_wire::accept::AnswerForm;
use lockgate_wire::mask::{MaskCounts, MaskError, MaskLimits, MaskPlan, Masker, Profile, Scan, TextLimits, TextMasker};
use tokio::time::Sleep;

use crate::gateway::Gateway;

/// How long nothing must have come until a stream of text counts as quiet: then a short beginning of what might be a secret is
/// let go, so that nobody waits for a prompt.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

/// What is looked for in the answers of a cluster.
pub(crate) fn scan(gateway: &Gateway, cluster: &str) -> Scan {
    Scan { values: gateway.values.of(cluster), detectors: true }
}

/// How answers about objects are masked.
pub(crate) const fn profile(mask: MaskProfile) -> Profile {
    match mask {
        MaskProfile::Strict => Profile::Secrets,
        MaskProfile::Off => Profile::Off,
    }
}

/// The masker of one answer.
pub(crate) enum Veil {
    /// Kubernetes objects.
    Objects(Box<Masker>),
    /// Any other body. As many bytes come out as went in.
    Text(Box<TextVeil>),
}

/// Masks text, and knows when the stream is quiet.
pub(crate) struct TextVeil {
    masker: TextMasker,
    /// Runs while something is withheld.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Veil {
    /// What an answer to this request owes, whose body is of this form; `None`: it passes as it is.
    pub(crate) fn of(info: &RequestInfo, form: AnswerForm, mask: MaskProfile, scan: &Scan) -> Option<Self> {
        if mask == MaskProfile::Off {
            return None;
        }
        match form {
            AnswerForm::Json if info.is_resource() => {
                let watch = info.stream == Stream::Watch;
                let plan = MaskPlan::for_resource(&info.api_group, &info.resource, watch, profile(mask));
                let masker = Masker::new(plan, MaskLimits::default()).searched_by(Arc::new(scan.clone()));
                Some(Self::Objects(Box::new(masker)))
            }
            AnswerForm::ErrorText | AnswerForm::Log => Some(Self::text(scan)),
            AnswerForm::Opaque if !is_schema(info) => Some(Self::text(scan)),
            // Discovery and schemas hold no objects.
            AnswerForm::Json | AnswerForm::Opaque => None,
        }
    }

    fn text(scan: &Scan) -> Self {
        Self::Text(Box::new(TextVeil::new(scan)))
    }

    /// Whether as many bytes come out as went in.
    pub(crate) const fn keeps_length(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(crate) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Objects(masker) => masker.push(input, output),
            Self::Text(text) => {
                text.push(input, output);
                Ok(())
            }
        }
    }

    /// Ends the body. How many values were masked.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> Result<u64, MaskError> {
        match self {
            Self::Objects(masker) => masker.finish(output).map(|summary| summary.masked),
            Self::Text(text) => Ok(text.finish(output)),
        }
    }

    /// How many values have been masked so far.
    pub(crate) fn masked(&self) -> u64 {
        match self {
            Self::Objects(masker) => masker.masked(),
            Self::Text(text) => text.masked(),
        }
    }

    /// What has been masked so far, by reason and key; of text nobody knows.
    pub(crate) fn counts(&self) -> Option<&MaskCounts> {
        match self {
            Self::Objects(masker) => Some(masker.counts()),
            Self::Text(_) => None,
        }
    }

    /// What was masked in `about`, in words for a header.
    pub(crate) fn warning(&self, about: &str) -> Option<String> {
        self.counts()?.warning(about)
    }

    /// Resolves with what may go because nothing more has come; wakes the task when that is.
    pub(crate) fn poll_quiet(&mut self, context: &mut Context<'_>, output: &mut Vec<u8>) -> Poll<()> {
        match self {
            Self::Objects(_) => Poll::Pending,
            Self::Text(text) => text.poll_quiet(context, output),
        }
    }
}

/// `/openapi/…` holds schemas, in protobuf too; not a byte of it comes from an object.
fn is_schema(info: &RequestInfo) -> bool {
    info.stream != Stream::Proxy && info.path.starts_with("/openapi/")
}

impl TextVeil {
    pub(crate) fn new(scan: &Scan) -> Self {
        Self { masker: TextMasker::new(scan.clone(), TextLimits::default()), quiet: None }
    }

    pub(crate) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        self.masker.push(input, output);
        self.quiet = (self.masker.withheld_bytes() > 0).then(|| Box::pin(tokio::time::sleep(QUIET)));
    }

    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> u64 {
        self.quiet = None;
        self.masker.finish(output).masked
    }

    pub(crate) const fn masked(&self) -> u64 {
        self.masker.masked()
    }

    pub(crate) fn poll_quiet(&mut self, context: &mut Context<'_>, output: &mut Vec<u8>) -> Poll<()> {
        let Some(quiet) = &mut self.quiet else { return Poll::Pending };
        match quiet.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.quiet = None;
                self.masker.idle(output);
                if output.is_empty() { Poll::Pending } else { Poll::Ready(()) }
            }
        }
    }
}
