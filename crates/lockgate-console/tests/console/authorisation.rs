//! Every route, and who may use it. A new route fails this test until its line is written here.

use crate::support::World;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use lockgate_console::Console;

const PEOPLE: [&str; 6] = ["nobody", "agent", "stranger", "auditor", "stale approver", "approver"];

/// For each route: may each of [`PEOPLE`] use it? (`y`, `n`; `.`: cannot be, an agent has no browser.)
const EXPECTED: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/whoami", "nyyyyy"),
    ("GET", "/api/v1/approvals", "nynyyy"),
    ("GET", "/api/v1/approvals/watch", "nynyyy"),
    ("GET", "/api/v1/approvals/{id}", "nynyyy"),
    ("POST", "/api/v1/approvals/{id}/approve", "nnnnny"),
    ("POST", "/api/v1/approvals/{id}/deny", "nnnnny"),
    ("POST", "/api/v1/approvals/{id}/reopen", "nnnnny"),
    ("GET", "/api/v1/agents", "nnnyyy"),
    ("GET", "/api/v1/agents/{key}", "nnnyyy"),
    ("POST", "/api/v1/agents/{key}/freeze", "nnnnny"),
    ("POST", "/api/v1/agents/{key}/clear", "nnnnny"),
    ("GET", "/api/v1/audit", "nnnyyy"),
    ("GET", "/api/v1/audit/tail", "nnnyyy"),
    ("GET", "/api/v1/audit/{id}", "nnnyyy"),
    ("GET", "/api/v1/sessions", "nnnyyy"),
    ("GET", "/api/v1/sessions/{id}", "nnnyyy"),
    ("GET", "/api/v1/sessions/{id}/recording", "nnnyyy"),
    ("GET", "/", "n.yyyy"),
    ("GET", "/sign-in", "y.yyyy"),
    ("GET", "/sign-in/start", "y.yyyy"),
    // Public, but it refuses whoever did not begin a sign-in: see tests/sign_in.rs.
    ("GET", "/sign-in/callback", "n.nnnn"),
    ("POST", "/sign-out", "n.yyyy"),
    ("GET", "/assets/{name}", "y.yyyy"),
    ("GET", "/approvals", "n.nyyy"),
    ("GET", "/approvals/list", "n.nyyy"),
    ("GET", "/approvals/{id}", "n.nyyy"),
    ("GET", "/approvals/{id}/state", "n.nyyy"),
    ("POST", "/approvals/{id}/approve", "n.nnny"),
    ("POST", "/approvals/{id}/deny", "n.nnny"),
    ("POST", "/approvals/{id}/reopen", "n.nnny"),
    ("GET", "/agents", "n.nyyy"),
    ("GET", "/agents/list", "n.nyyy"),
    ("GET", "/agents/{key}", "n.nyyy"),
    ("GET", "/agents/{key}/state", "n.nyyy"),
    ("POST", "/agents/{key}/freeze", "n.nnny"),
    ("POST", "/agents/{key}/clear", "n.nnny"),
    ("GET", "/requests", "n.nyyy"),
    ("GET", "/requests/list", "n.nyyy"),
    ("GET", "/requests/{id}", "n.nyyy"),
    ("GET", "/requests/{id}/row", "n.nyyy"),
    ("GET", "/sessions", "n.nyyy"),
    ("GET", "/sessions/list", "n.nyyy"),
    ("GET", "/sessions/{id}", "n.nyyy"),
    ("GET", "/sessions/{id}/cast", "n.nyyy"),
    ("GET", "/sessions/{id}/raw/{channel}", "n.nyyy"),
];

/// A request to the route that is right in everything but, perhaps, who sends it.
fn request(method: &str, path: &str, who: Option<&str>, csrf: &str) -> Request<Body> {
    let kind = [("approvals", "apr"), ("audit", "aud"), ("requests", "aud"), ("sessions", "ses")]
        .iter()
        .find_map(|(word, prefix)| path.contains(word).then_some(*prefix))
        .unwrap_or("x");
    let path = path
        .replace("{id}", &format!("{kind}_00000000-0000-7000-8000-000000000000"))
        .replace("{key}", "agt_0000000000000000")
        .replace("{channel}", "stdout")
        .replace("{name}", "console.css");
    let api = path.starts_with("/api/");
    let mut request = Request::builder().method(method).uri(&path);
    if let Some(who) = who {
        request = request.header(if api { header::AUTHORIZATION } else { header::COOKIE }, who);
    }
    let body = match (method, api) {
        ("POST", true) => r#"{"note": "n"}"#.to_owned(),
        ("POST", false) => format!("csrf={csrf}&note=n"),
        _ => String::new(),
    };
    request.body(Body::from(body)).unwrap()
}

/// Not allowed: 401, 403, or the way to the sign-in page. What does not exist (404) was allowed.
fn allowed(status: StatusCode, location: &str) -> bool {
    let sent_away = status == StatusCode::SEE_OTHER && location.starts_with("/sign-in?");
    !sent_away && status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_has_an_authorisation_line_and_keeps_it() {
    let routes = Console::routes();
    let known: Vec<_> = EXPECTED.iter().map(|(method, path, _)| (method.parse::<Method>().unwrap(), *path)).collect();
    let have: Vec<_> = routes.iter().map(|route| (route.method.clone(), route.path)).collect();
    assert_eq!(known, have, "EXPECTED and the routes must name the same, in the same order");

    let world = World::new().await;
    for (method, path, expected) in EXPECTED {
        for (person, expected) in PEOPLE.iter().zip(expected.chars()) {
            let (name, ago) = match *person {
                "nobody" => ("", 0),
                "stale approver" => ("approver", 301),
                name => (name, 0),
            };
            let (who, csrf) = match (name, path.starts_with("/api/")) {
                ("", _) => (None, String::new()),
                (_, true) => (Some(format!("Bearer {}", world.token(name, ago))), String::new()),
                ("agent", false) => continue,
                (_, false) => {
                    let browser = world.browser(name, ago).await;
                    (Some(browser.cookie), browser.csrf)
                }
            };
            let response = world.send(request(method, path, who.as_deref(), &csrf)).await;
            let location = response.headers().get(header::LOCATION).and_then(|at| at.to_str().ok()).unwrap_or_default();
            let may = allowed(response.status(), location);
            assert_eq!(may, expected == 'y', "{method} {path} by {person}: {}", response.status());
        }
    }
}

#[tokio::test]
async fn a_cookie_opens_no_api_and_a_bearer_token_no_page() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let with_cookie =
        Request::get("/api/v1/audit").header(header::COOKIE, &browser.cookie).body(Body::empty()).unwrap();
    assert_eq!(world.send(with_cookie).await.status(), StatusCode::UNAUTHORIZED);
    let bearer = format!("Bearer {}", world.token("approver", 0));
    let with_token = Request::get("/requests").header(header::AUTHORIZATION, bearer).body(Body::empty()).unwrap();
    let response = world.send(with_token).await;
    assert_eq!(response.headers()[header::LOCATION], "/sign-in?next=%2Frequests");
}
