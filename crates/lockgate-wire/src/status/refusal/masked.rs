//! What is said about writes that hold placeholders, and about questions about masked values.

use super::{Reason, Status, forbidden, phrase, refused};
use crate::mask::restore::{Field, Why};

/// Longest path of a field in the message, in bytes; the causes have all of it.
const FIELDS_TOLD_MAX: usize = 3;

/// A write holds placeholders for which there is no value.
pub fn placeholders(fields: &[Field]) -> Status {
    let is_new = fields.iter().any(|field| field.why == Why::New);
    let next = if fields.iter().any(|field| field.why == Why::NotRolledBack) {
        "have somebody roll back who is shown the values"
    } else if is_new {
        "write the value itself there, or refer to the Secret that holds it (secretKeyRef, envFrom, a volume)"
    } else {
        "read the object again, and send what was read with only your changes in it; or leave the masked field out of a patch"
    };
    let mut told: Vec<String> = fields.iter().take(FIELDS_TOLD_MAX).map(|field| phrase(&field.path)).collect();
    if fields.len() > FIELDS_TOLD_MAX {
        told.push("…".to_owned());
    }
    let what = match fields {
        [field] => format!("{} {}", phrase(&field.path), field.why.in_words()),
        _ => format!("the placeholders of masked values in {} cannot be replaced by the values", told.join(", ")),
    };
    let status = refused(422, Reason::Invalid, &what, next);
    let status =
        fields.iter().fold(status, |status, field| status.with_field(&field.path, field.why.in_words().to_owned()));
    status.with_field("lockgate", format!("nothing was changed. Next step: {next}"))
}

/// A JSON Patch or a selector would tell what a masked field holds.
pub fn asks_masked(summary: &str, operation: &str, path: &str) -> Status {
    forbidden(
        &format!(
            "Lockgate did not run: {}: {operation} of {:?} would show what is masked.",
            phrase(summary),
            phrase(path)
        ),
        "do without it: masked values can be neither compared nor copied",
    )
}

/// The object was modified after it was shown; in the API server's own words, since clients look for them.
pub fn modified_since_shown(resource: &str, group: &str, name: &str) -> Status {
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    Status::failure(
        409,
        Reason::Conflict,
        format!(
            "Operation cannot be fulfilled on {resource}{group} \"{name}\": the object has been modified; please apply your \
             changes to the latest version and try again"
        ),
    )
}

/// The live object, whose masked values the write leaves as they are, cannot be read.
pub fn not_restorable(summary: &str, why: &str) -> Status {
    forbidden(
        &format!(
            "Lockgate did not run: {}: it concerns masked values, and the live object cannot be read: {}.",
            phrase(summary),
            phrase(why).trim_end_matches('.')
        ),
        "tell your human that this write needs the right to read the object",
    )
}

#[cfg(test)]
mod tests {
    use lockgate_core::AuditId;

    use super::*;

    #[test]
    fn each_field_is_a_cause_that_kubectl_prints() {
        let field = |path: &str, why| Field { path: path.into(), why };
        let status = placeholders(&[field("data.password", Why::Other), field("data.user", Why::NotThere)]);
        let status =
            status.with_audit_id("aud_01932f3e-7d4c-7000-8000-0123456789ab".parse::<AuditId>().unwrap()).to_value();
        assert_eq!((&status["code"], &status["reason"]), (&422.into(), &"Invalid".into()));
        let causes = status["details"]["causes"].as_array().unwrap();
        let fields: Vec<&str> = causes.iter().map(|cause| cause["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["data.password", "data.user", "lockgate", "audit"]);
        assert!(causes.iter().all(|cause| !cause["message"].as_str().unwrap().is_empty()));
        assert!(status["message"].as_str().unwrap().contains("data.password, data.user"));
    }

    #[test]
    fn no_wording_is_too_long() {
        let fields: Vec<Field> = (0..16).map(|_| Field { path: "x".repeat(300), why: Why::Other }).collect();
        for status in [
            placeholders(&fields),
            placeholders(&fields[..1]),
            asks_masked(&"s".repeat(999), "test", &"p".repeat(999)),
            not_restorable(&"s".repeat(999), &"w".repeat(999)),
        ] {
            assert!(status.message().len() <= super::super::MESSAGE_BYTES_MAX, "{}", status.message());
        }
    }
}
