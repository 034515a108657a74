//! What the OpenAPI document says beside the routes: who it is about, the token, and the refusals that all have.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder};

/// Refusals that any request may meet.
const COMMON: [(&str, &str); 4] = [
    ("401", "Over TCP: the token is missing or wrong"),
    ("403", "Over TCP: the Host header is no loopback name, or this address only shows"),
    ("503", "The program is ending, the proxy role does not answer, the machine failed, or too many wait"),
    ("504", "The supervisor gave no answer in time"),
];

/// The document without routes.
pub(super) fn frame() -> OpenApi {
    let about = "Shows and steers Evenkeel. It is served on the control socket, where file permissions say who may use it, \
                 and on `[admin] bind`. Every refusal is a problem document (RFC 9457) that says what to do.";
    let info = InfoBuilder::new()
        .title("Evenkeel")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what holds for all routes.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let mut token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    token.description = Some("The token of `admin.token-file`. Only over TCP, and there to steer.".into());
    components.add_security_scheme("token", SecurityScheme::Http(token));
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(refuse);
    }
}

fn refuse(operation: &mut Operation) {
    for (status, description) in COMMON {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}
