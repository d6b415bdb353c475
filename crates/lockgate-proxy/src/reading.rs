//! What a request means, without a gateway: for those who explain or test a policy. The same functions as the pipeline's.

use lockgate_core::{Action, Options, Stream};
use lockgate_wire::protobuf::Protobuf;
use lockgate_wire::{RequestInfo, Target, WireError, body, options};
use serde_json::Value;

use crate::pipeline;

/// One request, understood.
#[derive(Debug, Clone)]
pub struct Reading {
    /// As the API server's RequestInfo reads it.
    pub info: RequestInfo,
    /// The action with its risk class, as far as the request alone tells.
    pub action: Action,
    /// The options in effect.
    pub options: Options,
    /// The body as the API server would read it.
    pub object: Option<Value>,
}

impl Reading {
    /// Reads a request. `bytes` is the whole body.
    ///
    /// # Errors
    /// What Lockgate would refuse with 400, 405 or 415.
    pub fn of(
        method: &str,
        target: &Target,
        content_type: Option<&str>,
        bytes: &[u8],
        protobuf: &Protobuf,
    ) -> Result<Self, WireError> {
        let info = RequestInfo::of(method, target)?;
        let object = match info.stream {
            Stream::Proxy => None,
            _ => body::decode(content_type, bytes, protobuf)?,
        };
        let options = options::effective(&info, target, content_type, object.as_ref())?;
        let action = pipeline::action(&info, &options, object.as_ref());
        Ok(Self { info, action, options, object })
    }
}
