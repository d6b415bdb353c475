//! Is it written down? The ticket exists only once the events are durable, and owns the request from then on.

use super::{Permitted, Recorded, Stop};
use crate::gateway::Gateway;

pub(super) async fn record(gateway: &Gateway, permitted: Permitted) -> Result<Recorded, Stop> {
    let Permitted { log, permit, request, way } = permitted;
    match log.open(permit, request, way.user.clone()).await {
        Ok(ticket) => Ok(Recorded { ticket, way }),
        Err(error) => {
            gateway.metrics.unrecorded();
            Err(Stop::Unrecorded(error))
        }
    }
}
