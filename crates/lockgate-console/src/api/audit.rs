//! `/api/v1/audit`

use std::collections::HashSet;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use lockgate_core::AuditId;
use lockgate_store::{AuditFilter, Topic};

use super::stream;
use crate::problem::Problem;
use crate::routes::Call;

/// How many of the newest calls a tail looks at each time.
const TAILED_MAX: u32 = 500;
/// Open calls that a tail remembers, to print them again when they end; the oldest is forgotten first.
const OPEN_MAX: usize = 1_000;
/// A burst of calls is looked at once.
const SETTLE: Duration = Duration::from_millis(200);

/// `GET /api/v1/audit?since=&until=&subject=&cluster=&verb=&resource=&namespace=&name=&effect=&outcome=&approvalId=&sessionId=&shadowDiffers=true&before=&limit=`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let filter = filter(&call)?;
    Ok(Json(call.app.store().audit_records(&filter).await?).into_response())
}

/// `GET /api/v1/audit/{id}`
pub(crate) async fn show(call: Call) -> Result<Response, Problem> {
    let record = call.app.store().audit_record(call.id("id")?).await?;
    Ok(Json(record.ok_or_else(|| Problem::not_found("such call"))?).into_response())
}

/// `GET /api/v1/audit/tail`: JSON lines of calls from now on; one that is open comes again when it ends.
pub(crate) async fn tail(call: Call) -> Result<Response, Problem> {
    let filter = AuditFilter { since: Some(call.app.now()), limit: TAILED_MAX, ..filter(&call)? };
    let app = call.app.clone();
    Ok(stream::answer("application/jsonl", app.context.shutdown.clone(), move |mut lines| async move {
        let mut changes = app.store().changes(Topic::Audit);
        let mut tail = Tail::default();
        loop {
            let newest = app.store().audit_records(&filter).await?;
            for record in newest.iter().rev() {
                if tail.is_news(record.id, record.outcome.is_some()) && lines.send(record).await.is_err() {
                    return Ok(());
                }
            }
            // Calls that have fallen out of the newest may have ended meanwhile.
            for id in tail.open_outside(newest.iter().map(|record| record.id)) {
                let record = app.store().audit_record(id).await?;
                if let Some(record) = record.filter(|record| record.outcome.is_some())
                    && tail.is_news(id, true)
                    && lines.send(&record).await.is_err()
                {
                    return Ok(());
                }
            }
            tail.forget_before(newest.last().map(|record| record.id));
            if lines.changed(&mut changes).await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(SETTLE).await;
        }
    }))
}

/// What a tail has printed.
#[derive(Debug, Default)]
struct Tail {
    open: Vec<AuditId>,
    ended: HashSet<AuditId>,
}

impl Tail {
    /// Whether this call, in this state, has not been printed yet; remembers that it now has.
    fn is_news(&mut self, id: AuditId, ended: bool) -> bool {
        if self.ended.contains(&id) {
            return false;
        }
        let known = self.open.iter().position(|open| *open == id);
        match (ended, known) {
            (true, Some(at)) => {
                self.open.remove(at);
                self.ended.insert(id)
            }
            (true, None) => self.ended.insert(id),
            (false, Some(_)) => false,
            (false, None) => {
                if self.open.len() >= OPEN_MAX {
                    self.open.remove(0);
                }
                self.open.push(id);
                true
            }
        }
    }

    fn open_outside(&self, newest: impl Iterator<Item = AuditId>) -> Vec<AuditId> {
        let newest: HashSet<_> = newest.collect();
        self.open.iter().filter(|id| !newest.contains(id)).copied().collect()
    }

    /// Ended calls older than the oldest that is still looked at cannot come again.
    fn forget_before(&mut self, oldest: Option<AuditId>) {
        if let Some(oldest) = oldest {
            self.ended.retain(|id| *id >= oldest);
        }
    }
}

/// The filters of the query. Shared with the web page.
pub(crate) fn filter(call: &Call) -> Result<AuditFilter, Problem> {
    Ok(AuditFilter {
        since: call.parsed("since")?,
        until: call.parsed("until")?,
        subject: call.query("subject"),
        cluster: call.query("cluster"),
        verb: call.word("verb")?,
        resource: call.query("resource"),
        namespace: call.query("namespace"),
        name: call.query("name"),
        effect: call.word("effect")?,
        outcome: call.word("outcome")?,
        approval_id: call.parsed("approvalId")?,
        session_id: call.parsed("sessionId")?,
        shadow_differs: call.parsed("shadowDiffers")?.unwrap_or(false),
        before: call.parsed("before")?,
        limit: call.parsed("limit")?.unwrap_or(AuditFilter::default().limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> AuditId {
        format!("aud_00000000-0000-0000-0000-0000000000{n:02x}").parse().unwrap()
    }

    #[test]
    fn a_call_is_printed_when_it_comes_and_when_it_ends() {
        let mut tail = Tail::default();
        assert!(tail.is_news(id(1), false));
        assert!(!tail.is_news(id(1), false));
        assert!(tail.is_news(id(1), true));
        assert!(!tail.is_news(id(1), true));
        assert!(tail.is_news(id(2), true));
        assert!(!tail.is_news(id(2), true));
    }

    #[test]
    fn an_open_call_that_fell_out_of_the_page_is_still_looked_at() {
        let mut tail = Tail::default();
        assert!(tail.is_news(id(1), false) && tail.is_news(id(2), false) && tail.is_news(id(3), true));
        assert_eq!(tail.open_outside([id(2), id(3)].into_iter()), [id(1)]);
        tail.forget_before(Some(id(9)));
        assert!(tail.ended.is_empty());
        assert!(tail.is_news(id(1), true));
    }
}
