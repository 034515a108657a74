//! A call of gRPC by curl, which knows nothing of it: what matters is that the trailers arrive, over HTTP/1.1 too.

use std::process::Command;

use super::client::{EVERY_WAY, Version, end, everything, first_line, version_option};
use super::site::{Server, Site, Towards};

pub(super) const NAME: &str = "curl (one call of gRPC)";
pub(super) const SERVER: Server = Server::Tonic;
pub(super) const WAYS: &[(Version, bool)] = EVERY_WAY;

/// The message of a call, as gRPC frames it: not compressed, five bytes, field 1 is the number 42, field 2 the byte `x`.
pub(super) const MESSAGE: &[u8] = b"\0\0\0\0\x05\x08\x2a\x12\x01x";

/// Whether there is a curl.
pub(super) fn is_possible() -> bool {
    first_line(Command::new("curl").arg("--version")).is_some()
}

/// Calls and looks at the answer.
///
/// # Errors
/// What is not as it must be.
pub(super) fn run(site: &Site, (version, secure): (Version, bool), towards: Towards) -> Result<(), String> {
    let address = format!("{}/lab.Calls/Echo", site.calls(secure, towards));
    let output = Command::new("curl")
        // Without `raw` it keeps the trailers of HTTP/1.1 to itself.
        .args(["-sS", "-v", "--raw", "--max-time", "20", version_option(version, secure), "--cacert"])
        .arg(site.authority())
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary"])
        .arg(format!("@{}", site.message().display()))
        .arg(address)
        .output()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let told = everything(&output);
    let reached = format!("lab-reached: {towards}\r\n");
    let spoke = match version {
        Version::Http1 => "< HTTP/1.1 200",
        Version::Http2 => "< HTTP/2 200",
    };
    let same = output.stdout.windows(MESSAGE.len()).any(|part| part == MESSAGE);
    let well = [&reached, spoke, "grpc-status: 0"].iter().all(|part| told.contains(part));
    if output.status.success() && same && well {
        Ok(())
    } else {
        Err(format!("{}: {}", output.status, end(&told)))
    }
}
