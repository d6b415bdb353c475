//! Sign-in flows against an issuer over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the issuer is shared between test files")]

mod issuer;

use std::collections::BTreeMap;
use std::time::Duration;

use issuer::{Issuer, Key, NOW};
use lockgate_auth::FileReference;
use lockgate_auth::login::{Client, LoginError, Provider, SignIn};
use lockgate_core::{Secret, Timestamp};
use serde_json::json;

fn client() -> Client {
    Client {
        id: "lockgate-console".into(),
        secret: Some(Secret::new("s3cret".into())),
        scopes: vec!["groups".into()],
        resource: None,
    }
}

async fn provider(issuer: &Issuer) -> Provider {
    Provider::discover(&issuer.url, Some(&FileReference { file: issuer.ca_file.clone() })).await.unwrap()
}

#[tokio::test]
async fn code_with_pkce_state_nonce_and_a_fresh_sign_in() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let provider = provider(&issuer).await;
    let age_max = Duration::from_secs(300);
    let begun = provider.begin(&client(), "https://lockgate/callback", SignIn::Fresh { age_max }).unwrap();
    let asked: BTreeMap<String, String> = begun.url.query_pairs().into_owned().collect();
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "300"));
    assert_eq!(asked["scope"], "openid groups");
    assert_eq!(asked["state"], begun.pending.state());

    let id_token = |nonce: &str, aud: &str| {
        key.sign(&json!({"iss": issuer.url, "aud": aud, "sub": "carol", "exp": NOW + 60, "nonce": nonce, "auth_time": NOW - 5}))
    };
    let reply = |token: String| {
        *issuer.state.token_answer.lock().unwrap() =
            (200, json!({"access_token": "at", "token_type": "Bearer", "id_token": token, "expires_in": 60}));
    };
    reply(id_token(&asked["nonce"], "lockgate-console"));
    let query = format!("code=c0de&state={}", asked["state"]);
    let tokens = provider.finish(&client(), &begun.pending, &query).await.unwrap();
    let form = issuer.state.token_form.lock().unwrap().clone();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "c0de"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    use base64::Engine as _;
    assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref()), asked["code_challenge"]);
    assert!(!form.contains_key("client_secret"));

    let now = Timestamp::from_seconds(NOW);
    let person = provider.id_token(&client(), &tokens, Some(&begun.pending), now).await.unwrap();
    assert_eq!(person.subject, "carol");
    assert!(person.signed_in_within(age_max, now));
    assert!(!person.signed_in_within(Duration::from_secs(4), now));
    for (nonce, aud) in [("other", "lockgate-console"), ("", "lockgate-console"), (asked["nonce"].as_str(), "another")]
    {
        reply(id_token(nonce, aud));
        let tokens = provider.finish(&client(), &begun.pending, &query).await.unwrap();
        assert!(provider.id_token(&client(), &tokens, Some(&begun.pending), now).await.is_err(), "{nonce} {aud}");
    }
    assert!(!format!("{tokens:?} {begun:?} {:?}", client()).contains("s3cret"));
    assert!(!format!("{tokens:?}").contains("\"at\""));
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let provider = provider(&issuer).await;
    let begun = provider.begin(&client(), "https://lockgate/callback", SignIn::Any).unwrap();
    let state = begun.pending.state();
    let finish = |query: String| {
        let (provider, pending) = (&provider, &begun.pending);
        async move { provider.finish(&client(), pending, &query).await.unwrap_err() }
    };
    assert_eq!(finish("code=c&state=other".into()).await, LoginError::State);
    assert_eq!(finish("code=c".into()).await, LoginError::State);
    assert_eq!(finish(format!("code=c&state={state}&iss=https%3A%2F%2Fevil")).await, LoginError::State);
    assert_eq!(finish(format!("state={state}")).await, LoginError::NoCode);
    let refused = finish(format!("error=access_denied&error_description=no%0Away&state={state}")).await;
    assert_eq!(refused, LoginError::Refused { code: "access_denied".into(), description: "noway".into() });
}

#[tokio::test]
async fn device_refresh_and_client_credentials() {
    let key = Key::new("k1");
    let issuer = Issuer::start(&[&key]).await;
    let provider = provider(&issuer).await;
    let public = Client { id: "cli".into(), secret: None, scopes: vec![], resource: Some("lockgate".into()) };
    *issuer.state.token_answer.lock().unwrap() = (
        200,
        json!({"device_code": "d", "user_code": "AB-CD", "verification_uri": "https://idp/device", "expires_in": 600}),
    );
    let code = provider.begin_device(&public, SignIn::Fresh { age_max: Duration::from_secs(60) }).await.unwrap();
    assert_eq!((code.user_code.as_str(), code.interval), ("AB-CD", Duration::from_secs(5)));
    assert!(issuer.state.token_form.lock().unwrap().contains("prompt=login"));
    for (error, expected) in
        [("authorization_pending", LoginError::AuthorizationPending), ("slow_down", LoginError::SlowDown)]
    {
        *issuer.state.token_answer.lock().unwrap() = (400, json!({"error": error}));
        assert_eq!(provider.poll_device(&public, &code).await.unwrap_err(), expected);
    }
    *issuer.state.token_answer.lock().unwrap() =
        (200, json!({"access_token": "a", "token_type": "bearer", "refresh_token": "r"}));
    let tokens = provider.poll_device(&public, &code).await.unwrap();
    provider.refresh(&public, tokens.refresh_token.as_ref().unwrap()).await.unwrap();
    let form = issuer.state.token_form.lock().unwrap().clone();
    assert!(
        form.contains("grant_type=refresh_token") && form.contains("refresh_token=r") && form.contains("client_id=cli")
    );
    assert!(form.contains("resource=lockgate"));
    provider.client_credentials(&client()).await.unwrap();
    assert!(issuer.state.token_form.lock().unwrap().contains("grant_type=client_credentials&scope=groups"));
    *issuer.state.token_answer.lock().unwrap() = (502, json!({"oops": 1}));
    assert!(matches!(provider.client_credentials(&client()).await, Err(LoginError::Http(_))));
    let ca = FileReference { file: issuer.ca_file.clone() };
    assert!(matches!(Provider::discover("http://idp.example.com", Some(&ca)).await, Err(LoginError::Url { .. })));
}
