//! Who is calling? Anything but one valid token ends here, before the request is understood (bypass 4).

use http::header;

use super::{Begun, Identified, Refusal, Stop};
use crate::gateway::Gateway;

pub(super) async fn authenticate(gateway: &Gateway, begun: Begun) -> Result<Identified, Stop> {
    let Begun { mut log, arrived, target } = begun;
    let values: Vec<&[u8]> =
        arrived.headers.get_all(header::AUTHORIZATION).iter().map(http::HeaderValue::as_bytes).collect();
    let caller = match gateway.issuers.authenticate(&values, gateway.clock().now()).await {
        Ok(caller) => caller,
        Err(error) => return Err(Stop::refuse(log, Refusal::Unauthenticated(error))),
    };
    log.arrival().subject = Some(caller.subject.clone());
    match target {
        Ok(target) => Ok(Identified { log, arrived, target, caller }),
        Err(error) => Err(Stop::refuse(log, Refusal::NotCanonical(error))),
    }
}
