//! What the OpenAPI document says beside the routes: who it is about, the token, and the refusals that all have.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::message::Event;

/// Refusals that any request may meet.
const COMMON: [(&str, &str); 4] = [
    ("401", "Over TCP: the token is missing or wrong"),
    ("403", "Over TCP: the Host header is no loopback name, or this address only shows"),
    ("503", "The program is ending, the proxy role does not answer, the machine failed, or too many wait"),
    ("504", "The supervisor gave no answer in time"),
];

/// What any request may meet whose path has names in it.
const OF_NAMES: (&str, &str) = ("400", "A name in the path is none");
/// The same for a head that is too large; the connection is closed without a document.
const TOO_LARGE: (&str, &str) = ("431", "The head of the request is larger than 16 KiB");
/// Names of pools, servers and virtual routers.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

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
    // What streams carry as text is known by its name only.
    let mut named = vec![(Event::name().into_owned(), Event::schema())];
    Event::schemas(&mut named);
    components.schemas.extend(named);
    components.add_security_scheme("token", SecurityScheme::Http(token));
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let has_names = name_names(operation);
            refuse(operation, has_names);
        }
    }
}

/// Says what names in the path are; whether there are any.
fn name_names(operation: &mut Operation) -> bool {
    let parameters = operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let mut in_path = parameters.filter(|parameter| parameter.parameter_in == ParameterIn::Path).peekable();
    let any = in_path.peek().is_some();
    for parameter in in_path {
        let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some(NAME)).build();
        parameter.schema = Some(name.into());
    }
    any
}

fn refuse(operation: &mut Operation, has_names: bool) {
    let (status, description) = TOO_LARGE;
    let response = ResponseBuilder::new().description(description).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    for (status, description) in COMMON.into_iter().chain(has_names.then_some(OF_NAMES)) {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}
