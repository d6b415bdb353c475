//! What is said to an agent that is stopped, too fast, or asks too much.

use std::time::Duration;

use lockgate_core::{FreezeId, Timestamp};

use super::{NO_DETOUR, Reason, Status, forbidden, minute, phrase, shortened};

/// Longest name of an agent for the command line, in bytes; twice what one has.
const KEY_BYTES_MAX: usize = 40;

/// The agent is frozen. `why` is half a sentence, `key` what the person who clears it names.
pub fn frozen(freeze: FreezeId, summary: &str, why: &str, since: Timestamp, key: &str) -> Status {
    let text = format!(
        "Freeze {freeze}: {} was not run. Every change by this agent is stopped since {}, because {}. Reading still \
         works.\nNext step: tell your human what you wanted and why; an approver lets you go on with `lockgate agents \
         clear {}`.\n{NO_DETOUR}\nFreeze: {freeze}",
        phrase(summary),
        minute(since),
        phrase(why),
        shortened(key, KEY_BYTES_MAX, "…"),
    );
    Status::failure(403, Reason::AgentFrozen, text).with_cause("FreezeID", freeze.to_string())
}

/// Too fast. Clients wait and try again by themselves, which is right here. `rule` is `None` for the gateway's own limit.
pub fn rate_limited(rule: Option<&str>, requests_max: u32, window: Duration, wait: Duration) -> Status {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
    let whose = rule.map_or_else(|| "this gateway".to_owned(), |rule| format!("rule {:?}", phrase(rule)));
    let text = format!(
        "Lockgate did not run this request: {whose} lets this agent send {requests_max} requests in {}, and it sent more.\n\
         Next step: wait {seconds} s, then send it again; send fewer.",
        words(window)
    );
    Status::failure(429, Reason::TooManyRequests, text).with_retry_after_seconds(seconds)
}

/// So much at once is more than the rule lets go by itself, and it asks no human about it. `removed`: how many are gone in
/// its window; `None` for a request that removes any number at once.
pub fn removes_too_much(summary: &str, rule: &str, removed: Option<u32>, count_max: u32, window: Duration) -> Status {
    let why = match removed {
        Some(removed) => format!("{removed} are gone already"),
        None => "this removes any number at once".to_owned(),
    };
    forbidden(
        &format!(
            "Lockgate did not run: {}: rule {:?} lets this agent remove {count_max} objects in {}, and {why}.",
            phrase(summary),
            phrase(rule),
            words(window)
        ),
        "stop removing, and tell your human what is left to remove and why",
    )
}

/// More requests of this agent wait for humans than people can look at.
pub fn too_many_pending(summary: &str, pending_max: u32) -> Status {
    too_much_asked(&format!(
        "Lockgate did not run: {}: it needs a human's approval, and {pending_max} requests of this agent wait for one \
         already.",
        phrase(summary)
    ))
}

/// This agent has asked humans more often than people should be asked.
pub fn too_many_asked(summary: &str, asked_max: u32) -> Status {
    too_much_asked(&format!(
        "Lockgate did not run: {}: it needs a human's approval, and this agent has asked humans {asked_max} times within \
         the last hour.",
        phrase(summary)
    ))
}

fn too_much_asked(facts: &str) -> Status {
    let text = format!("{facts}\nNext step: stop asking, and tell your human what you are trying to do.\n{NO_DETOUR}");
    Status::failure(403, Reason::ApprovalLimit, text)
}

/// `90 s`, `10 min`, `1 h`: the largest unit that gives a whole number.
fn words(window: Duration) -> String {
    match window.as_secs() {
        0 => format!("{} ms", window.as_millis()),
        1 => "one second".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
