//! Who may use a route: five kinds, checked before its handler runs.

use std::time::Duration;

use lockgate_core::Timestamp;

use crate::identity::{Caller, Role};
use crate::problem::Problem;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody: sign-in and the files that pages need.
    Public,
    /// Anybody who is known.
    Known,
    /// Agents for their own approvals, auditors and approvers for all. What is "own" the handler decides.
    Approvals,
    /// Auditors and approvers.
    Evidence,
    /// Approvers who signed in just now.
    Decide,
}

impl Access {
    /// Whether this caller may.
    ///
    /// # Errors
    /// The answer to give, with the next step.
    pub(crate) fn check(
        self,
        caller: Option<&Caller>,
        now: Timestamp,
        sign_in_age_max: Duration,
    ) -> Result<(), Problem> {
        if self == Self::Public {
            return Ok(());
        }
        let caller = caller.ok_or_else(Problem::not_signed_in)?;
        match (self, caller.role) {
            (Self::Public | Self::Known, _)
            | (Self::Approvals, Role::Requester | Role::Auditor | Role::Approver)
            | (Self::Evidence, Role::Auditor | Role::Approver) => Ok(()),
            (Self::Decide, Role::Approver) => fresh(caller, now, sign_in_age_max),
            (Self::Approvals | Self::Evidence | Self::Decide, Role::Stranger) => Err(Problem::forbidden(
                "You are in none of the groups that may use this console.",
            )
            .next("Ask whoever runs Lockgate to add one of your groups to `console.approvers` or `console.auditors`.")),
            (Self::Evidence, Role::Requester) => {
                Err(Problem::forbidden("An agent sees its own approvals and nothing else."))
            }
            (Self::Decide, Role::Requester) => Err(Problem::forbidden("Only a human may decide.")
                .next("Wait for the decision with `lockgate approvals wait ID`.")),
            (Self::Decide, Role::Auditor) => {
                Err(Problem::forbidden("You may look, but not decide: you are in none of the approvers' groups."))
            }
        }
    }
}

/// Whether the person signed in just now. A token that does not say when is not fresh.
fn fresh(caller: &Caller, now: Timestamp, age_max: Duration) -> Result<(), Problem> {
    match caller.auth_time {
        Some(at) if now.since(at) <= age_max => Ok(()),
        _ => Err(Problem::stale_sign_in(age_max.as_secs())),
    }
}
