//! The document and what is served say the same.

use axum::http::HeaderValue;

use super::*;
use crate::message::{
    Confirmed, Edited, FailedOver, Released, Reloaded, RolledBack, RouterPriority, ServerSettings, Upgrading,
};

fn settings() -> ServerSettings {
    ServerSettings {
        pool: "web".parse().unwrap(),
        name: "a".parse().unwrap(),
        address: "192.0.2.1:80".parse().unwrap(),
        check_address: None,
        weight: 1,
        priority: 100,
        max_connections: None,
        state: Default::default(),
        leaving: false,
        runtime_change: None,
        tag: "\"0123\"".into(),
    }
}

fn answer(command: Command) -> Answer {
    let edited =
        |server| Edited { server, created: false, leaves_within: None, durable: true, notes: Vec::new() };
    match command {
        Command::Status => with_one_pool(),
        Command::Server { .. } => Answer::Server(Box::new(settings())),
        Command::EditServer { .. } => Answer::Edited(Box::new(edited(Some(settings())))),
        Command::SaveConfig => Answer::Saved(Saved { files: Vec::new(), changes: Vec::new() }),
        Command::Failover { router } => Answer::FailedOver(FailedOver {
            router,
            active: "192.0.2.2".parse().unwrap(),
            kept: evenkeel_ha::message::Kept::Connections(3),
        }),
        Command::ReleaseRouter { router } => Answer::Released(Released { router, stood_by: true }),
        Command::PrioritizeRouter { router, priority } => Answer::Prioritized(RouterPriority {
            router,
            priority: priority.unwrap_or(100),
            configured: 100,
            by: "root".into(),
        }),
        Command::Upgrade { .. } => {
            Answer::Upgrading(Upgrading { pid: 1, from: "0.1.0".into(), to: "0.2.0".into(), generation: 2 })
        }
        Command::Stop => Answer::Stopping(Stopping { pid: 1, within: 2 }),
        Command::Diff => Answer::Preview(Preview {
            file: "/x".into(),
            changes: Vec::new(),
            consequences: Vec::new(),
            trial: None,
            warnings: String::new(),
            runtime_changes: Vec::new(),
            runtime_priorities: Vec::new(),
        }),
        Command::ConfirmReload => Answer::Confirmed(Confirmed { revision: 2 }),
        Command::RollBack => Answer::RolledBack(RolledBack { revision: 3, missing: Vec::new() }),
        Command::Reload | Command::TryReload { .. } => Answer::Reloaded(Reloaded {
            file: "/x".into(),
            revision: 1,
            changes: Vec::new(),
            consequences: Vec::new(),
            trial: None,
            warnings: String::new(),
        }),
    }
}

async fn document(router: &Router) -> Value {
    json_of(ask(router, Method::GET, "/v1/openapi.json", "localhost").await).await
}

async fn send(router: &Router, method: &str, path: &str, body: &'static str) -> Response<Body> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method.to_ascii_uppercase().parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    TowerToHyperService::new(router.clone()).call(request).await.unwrap()
}

#[tokio::test]
async fn every_documented_operation_is_served_and_answers_as_documented() {
    let router = supervised(Door::Control, answer);
    let document = document(&router).await;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let real = path.replace("{pool}", "web").replace("{server}", "a").replace("{name}", "site");
        let real = if real == "/v1/events" { "/v1/events?follow=false".to_owned() } else { real };
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let body = match method.as_str() {
                "put" => "{\"address\":\"192.0.2.1:80\"}",
                "patch" => "{\"weight\":3}",
                _ => "",
            };
            let bodies = if body.is_empty() { vec![body] } else { vec![body, "{\"unknown\":1}", "["] };
            for body in bodies {
                let response = send(&router, method, &real, body).await;
                let (status, headers) = (response.status(), response.headers().clone());
                let documented = &operation["responses"][status.as_str()];
                assert!(documented.is_object(), "{method} {path} answers {status}, which is not documented");
                assert!(!matches!(status.as_u16(), 405 | 500), "{method} {path}: {status}");
                let kind = headers["content-type"].to_str().unwrap().split(';').next().unwrap();
                assert!(documented["content"][kind].is_object(), "{method} {path}: {kind} in {documented}");
                let bytes = response.into_body().collect().await.unwrap().to_bytes();
                if kind == "application/json" && real != "/v1/openapi.json" {
                    let value: Value = serde_json::from_slice(&bytes).unwrap();
                    fits(&document, &documented["content"][kind]["schema"], &value, path);
                }
            }
        }
    }
    assert!(operations >= 16, "{operations}");
}

/// Whether a value has the fields and kinds that its schema says.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return fits(document, &document["components"]["schemas"][name], value, &format!("{at} → {name}"));
    }
    if let Some(choices) = schema["oneOf"].as_array().filter(|_| schema["type"].is_null()) {
        if value.is_null() {
            assert!(choices.iter().any(|choice| choice["type"] == "null"), "{at}: null");
        } else if let Some(choice) = choices.iter().find(|choice| choice["type"] != "null") {
            fits(document, choice, value, at);
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let property = &schema["properties"][key];
                let more = &schema["additionalProperties"];
                assert!(
                    property.is_object() || more.is_object(),
                    "{at}: `{key}` is not documented in {schema}"
                );
                fits(
                    document,
                    if property.is_object() { property } else { more },
                    value,
                    &format!("{at}.{key}"),
                );
            }
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(required.as_str().unwrap()), "{at}: {required} is missing");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fits(document, &schema["items"], item, at)),
        Value::Null => {
            let kinds = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(kinds.iter().any(|kind| kind == "null"), "{at}: null in {schema}");
        }
        Value::String(_) => assert!(schema["type"].to_string().contains("string"), "{at}: {schema}"),
        Value::Number(_) => assert!(schema["type"].to_string().contains("integer"), "{at}: {schema}"),
        Value::Bool(_) => assert!(schema["type"].to_string().contains("boolean"), "{at}: {schema}"),
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let router = supervised(Door::Control, answer);
    let document = document(&router).await;
    let text = document.to_string();
    let references: Vec<&str> = text.split("\"#/components/schemas/").skip(1).collect();
    assert!(references.len() > 20);
    for reference in references {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[tokio::test]
async fn what_the_answer_shows_has_its_tag() {
    let router = supervised(Door::Control, answer);
    for (method, body) in [("get", ""), ("patch", "{\"state\":\"drain\"}")] {
        let response = send(&router, method, "/v1/pools/web/servers/a", body).await;
        assert_eq!(response.headers()["etag"], "\"0123\"");
    }
    let response = send(&router, "delete", "/v1/pools/web/servers/a?force=maybe", "").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = send(&router, "get", "/v1/pools/web/servers/-a", "").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn only_a_server_that_was_put_there_is_created() {
    let router = supervised(Door::Control, |_| {
        Answer::Edited(Box::new(Edited {
            server: Some(settings()),
            created: true,
            leaves_within: None,
            durable: true,
            notes: Vec::new(),
        }))
    });
    let put = send(&router, "put", "/v1/pools/web/servers/a", "{\"address\":\"192.0.2.1:80\"}").await;
    assert_eq!(put.status(), StatusCode::CREATED);
    // One that was removed is back as the file says.
    let reset = send(&router, "post", "/v1/pools/web/servers/a/reset", "").await;
    assert_eq!(reset.status(), StatusCode::OK);
}

#[tokio::test]
async fn bounds_are_those_of_the_document() {
    let router = supervised(Door::Control, answer);
    let document = document(&router).await;
    let bound = |body: &str| {
        document["components"]["schemas"][body]["properties"]["max_connections"]["maximum"].as_u64()
    };
    assert_eq!((bound("ServerBody"), bound("ServerPatch")), (Some(u32::MAX.into()), Some(u32::MAX.into())));
    for (body, status) in
        [("{\"max_connections\":4294967295}", 200), ("{\"max_connections\":4294967296}", 400)]
    {
        let response = send(&router, "patch", "/v1/pools/web/servers/a", body).await;
        assert_eq!(response.status(), status, "{body}");
    }
    // Ids are whole numbers of 64 bits with a sign, as `format: int64` says.
    for (id, status) in [("9223372036854775807", 200), ("9223372036854775808", 400), ("-1", 400)] {
        let request = Request::builder()
            .uri("/v1/events?follow=false")
            .header("host", "localhost")
            .header("last-event-id", id)
            .body(Body::empty())
            .unwrap();
        let response = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
        assert_eq!(response.status(), status, "{id}");
    }
}

#[tokio::test]
async fn a_stream_is_documented_by_the_fields_of_its_events() {
    let router = supervised(Door::Control, answer);
    let document = document(&router).await;
    let stream = &document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"];
    assert_eq!(stream["schema"]["$ref"], "#/components/schemas/Sent");
    let sent = &document["components"]["schemas"]["Sent"];
    // `gap` has no id, and the first lines only `retry`.
    assert_eq!(sent["required"], Value::Null);
    for field in ["id", "event", "data", "retry"] {
        assert!(sent["properties"][field].is_object(), "{field} in {sent}");
    }
    assert!(document["components"]["schemas"]["Event"]["properties"]["kind"].is_object());
}

#[tokio::test]
async fn a_body_has_a_bound_and_a_kind() {
    let router = supervised(Door::Control, |_| unreachable!("no command may get here"));
    let long = Box::leak(format!("{{\"address\":\"{}\"}}", "x".repeat(LARGEST_BODY)).into_boxed_str());
    let response = send(&router, "put", "/v1/pools/web/servers/a", long).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = ask(&router, Method::PUT, "/v1/pools/web/servers/a", "x").await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
