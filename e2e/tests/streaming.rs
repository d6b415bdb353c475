//! Nothing is held back: event N reaches the client before event N+1 is produced, on a watch and on followed logs, over HTTP/1.1 and HTTP/2.
//!
//! The next event is produced only once the one before it has arrived, so a gateway that waits for more before it sends waits for ever, and the
//! test fails at its deadline.

use e2e::environment::Environment;
use e2e::http::{Door, Protocol};
use e2e::program::{Way, admin};
use e2e::unique;

const EVENTS: usize = 5;

#[tokio::test]
async fn each_watch_event_arrives_before_the_next_is_made() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let name = format!("streaming-{}", unique());
        admin(["create", "configmap", &name, "--from-literal=n=0"]).await;
        let door = Door::agent(Way::Through, protocol).await;
        let path = format!("/api/v1/namespaces/shop/configmaps?watch=true&fieldSelector=metadata.name%3D{name}");
        let mut stream = door.stream("GET", &path, &[], b"").await;
        assert_eq!(stream.status, 200);
        assert_eq!(stream.event().await["type"], "ADDED");
        for n in 1..=EVENTS {
            let patch = format!(r#"{{"data":{{"n":"{n}"}}}}"#);
            admin(["patch", "configmap", &name, "--type=merge", "-p", &patch]).await;
            let event = stream.event().await;
            assert_eq!(
                (&event["type"], &event["object"]["data"]["n"]),
                (&"MODIFIED".into(), &n.to_string().into()),
                "{protocol:?}"
            );
        }
        admin(["delete", "configmap", &name]).await;
        assert_eq!(stream.event().await["type"], "DELETED");
    }
}

#[tokio::test]
async fn each_watch_event_of_secrets_arrives_masked_before_the_next_is_made() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let name = format!("streaming-{}", unique());
        admin(["create", "secret", "generic", &name, "--from-literal=n=canary-0"]).await;
        let door = Door::agent(Way::Through, protocol).await;
        let path = format!("/api/v1/namespaces/shop/secrets?watch=true&fieldSelector=metadata.name%3D{name}");
        let mut stream = door.stream("GET", &path, &[], b"").await;
        let mut values = vec![stream.event().await["object"]["data"]["n"].clone()];
        for n in 1..=EVENTS {
            admin(["label", "secret", &name, "--overwrite", &format!("n=v{n}")]).await;
            let event = stream.event().await;
            assert_eq!(event["object"]["metadata"]["labels"]["n"], format!("v{n}"), "{protocol:?}");
            values.push(event["object"]["data"]["n"].clone());
        }
        assert!(values.iter().all(|value| value.is_string() && *value != "Y2FuYXJ5LTA="), "{values:?}");
        admin(["delete", "secret", &name]).await;
    }
}

#[tokio::test]
async fn each_log_line_arrives_before_the_next_is_written() {
    let image = format!("--image={}", Environment::get().demo.image);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let name = format!("streaming-{}", unique());
        // One line for each file that appears.
        let script =
            "n=0; while true; do if [ -e /tmp/$n ]; then echo line $n; n=$((n+1)); else usleep 20000; fi; done";
        admin(["run", &name, &image, "--restart=Never", "--", "sh", "-c", script]).await;
        admin(["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=60s"]).await;
        let door = Door::agent(Way::Through, protocol).await;
        let mut stream =
            door.stream("GET", &format!("/api/v1/namespaces/shop/pods/{name}/log?follow=true"), &[], b"").await;
        assert_eq!(stream.status, 200);
        for n in 0..EVENTS {
            admin(["exec", &name, "--", "touch", &format!("/tmp/{n}")]).await;
            assert_eq!(String::from_utf8(stream.line().await).unwrap(), format!("line {n}"), "{protocol:?}");
        }
        admin(["delete", "pod", &name, "--grace-period=0", "--force"]).await;
    }
}
