//! From a token's verified claims to a subject.

use std::time::Duration;

use lockgate_core::{Subject, SubjectKind, Timestamp};
use lockgate_expr::{Datum, EvaluationError, Expression};
use serde_json::Value;

use crate::config::{Mapping, Mappings};
use crate::error::AuthError;

/// How far the issuer's clock may differ from ours.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(10);
/// Longest id, owner or group, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// Most groups.
const GROUPS_MAX: usize = 1_000;
/// Longest `jti` that is kept as it is, in bytes.
const TOKEN_ID_BYTES_MAX: usize = 128;

/// The registered claims (RFC 7519, section 4.1), checked.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) audiences: Vec<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) token_id: Option<String>,
}

impl Registered {
    /// Checks all but `iss` (which chose the keys) and which audience it is.
    pub(crate) fn check(claims: &Value, now: Timestamp) -> Result<Self, AuthError> {
        let expires_at = time(claims, "exp")?.ok_or(AuthError::Claim { claim: "exp" })?.plus(CLOCK_LEEWAY);
        if now >= expires_at {
            return Err(AuthError::Expired);
        }
        for claim in ["nbf", "iat"] {
            if time(claims, claim)?.is_some_and(|from| from > now.plus(CLOCK_LEEWAY)) {
                return Err(AuthError::NotYetValid);
            }
        }
        if text(claims, "sub").is_none_or(str::is_empty) {
            return Err(AuthError::Claim { claim: "sub" });
        }
        if claims.get("cnf").is_some() {
            let reason = "it is bound to a key (cnf) that a bearer does not show";
            return Err(AuthError::Header { reason });
        }
        let token_id = text(claims, "jti").filter(|id| {
            (1..=TOKEN_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        });
        Ok(Self {
            audiences: audiences(claims)?,
            expires_at,
            auth_time: time(claims, "auth_time")?,
            token_id: token_id.map(Into::into),
        })
    }
}

/// The subject that the mapping of `registered.audiences` gives.
pub(crate) fn subject(
    issuer: &str,
    mappings: &Mappings,
    claims: &Value,
    registered: &Registered,
    token_id: String,
) -> Result<Subject, AuthError> {
    let (kind, mapping) = choose(mappings, claims, registered)?;
    let claims = Datum::json(claims).map_err(|error| unmapped("id", &error))?;
    let variables = [("claims", &claims)];
    if let Some(when) = &mapping.when {
        let kind = if kind == SubjectKind::Agent { "agents" } else { "humans" };
        match when.boolean(&variables) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(AuthError::Condition { kind }),
        }
    }
    let id = mapping.id.string(&variables).map_err(|error| unmapped("id", &error))?;
    let optional = |what: &'static str, expression: &Option<Expression>| match expression {
        None => Ok(None),
        Some(expression) => expression
            .optional_string(&variables)
            .map_err(|error| unmapped(what, &error))?
            .map(|name| checked(what, name))
            .transpose(),
    };
    let groups = match &mapping.groups {
        None => Vec::new(),
        Some(groups) => groups.strings(&variables).map_err(|error| unmapped("groups", &error))?,
    };
    if groups.len() > GROUPS_MAX {
        return Err(AuthError::Name { what: "groups", reason: "there are more than 1000" });
    }
    Ok(Subject {
        issuer: issuer.into(),
        id: checked("id", id)?,
        kind,
        owner: optional("owner", &mapping.owner)?,
        on_behalf_of: optional("onBehalfOf", &mapping.on_behalf_of)?,
        groups: groups.into_iter().map(|group| checked("group", group)).collect::<Result<_, _>>()?,
        token_id: Some(token_id),
    })
}

/// Agent or human, by audience alone; whatever leaves a doubt is refused.
fn choose<'m>(
    mappings: &'m Mappings,
    claims: &Value,
    registered: &Registered,
) -> Result<(SubjectKind, &'m Mapping), AuthError> {
    let addressed =
        |mapping: &&Mapping| registered.audiences.iter().any(|audience| mapping.audiences.contains(audience));
    let agents = mappings.agents.as_ref().filter(addressed);
    let humans = mappings.humans.as_ref().filter(addressed);
    match (agents, humans) {
        (Some(_), Some(_)) => Err(AuthError::Ambiguous { reason: "its audiences are those of agents and of humans" }),
        (None, None) => Err(AuthError::Audience { accepted: mappings.accepted() }),
        (Some(agents), None) => Ok((SubjectKind::Agent, agents)),
        (None, Some(_)) if is_of_a_program(claims) => {
            Err(AuthError::Ambiguous { reason: "a program got it for itself, and a human's audience is in it" })
        }
        (None, Some(humans)) => Ok((SubjectKind::Human, humans)),
    }
}

/// Whether a token was issued to a client for itself (client credentials): RFC 9068, section 2.2 has `sub` name the
/// client then; some issuers say it in `gty` or `idtyp`.
fn is_of_a_program(claims: &Value) -> bool {
    let subject = text(claims, "sub");
    ["client_id", "azp", "cid", "appid"].into_iter().any(|claim| subject.is_some() && text(claims, claim) == subject)
        || matches!(text(claims, "gty"), Some("client-credentials" | "client_credentials"))
        || text(claims, "idtyp") == Some("app")
}

fn unmapped(what: &'static str, error: &EvaluationError) -> AuthError {
    AuthError::Mapping { what, reason: error.to_string() }
}

/// A name that may stand in a log, in a header and in a list: not empty, not reserved, nothing in it that ends or
/// joins names.
fn checked(what: &'static str, name: String) -> Result<String, AuthError> {
    let refuse = |reason: &'static str| Err(AuthError::Name { what, reason });
    // Characters that are not seen, or that turn what is seen around.
    let invisible = |character: char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let reserved = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("system:"));
    if name.trim().is_empty() {
        refuse("it is empty")
    } else if name.len() > NAME_BYTES_MAX {
        refuse("it is longer than 512 bytes")
    } else if reserved {
        refuse("names that begin with `system:` are Kubernetes' own")
    } else if name.chars().any(|character| character.is_control() || invisible(character)) {
        refuse("it has a control or invisible character")
    } else if name.contains(',') {
        refuse("it has a comma, by which lists of names are joined")
    } else if name.trim() != name {
        refuse("it begins or ends with a space")
    } else {
        Ok(name)
    }
}

pub(crate) fn text<'c>(claims: &'c Value, claim: &str) -> Option<&'c str> {
    claims.get(claim).and_then(Value::as_str)
}

fn audiences(claims: &Value) -> Result<Vec<String>, AuthError> {
    let wrong = AuthError::Claim { claim: "aud" };
    let list = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            let texts = many.iter().map(|one| one.as_str().map(Into::into));
            texts.collect::<Option<Vec<String>>>().ok_or_else(|| wrong.clone())?
        }
        _ => return Err(wrong),
    };
    if list.is_empty() || list.iter().any(String::is_empty) { Err(wrong) } else { Ok(list) }
}

/// A NumericDate: a number, not a text that looks like one; absent is fine here.
pub(crate) fn time(claims: &Value, claim: &'static str) -> Result<Option<Timestamp>, AuthError> {
    // The year 9999; beyond it nothing is a time.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
                let microseconds = (seconds * 1_000_000.0).round();
                #[expect(clippy::cast_possible_truncation, reason = "below 2^58, checked above")]
                Ok(Some(Timestamp::from_microseconds(microseconds as i64)))
            }
            Some(_) | None => Err(AuthError::Claim { claim }),
        },
        Some(_) => Err(AuthError::Claim { claim }),
    }
}
