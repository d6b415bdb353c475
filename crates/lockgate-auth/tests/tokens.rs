//! Bearer tokens, good and hostile, against an issuer over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the issuer is shared between test files")]

mod issuer;

use std::sync::atomic::Ordering;
use std::time::Duration;

use issuer::{Issuer, Key, NOW, encode};
use lockgate_auth::{
    AuthError, Authenticated, Blame, CLOCK_LEEWAY, Issuers, KEYS_AGE_MAX, KEYS_STALE_MAX, REFETCH_INTERVAL_MIN,
};
use lockgate_core::{SubjectKind, Timestamp};
use serde_json::{Value, json};

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

async fn show(issuers: &Issuers, token: &str, at: Timestamp) -> Result<Authenticated, AuthError> {
    issuers.authenticate(&[format!("Bearer {token}").as_bytes()], at).await
}

fn with(claims: &Value, field: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[field] = value;
    claims
}

fn without(claims: &Value, field: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(field);
    claims
}

#[tokio::test]
async fn an_agent_and_a_human_are_told_apart_by_audience() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    let agent = show(&issuers, &key.sign(&issuer.claims()), now()).await.unwrap();
    assert_eq!(agent.subject.kind, SubjectKind::Agent);
    assert_eq!(agent.subject.id, "bot");
    assert_eq!(agent.subject.owner.as_deref(), Some("alice"));
    assert_eq!(agent.subject.groups, ["deployers"]);
    assert_eq!(agent.subject.token_id.as_deref(), Some("t-1"));
    assert_eq!(agent.expires_at, Timestamp::from_seconds(NOW + 300).plus(CLOCK_LEEWAY));

    let mut claims = with(&issuer.claims(), "aud", json!(["lockgate-console"]));
    claims["auth_time"] = json!(NOW - 7);
    claims["x/groups"] = json!(["sre"]);
    claims["azp"] = json!("lockgate-console");
    let human = show(&issuers, &key.sign(&claims), now()).await.unwrap();
    assert_eq!((human.subject.kind, human.subject.groups.as_slice()), (SubjectKind::Human, &["sre".to_owned()][..]));
    assert_eq!(human.auth_time, Some(Timestamp::from_seconds(NOW - 7)));

    let both = with(&issuer.claims(), "aud", json!(["lockgate", "lockgate-console"]));
    assert!(matches!(show(&issuers, &key.sign(&both), now()).await, Err(AuthError::Ambiguous { .. })));
    for (field, value) in [("client_id", "bot"), ("azp", "bot"), ("gty", "client-credentials")] {
        let program = with(&claims, field, json!(value));
        assert!(
            matches!(show(&issuers, &key.sign(&program), now()).await, Err(AuthError::Ambiguous { .. })),
            "{field}"
        );
    }
    let hashed = show(&issuers, &key.sign(&without(&issuer.claims(), "jti")), now()).await.unwrap();
    assert_eq!(hashed.subject.token_id.unwrap().len(), 32);
}

#[tokio::test]
async fn bypass_row_30_every_hostile_token_is_refused() {
    let key = Key::new("k1");
    let stranger = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    let good = issuer.claims();
    assert!(show(&issuers, &key.sign(&good), now()).await.is_ok());

    let claim = |claim: &'static str| AuthError::Claim { claim };
    let audience = || AuthError::Audience { accepted: "lockgate, lockgate-console".into() };
    let by_claims = [
        (with(&good, "aud", json!("other")), audience()),
        (with(&good, "aud", json!("lockgat")), audience()),
        (with(&good, "aud", json!([])), claim("aud")),
        (with(&good, "aud", json!(["lockgate", 7])), claim("aud")),
        (with(&good, "aud", json!({"lockgate": true})), claim("aud")),
        (without(&good, "aud"), claim("aud")),
        (with(&good, "exp", json!(NOW - 11)), AuthError::Expired),
        (with(&good, "exp", json!((NOW + 300).to_string())), claim("exp")),
        (with(&good, "exp", json!(-1)), claim("exp")),
        (with(&good, "exp", json!(1e300)), claim("exp")),
        (with(&good, "exp", json!(null)), claim("exp")),
        (without(&good, "exp"), claim("exp")),
        (with(&good, "nbf", json!(NOW + 60)), AuthError::NotYetValid),
        (with(&good, "nbf", json!("0")), claim("nbf")),
        (with(&good, "iat", json!(NOW + 60)), AuthError::NotYetValid),
        (with(&good, "sub", json!("")), claim("sub")),
        (with(&good, "sub", json!(["bot"])), claim("sub")),
        (without(&good, "sub"), claim("sub")),
        (with(&good, "iss", json!(format!("{}/", issuer.url))), AuthError::Issuer),
        (with(&good, "iss", json!(issuer.url.replace("https", "http"))), AuthError::Issuer),
        (with(&good, "iss", json!(issuer.url.to_uppercase())), AuthError::Issuer),
        (with(&good, "iss", json!([issuer.url])), AuthError::Issuer),
        (without(&good, "iss"), AuthError::Issuer),
    ];
    for (claims, expected) in by_claims {
        assert_eq!(show(&issuers, &key.sign(&claims), now()).await, Err(expected), "{claims}");
    }

    let named = |extra: Value| {
        let mut header = json!({"alg": "ES256", "kid": "k1"});
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        key.sign_raw(&header, &good)
    };
    for extra in [
        json!({"crit": ["x"]}),
        json!({"crit": []}),
        json!({"b64": false}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": 1}),
        json!({"kid": 1}),
        json!({"kid": ""}),
    ] {
        assert!(matches!(show(&issuers, &named(extra.clone()), now()).await, Err(AuthError::Header { .. })), "{extra}");
    }
    for algorithm in ["none", "None", "HS256", "HS512", "ES256K", "es256", ""] {
        assert_eq!(
            show(&issuers, &named(json!({"alg": algorithm})), now()).await,
            Err(AuthError::Algorithm),
            "{algorithm}"
        );
    }
    // An algorithm that is accepted, but is not this key's.
    for algorithm in ["RS256", "PS256", "ES384", "EdDSA"] {
        assert_eq!(
            show(&issuers, &named(json!({"alg": algorithm})), now()).await,
            Err(AuthError::UnknownKey),
            "{algorithm}"
        );
    }
    assert!(show(&issuers, &named(json!({"typ": "application/AT+JWT"})), now()).await.is_ok());
    assert_eq!(show(&issuers, &stranger.sign(&good), now()).await, Err(AuthError::Signature));

    // HMAC keyed with the public key.
    let message = format!("{}.{}", encode(&json!({"alg": "HS256", "kid": "k1"})), encode(&good));
    let public: Vec<u8> = [&[4_u8][..], &key.x, &key.y].concat();
    let tag =
        aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public), message.as_bytes());
    use base64::Engine as _;
    let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag.as_ref());
    assert_eq!(show(&issuers, &format!("{message}.{tag}"), now()).await, Err(AuthError::Algorithm));

    let token = key.sign(&good);
    let parts: Vec<&str> = token.split('.').collect();
    let other = encode(&with(&good, "sub", json!("root")));
    assert_eq!(show(&issuers, &format!("{}.{other}.{}", parts[0], parts[2]), now()).await, Err(AuthError::Signature));
    for broken in [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.x"),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        "a.b.c".into(),
    ] {
        let refused = show(&issuers, &broken, now()).await.expect_err(&broken);
        assert!(matches!(refused, AuthError::MalformedToken | AuthError::MalformedHeader), "{broken}: {refused}");
        assert_eq!(refused.blame(), Blame::Caller);
    }
}

#[tokio::test]
async fn bypass_row_3_and_5_reserved_and_joined_names_are_refused() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    let good = issuer.claims();
    let names =
        ["system:masters", "System:node", "a,b", "a\nb", "a\u{0}b", " a", "a ", " ", "a\u{202e}b", &"x".repeat(513)];
    for name in names {
        for (field, value) in [("sub", json!(name)), ("owner", json!(name)), ("groups", json!(["ok", name]))] {
            let refused = show(&issuers, &key.sign(&with(&good, field, value)), now()).await;
            assert!(matches!(refused, Err(AuthError::Name { .. })), "{field} {name:?}: {refused:?}");
        }
    }
    for (field, value) in [("groups", json!({"a": 1})), ("groups", json!([["a"]])), ("owner", json!(7))] {
        let refused = show(&issuers, &key.sign(&with(&good, field, value)), now()).await;
        assert!(matches!(refused, Err(AuthError::Mapping { .. })), "{field}: {refused:?}");
    }
    let bare = show(&issuers, &key.sign(&without(&without(&good, "groups"), "owner")), now()).await.unwrap();
    assert_eq!((bare.subject.groups.len(), bare.subject.owner), (0, None));
}

#[tokio::test]
async fn c13_large_tokens_pass_up_to_the_limit() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    let groups: Vec<String> =
        (0..400).map(|index| format!("department-{index:04}-platform-engineering-group")).collect();
    let token = key.sign(&with(&issuer.claims(), "groups", json!(groups)));
    assert!(token.len() > 20_000);
    assert_eq!(show(&issuers, &token, now()).await.unwrap().subject.groups.len(), 400);
    let huge = key.sign(&with(&issuer.claims(), "pad", json!("x".repeat(200_000))));
    let refused = show(&issuers, &huge, now()).await.expect_err("200 KB");
    assert!(refused.to_string().contains("65536 bytes"), "{refused}");
}

#[tokio::test]
async fn c12_rotation_flood_removal_and_a_failing_key_url() {
    let (first, second) = (Key::new("k1"), Key::new("k2"));
    let issuer = Issuer::start(&[&first]).await;
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    let claims = with(&issuer.claims(), "exp", json!(NOW + 100_000));
    let (old, new) = (first.sign(&claims), second.sign(&claims));
    assert!(show(&issuers, &old, now()).await.is_ok());
    assert_eq!(issuer.fetches(), 1);

    // A new key is accepted after one refetch.
    *issuer.state.keys.lock().unwrap() = vec![first.jwk(), second.jwk()];
    let later = now().plus(REFETCH_INTERVAL_MIN);
    assert!(show(&issuers, &new, later).await.is_ok());
    assert_eq!(issuer.fetches(), 2);

    // A flood of invented key ids within ten seconds: refetches bounded, good tokens unaffected.
    let mut at = later;
    for index in 0..1_000 {
        at = later.plus(Duration::from_millis(10 * index));
        let token = first.sign_raw(&json!({"alg": "ES256", "kid": format!("x{index}")}), &claims);
        assert_eq!(show(&issuers, &token, at).await, Err(AuthError::UnknownKey));
        if index % 100 == 0 {
            assert!(show(&issuers, &old, at).await.is_ok() && show(&issuers, &new, at).await.is_ok());
        }
    }
    assert!(issuer.fetches() <= 5, "{} fetches", issuer.fetches());

    // A removed key is refused within the stated time.
    *issuer.state.keys.lock().unwrap() = vec![second.jwk()];
    let after = at.plus(KEYS_AGE_MAX).plus(Duration::from_secs(1));
    assert_eq!(show(&issuers, &old, after).await, Err(AuthError::UnknownKey));
    assert!(show(&issuers, &new, after).await.is_ok());

    // A failing key URL keeps the last good keys, no longer than stated.
    issuer.state.failing.store(true, Ordering::SeqCst);
    assert!(show(&issuers, &new, after.plus(KEYS_AGE_MAX * 3)).await.is_ok());
    assert!(show(&issuers, &new, after.plus(KEYS_STALE_MAX)).await.is_ok());
    let end = after.plus(KEYS_STALE_MAX).plus(Duration::from_secs(10));
    let refused = show(&issuers, &new, end).await;
    assert_eq!(refused, Err(AuthError::IssuerUnavailable));
    assert_eq!(refused.unwrap_err().blame(), Blame::Issuer);
    issuer.state.failing.store(false, Ordering::SeqCst);
    assert!(show(&issuers, &new, end.plus(REFETCH_INTERVAL_MIN)).await.is_ok());
    issuers.close().await;
}

#[tokio::test]
async fn a_burst_of_first_tokens_fetches_once() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = std::sync::Arc::new(Issuers::new(vec![issuer.config()]).unwrap());
    let token = key.sign(&issuer.claims());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (issuers, token) = (std::sync::Arc::clone(&issuers), token.clone());
            tokio::spawn(async move { show(&issuers, &token, now()).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_look_alike_issuer_or_another_certificate_gives_no_keys() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    issuer.state.wrong_issuer.store(true, Ordering::SeqCst);
    let issuers = Issuers::new(vec![issuer.config()]).unwrap();
    assert_eq!(show(&issuers, &key.sign(&issuer.claims()), now()).await, Err(AuthError::IssuerUnavailable));
    let stranger = Issuer::start(&[&key]).await;
    let mut config = issuer.config();
    config.certificate_authority = stranger.config().certificate_authority;
    issuer.state.wrong_issuer.store(false, Ordering::SeqCst);
    let issuers = Issuers::new(vec![config]).unwrap();
    assert_eq!(show(&issuers, &key.sign(&issuer.claims()), now()).await, Err(AuthError::IssuerUnavailable));
}

#[tokio::test]
async fn a_configuration_that_mixes_agents_and_humans_is_refused() {
    let base = json!({"url": "https://idp.example.com", "audiences": ["lockgate"], "agents": {}});
    let build = |change: Value| {
        let mut config = base.clone();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Issuers::new(vec![serde_json::from_value(config).unwrap()])
    };
    assert!(build(json!({})).is_ok());
    assert!(build(json!({"humans": {"audiences": ["console"]}})).is_ok());
    for wrong in [
        json!({"humans": {"audiences": ["lockgate"]}}),
        json!({"humans": {}}),
        json!({"agents": {"audiences": ["a"]}, "humans": {"audiences": ["lockgate"]}}),
        json!({"audiences": []}),
        json!({"agents": null}),
        json!({"url": "http://idp.example.com"}),
        json!({"url": "idp.example.com"}),
        json!({"url": "https://user@idp.example.com"}),
        json!({"agents": {"id": "claims.sub +"}}),
        json!({"agents": {"id": "token.sub"}}),
        json!({"certificateAuthority": {"file": "/nowhere/ca.crt"}}),
    ] {
        assert!(build(wrong.clone()).is_err(), "{wrong}");
    }
}
