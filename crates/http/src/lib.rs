//! Understands the bytes of HTTP/1 and its neighbours.
//!
//! Pure: bytes in, meaning out. No sockets, no clock, no entropy, no threads. It never repairs what it reads:
//! a message whose end could be understood in two ways is refused (RFC 9112 §11.2).

pub mod answer;
pub mod body;
pub mod cookie;
pub mod forwarded;
pub mod frames;
pub mod grpc;
pub mod head;
pub mod hsts;
pub mod limits;
pub mod machine;
pub mod proxy_header;
pub mod rewrite;
pub mod tls_hello;
pub mod translate;
pub mod uri;
