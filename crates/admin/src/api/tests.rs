mod served;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use evenkeel_proxy::message::{PoolSnapshot, QueueSnapshot, Snapshot};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use super::*;
use crate::message::{Blame, Phase, Refusal, Stopping, Word};

/// A supervisor that gives every command the answer that `answers` has for it.
fn supervised(door: Door, answers: impl Fn(Command) -> Answer + Send + 'static) -> Router {
    let (desk, mut outbox) = Desk::new();
    let answering = desk.clone();
    tokio::spawn(async move {
        while let Some(word) = outbox.recv().await {
            if let Word::Request { id, command, .. } = word {
                answering.answer(id, answers(command));
            }
        }
    });
    router(desk, door).layer(Extension(By("a test".into())))
}

async fn ask(router: &Router, method: Method, path: &str, host: &str) -> Response<Body> {
    let request =
        Request::builder().method(method).uri(path).header("host", host).body(Body::empty()).unwrap();
    TowerToHyperService::new(router.clone()).call(request).await.unwrap()
}

async fn json_of(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

fn status(traffic: Option<Snapshot>) -> Answer {
    Answer::Status(Box::new(Status {
        version: "0.1.0".into(),
        pid: 7,
        since: 1,
        uptime: 2,
        generation: 1,
        old_generations: Vec::new(),
        last_upgrade: None,
        phase: Phase::Running,
        config: "/etc/evenkeel/evenkeel.toml".into(),
        revision: 3,
        max_connections_from: "the file".into(),
        roles: Vec::new(),
        last_reload: None,
        trial: None,
        runtime_changes: Vec::new(),
        state_dir: None,
        alarms: Vec::new(),
        certificates: Vec::new(),
        sources: Vec::new(),
        traffic_missing: traffic.is_none().then(|| "it is being restarted".into()),
        traffic,
        virtual_routers: None,
        pair: None,
    }))
}

fn with_one_pool() -> Answer {
    let pool = PoolSnapshot {
        name: "web".parse().unwrap(),
        balance: "round-robin".into(),
        requests_total: 0,
        retries_total: 0,
        retries_denied_total: 0,
        all_down: None,
        sticky: None,
        grpc_total: None,
        queue: QueueSnapshot::default(),
        servers: Vec::new(),
    };
    status(Some(Snapshot { pools: vec![pool], ..Snapshot::default() }))
}

#[tokio::test]
async fn a_pool_is_shown_by_its_name() {
    let router = supervised(Door::Control, |_| with_one_pool());
    let response = ask(&router, Method::GET, "/v1/pools/web", "x").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let pool = json_of(response).await;
    assert_eq!(
        (&pool["name"], &pool["balance"], &pool["servers"]),
        (&json!("web"), &json!("round-robin"), &json!([]))
    );

    let response = ask(&router, Method::GET, "/v1/pools/other", "x").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(json_of(response).await["status"], 404);
}

#[tokio::test]
async fn health_follows_the_proxy_role() {
    let well = supervised(Door::Loopback, |_| with_one_pool());
    assert_eq!(ask(&well, Method::GET, "/healthz", "localhost").await.status(), StatusCode::OK);

    let ill = supervised(Door::Loopback, |_| status(None));
    let response = ask(&ill, Method::GET, "/healthz", "localhost").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(response).await["detail"], "the proxy role cannot be asked: it is being restarted");
    // The status itself is there all the same.
    let response = ask(&ill, Method::GET, "/v1/status", "localhost").await;
    assert_eq!(json_of(response).await["traffic_missing"], "it is being restarted");
}

#[tokio::test]
async fn tcp_shows_and_does_not_steer() {
    let router = supervised(Door::Loopback, |_| unreachable!("no command may get here"));
    for path in ["/v1/reload", "/v1/stop"] {
        let response = ask(&router, Method::POST, path, "localhost:8404").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(json_of(response).await["detail"].as_str().unwrap().contains("control socket"));
    }
}

#[tokio::test]
async fn tcp_answers_to_loopback_names_only() {
    let router = supervised(Door::Loopback, |_| unreachable!("no command may get here"));
    let response = ask(&router, Method::GET, "/v1/status", "evil.example").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_refused_reload_carries_the_report() {
    let router = supervised(Door::Control, |command| {
        assert_eq!(command, Command::Reload);
        Answer::Refused(Refusal {
            blame: Blame::Configuration,
            detail: "2 errors".into(),
            text: Some("error: …".into()),
            report: Some(json!({"problems": []})),
        })
    });
    let response = ask(&router, Method::POST, "/v1/reload", "x").await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let expected = json!({
        "title": "Unprocessable Entity", "status": 422, "detail": "2 errors", "text": "error: …", "report": {"problems": []},
    });
    assert_eq!(json_of(response).await, expected);
}

#[tokio::test]
async fn a_stop_is_accepted_and_says_how_long_it_may_take() {
    let router = supervised(Door::Control, |_| Answer::Stopping(Stopping { pid: 7, within: 30 }));
    let response = ask(&router, Method::POST, "/v1/stop", "x").await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(json_of(response).await, json!({"pid": 7, "within": 30}));
}

#[tokio::test]
async fn wrong_methods_and_unknown_paths_are_problems_too() {
    let router = supervised(Door::Control, |_| unreachable!("no command may get here"));
    let response = ask(&router, Method::GET, "/v1/reload", "x").await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(
        json_of(response).await["detail"],
        "GET is not what /v1/reload is for: the header `Allow` of this answer says what is"
    );
    let response = ask(&router, Method::GET, "/v2", "x").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        json_of(response).await["detail"],
        "there is nothing at /v2: `/v1/openapi.json` lists what there is"
    );
}

#[tokio::test]
async fn a_name_that_is_no_text_is_a_problem_too() {
    let router = supervised(Door::Control, |_| unreachable!("no command may get here"));
    for (method, path) in [
        (Method::GET, "/v1/pools/%FF"),
        (Method::DELETE, "/v1/pools/web/servers/%FF"),
        (Method::POST, "/v1/virtual-routers/%C3%28/failover"),
    ] {
        let response = ask(&router, method, path, "x").await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        assert!(json_of(response).await["detail"].as_str().unwrap().contains("name"), "{path}");
    }
}

#[tokio::test]
async fn the_document_says_what_names_are_and_that_others_are_refused() {
    let document = serde_json::to_value(parts().1).unwrap();
    let pool = &document["paths"]["/v1/pools/{pool}"]["get"];
    assert_eq!(pool["parameters"][0]["schema"]["pattern"], "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$");
    let content = &pool["responses"]["400"]["content"];
    assert!(content["application/problem+json"].is_object(), "{content}");
    let pattern = |name: &str| name.parse::<evenkeel_traffic::name::Name>().is_ok();
    // As the pattern has it.
    assert!(pattern("a") && pattern("0.-_") && pattern(&"x".repeat(64)));
    assert!(!pattern("") && !pattern("-a") && !pattern("a/b") && !pattern(&"x".repeat(65)));
}

#[tokio::test]
async fn a_supervisor_that_ends_leaves_nobody_waiting() {
    let (desk, outbox) = Desk::new();
    let router = router(desk.clone(), Door::Control).layer(Extension(By("a test".into())));
    let asking = tokio::spawn(async move { ask(&router, Method::GET, "/v1/status", "x").await });
    // The command has arrived when it can be taken.
    let mut outbox = outbox;
    outbox.recv().await.unwrap();
    desk.close();
    assert_eq!(asking.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}
