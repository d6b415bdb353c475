//! Placeholders that come back in a write. Whatever an object holds: masked and sent back, it is what it was, byte for byte. And
//! whatever is sent instead of a body is JSON, and holds nothing of the live object that is not where it was.

use lockgate_core::Secret;
use lockgate_wire::mask::restore::{Live, Masking, Unrestorable, Values, Why, Write, restore};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile};
use serde_json::Value;

const RESOURCES: [(&str, &str, &str); 4] = [
    ("", "secrets", "\"apiVersion\":\"v1\",\"kind\":\"Secret\""),
    ("", "configmaps", "\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\""),
    ("apps", "deployments", "\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\""),
    ("example.com", "widgets", "\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\""),
];

const METADATA: &str = "\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"1\"}";

/// The first byte says what the object is and how it is masked; then the object, and behind a line break a body that somebody sends.
pub fn run(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (object, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let [resource, profile] = [form & 3, form >> 2 & 3].map(usize::from);
    let (group, resource, meta) = RESOURCES.get(resource).expect("four");
    let profile = *[Profile::Strict, Profile::Balanced, Profile::Secrets, Profile::Off].get(profile).expect("four");
    let Some(object) = whole(object, meta) else { return };
    let masking = Masking::new(group, resource, profile, MaskLimits::default());
    let Some(masked) = masked(MaskPlan::for_resource(group, resource, false, profile), &object) else { return };
    let Ok(live) = Live::read(&Secret::new(object.clone()), &masking) else { return };
    comes_back(&masked, &object, &live, &masking);
    for write in [Write::Whole, Write::Merge, Write::Strategic, Write::Json] {
        for values in [Values::AsGiven, Values::AsTheyStand] {
            if let Ok(Some(restored)) = restore(body, write, values, &live, &masking) {
                let sent: Result<Value, _> = serde_json::from_slice(&restored.body);
                assert!(sent.is_ok(), "what is sent is not JSON");
                assert!(restored.restored + restored.dropped > 0, "nothing was done");
            }
        }
    }
}

fn comes_back(masked: &[u8], object: &[u8], live: &Live, masking: &Masking) {
    match restore(masked, Write::Whole, Values::AsGiven, live, masking) {
        Ok(None) => assert!(masked == object, "a value was not put back"),
        Ok(Some(restored)) => assert!(restored.body == object, "another value was put back"),
        // The names in a Secret's `managedFields`, in an object that holds others.
        Err(Unrestorable::Fields(fields)) => {
            assert!(fields.iter().all(|field| matches!(field.why, Why::InName | Why::TooLarge)), "{fields:?}");
        }
        Err(other) => panic!("{other}"),
    }
}

/// The members in `object`, behind those that every object has.
fn whole(object: &[u8], meta: &str) -> Option<Vec<u8>> {
    let members = object.trim_ascii().strip_prefix(b"{")?;
    let comma = if members.trim_ascii_start().first() == Some(&b'}') { "" } else { "," };
    Some([format!("{{{meta},{METADATA}{comma}").as_bytes(), members].concat())
}

fn masked(plan: MaskPlan, object: &[u8]) -> Option<Vec<u8>> {
    let mut masker = Masker::new(plan, MaskLimits::default());
    let mut output = Vec::new();
    masker.push(object, &mut output).ok()?;
    masker.finish(&mut output).ok()?;
    Some(output)
}
