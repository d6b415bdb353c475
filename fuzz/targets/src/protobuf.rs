//! A protobuf body. What can be decoded is plain JSON, and its JSON twin is the same request: same class of risk, same
//! payload on the record. Decoding takes memory by what the body holds, never by what it claims to hold.

use std::sync::LazyLock;

use lockgate_core::{Options, Risk};
use lockgate_policy::risk;
use lockgate_wire::protobuf::Protobuf;
use lockgate_wire::{RequestInfo, Target, body, payload};

const PROTOBUF: Option<&str> = Some("application/vnd.kubernetes.protobuf");
const PATHS: [&str; 4] = [
    "/api/v1/namespaces/a/pods",
    "/api/v1/namespaces/a/secrets",
    "/apis/apps/v1/namespaces/a/deployments",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
];

/// What any body may take to decode, in bytes: the fields of the largest type, before they are filled.
const DECODED_BYTES: u64 = 64 * 1024;

/// What each byte of a body may take besides: two can be a whole empty Pod, in a list. `PROTOBUF_VALUES_MAX` bounds the sum.
const DECODED_BYTES_PER_BYTE: u64 = 4 * 1024;

/// The tables, loaded once.
pub(crate) static TABLES: LazyLock<Protobuf> = LazyLock::new(|| Protobuf::load().expect("the tables"));

/// The bytes are a body.
pub fn run(data: &[u8]) {
    LazyLock::force(&TABLES);
    let mut decoded = Ok(None);
    let memory = allocation_counter::measure(|| decoded = body::decode(PROTOBUF, data, &TABLES));
    let most = DECODED_BYTES + DECODED_BYTES_PER_BYTE * data.len() as u64;
    assert!(memory.bytes_max <= most, "{} bytes of memory for {} of protobuf", memory.bytes_max, data.len());
    let decoded = match decoded {
        Ok(Some(decoded)) => decoded,
        Ok(None) => return assert!(data.is_empty()),
        Err(error) => return assert_eq!(error.status().code(), 400, "{error}"),
    };
    assert!(decoded.is_object(), "{decoded}");
    let twin = body::decode(Some("application/json"), decoded.to_string().as_bytes(), &TABLES);
    let twin = twin.expect("what was decoded is JSON").expect("not empty");
    assert_eq!(twin, decoded);
    for path in PATHS {
        let target = Target::parse(&format!("/clusters/p{path}")).expect("a path");
        let info = RequestInfo::of("POST", &target).expect("a create");
        let (options, action) = (Options::default(), info.action(Risk::Escalation));
        let risk = |object| risk::classify(&risk::Request::of(&action, &options, Some(object)));
        assert_eq!(risk(&decoded), risk(&twin));
        let masked = |object: &serde_json::Value| {
            let mut object = object.clone();
            payload::mask_request_payload(&info, &mut object);
            object
        };
        assert_eq!(masked(&decoded), masked(&twin));
    }
}
