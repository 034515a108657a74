//! Writes client and server of the service `lab.Calls`, as a `.proto` file would say it, without needing `protoc`.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

const PIECE: &str = "crate::grpc::messages::Piece";
const TALLY: &str = "crate::grpc::messages::Tally";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let service = Service::builder()
        .name("Calls")
        .package("lab")
        .method(method("echo", "Echo", PIECE).build())
        .method(method("count", "Count", PIECE).server_streaming().build())
        .method(method("sum", "Sum", PIECE).client_streaming().build())
        .method(method("talk", "Talk", PIECE).client_streaming().server_streaming().build())
        .method(method("refuse", "Refuse", PIECE).build())
        .method(method("refuse_late", "RefuseLate", PIECE).server_streaming().build())
        .method(method("wait", "Wait", PIECE).build())
        .method(method("observe", "Observe", TALLY).server_streaming().build())
        .method(method("serve", "Serve", PIECE).build())
        .build();
    Builder::new().compile(&[service]);
}

fn method(name: &str, route: &str, answer: &str) -> MethodBuilder {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(PIECE)
        .output_type(answer)
        .codec_path("tonic_prost::ProstCodec")
}
