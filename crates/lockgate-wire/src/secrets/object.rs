//! One object of a list or watch of Secrets: what of it matters, with no copy made of anything else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_core::Secret;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{ListEnd, SecretObject, Unreadable, Version, WatchEvent};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    resource_version: Version,
}

#[derive(Deserialize)]
struct Object<'o> {
    metadata: Metadata,
    #[serde(borrow, default)]
    data: Option<BTreeMap<String, &'o RawValue>>,
}

#[derive(Deserialize)]
struct Event<'e> {
    r#type: String,
    #[serde(borrow)]
    object: &'e RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: Version,
    #[serde(default, rename = "continue")]
    continue_token: Option<String>,
}

#[derive(Deserialize)]
struct List {
    kind: String,
    metadata: ListMetadata,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
}

const NO_SECRET: Unreadable = Unreadable::Malformed("Secret");
const NO_EVENT: Unreadable = Unreadable::Malformed("watch");

/// A Secret.
pub(super) fn secret(json: &[u8]) -> Result<SecretObject, Unreadable> {
    decoded(serde_json::from_slice(json).map_err(|_| NO_SECRET)?).map(|(secret, _)| secret)
}

/// A watch's event. A kind of event that is not known is an error: it might have said that a Secret changed.
pub(super) fn event(json: &[u8]) -> Result<WatchEvent, Unreadable> {
    let Event { r#type, object } = serde_json::from_slice(json).map_err(|_| NO_EVENT)?;
    let object = object.get();
    match r#type.as_str() {
        "ADDED" | "MODIFIED" => {
            let (secret, version) = decoded(serde_json::from_str(object).map_err(|_| NO_SECRET)?)?;
            Ok(WatchEvent::Set(secret, version))
        }
        "DELETED" => {
            let Object { metadata, .. } = serde_json::from_str(object).map_err(|_| NO_SECRET)?;
            let Metadata { name, namespace, resource_version } = metadata;
            Ok(WatchEvent::Gone { namespace, name, version: resource_version })
        }
        "BOOKMARK" => {
            let Object { metadata, .. } = serde_json::from_str(object).map_err(|_| NO_EVENT)?;
            Ok(WatchEvent::Bookmark(metadata.resource_version))
        }
        "ERROR" => {
            let Failure { code, reason } = serde_json::from_str(object).map_err(|_| NO_EVENT)?;
            Ok(WatchEvent::Failed { code, reason })
        }
        _ => Err(NO_EVENT),
    }
}

/// What stands around a page's items.
pub(super) fn list_end(json: &[u8]) -> Result<ListEnd, Unreadable> {
    const NO_LIST: Unreadable = Unreadable::Malformed("list");
    let List { kind, metadata } = serde_json::from_slice(json).map_err(|_| NO_LIST)?;
    if kind != "SecretList" || metadata.resource_version.is_empty() {
        return Err(NO_LIST);
    }
    let continue_token = metadata.continue_token.filter(|token| !token.is_empty());
    Ok(ListEnd { resource_version: metadata.resource_version, continue_token })
}

fn decoded(object: Object<'_>) -> Result<(SecretObject, Version), Unreadable> {
    let Metadata { name, namespace, resource_version } = object.metadata;
    if name.is_empty() || namespace.is_empty() {
        return Err(NO_SECRET);
    }
    let values = object.data.unwrap_or_default().into_iter();
    let values = values.map(|(key, raw)| Ok((key, value(raw.get())?))).collect::<Result<_, Unreadable>>()?;
    Ok((SecretObject { namespace, name, values }, resource_version))
}

/// A value of `data`, as it stands in the JSON.
fn value(raw: &str) -> Result<Secret<Vec<u8>>, Unreadable> {
    if raw == "null" {
        return Ok(Secret::new(Vec::new()));
    }
    let plain = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).filter(|text| !text.contains('\\'));
    let unescaped;
    let text = match plain {
        Some(text) => text,
        None => {
            unescaped = Zeroizing::new(serde_json::from_str::<String>(raw).map_err(|_| NO_SECRET)?);
            unescaped.as_str()
        }
    };
    // Never larger than that, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    STANDARD.decode_vec(text, &mut bytes).map_err(|_| NO_SECRET)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}
