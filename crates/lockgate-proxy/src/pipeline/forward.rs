//! What does the cluster say? The ticket goes in; an answer or a recorded session comes out.

use std::sync::Arc;

use super::{Forwarded, Recorded, Stop};
use crate::gateway::Gateway;
use crate::session;
use crate::upstream::Upgraded;

pub(super) async fn forward(gateway: &Arc<Gateway>, recorded: Recorded) -> Result<Forwarded, Stop> {
    let Recorded { ticket, mut way } = recorded;
    let upstream = Arc::clone(&way.upstream);
    let Some(handshake) = way.handshake.take() else {
        return match upstream.send(ticket, &way.identity, way.flow).await {
            Ok(exchange) => Ok(Forwarded::Answer(Box::new(exchange), Box::new(way))),
            Err((receipt, error)) => Err(Stop::unanswered(receipt, upstream.cluster().name.as_str(), error)),
        };
    };
    match upstream.upgrade(ticket, &way.identity, &handshake.headers).await {
        Ok(Upgraded::Answered(exchange)) => Ok(Forwarded::Answer(Box::new(exchange), Box::new(way))),
        Ok(Upgraded::Switched { head, stream, receipt }) => {
            session::open(gateway, way, handshake, session::Switched { head, stream }, receipt)
                .await
                .map(Forwarded::Session)
        }
        Err((receipt, error)) => Err(Stop::unanswered(receipt, upstream.cluster().name.as_str(), error)),
    }
}
