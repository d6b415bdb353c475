//! How did it end? A task of its own waits for the answer's last byte, or for the client to go away, and writes the
//! closing event; it rides on a later batch.

use std::sync::Arc;

use http::Response;
use lockgate_core::Outcome;
use lockgate_store::{Receipt, StoreError};

use super::Masked;
use crate::answer::{AnswerBody, End, Ending};
use crate::gateway::Gateway;

pub(super) fn finish(gateway: &Arc<Gateway>, masked: Masked) -> Response<AnswerBody> {
    match masked {
        Masked::Session(response) => response,
        Masked::Answer { response, receipt, ending, upstream_status } => {
            gateway.metrics.answered(response.status().as_u16());
            let context = Arc::clone(gateway);
            gateway.tasks.spawn(async move {
                let audit_id = receipt.audit_id();
                if let Err(error) = write_end(receipt, ending, upstream_status).await {
                    context.metrics.unrecorded();
                    tracing::error!(%audit_id, %error, "the end of a call could not be recorded; the sweeper will close it");
                }
            });
            response
        }
    }
}

async fn write_end(receipt: Receipt, ending: Ending, upstream_status: u16) -> Result<(), StoreError> {
    match ending.await {
        Ok(End::Completed(facts)) => receipt.close(upstream_status, facts).await,
        Ok(End::Failed(reason, facts)) => receipt.abort(Outcome::Failed, reason, facts).await,
        Ok(End::Stopped(reason, facts)) => receipt.abort(Outcome::Aborted, reason, facts).await,
        Ok(End::Abandoned(facts)) => receipt.abort(Outcome::Aborted, "the client went away".into(), facts).await,
        Err(_) => {
            let reason = "the answer was dropped before it began".to_owned();
            receipt.abort(Outcome::Aborted, reason, lockgate_core::ResponseFacts::default()).await
        }
    }
}
