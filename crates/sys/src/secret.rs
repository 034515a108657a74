//! Secrets: files that only the right people can read or change, and random bytes.
//!
//! Invariants: what a file holds is in no error; a file that others could have changed or read is refused; nobody waits
//! for a file that is none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The largest secret, in bytes.
const LARGEST: u64 = 4096;
/// The largest file with the key of a certificate, in bytes.
const LARGEST_PRIVATE_KEY: u64 = 256 * 1024;
/// What must be set for nobody: writing for the group, everything for the others.
const FORBIDDEN: u32 = 0o027;

/// Random bytes of the kernel; waits for its generator to be seeded, which at most happens when the machine starts.
///
/// # Errors
/// When the kernel gives none.
pub fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// What a file with a secret holds. It must belong to root or to the user of this process, and neither may its group
/// write it nor others do anything with it.
///
/// # Errors
/// Why it cannot be used, in words that name the path and what to do.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    read_up_to(path, LARGEST, "; write it with `openssl rand -base64 32`")
}

/// The same for the private key of a certificate, possibly along with the certificate.
///
/// # Errors
/// As [`read`].
pub fn read_private_key(path: &Path) -> Result<Vec<u8>, String> {
    read_up_to(path, LARGEST_PRIVATE_KEY, "; put it there, or mend its path")
}

fn read_up_to(path: &Path, largest: u64, cure_when_missing: &str) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let refused = |why: &str| Err(format!("the key {shown} cannot be used: {why}"));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(error) => {
            let cure = match error {
                Errno::NOENT => cure_when_missing,
                Errno::ACCESS | Errno::PERM => "; let the user who starts Evenkeel read it",
                _ => "",
            };
            return refused(&format!("{}{cure}", plain(&error.into())));
        }
    };
    let about = match rustix::fs::fstat(&file) {
        Ok(about) => about,
        Err(error) => return refused(&plain(&error.into())),
    };
    if !rustix::fs::FileType::from_raw_mode(about.st_mode).is_file() {
        return refused("it is no file");
    }
    let user = rustix::process::geteuid();
    if about.st_uid != 0 && about.st_uid != user.as_raw() {
        return refused("it belongs to another user, who could change it: `chown` it to root");
    }
    if about.st_mode & FORBIDDEN != 0 {
        let mode = about.st_mode & 0o777;
        return refused(&format!("its mode {mode:03o} lets others at it: `chmod 600 {shown}`"));
    }
    // One byte more than is allowed, so that a file that is too long is seen as such.
    let mut secret = Vec::new();
    match File::from(file).take(largest + 1).read_to_end(&mut secret) {
        Ok(length) if length as u64 > largest => refused(&format!("it has more than {largest} bytes")),
        Ok(_) => Ok(secret),
        Err(error) => refused(&plain(&error)),
    }
}

/// Without "(os error 2)", which helps nobody.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_mode(mode: u32, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn a_secret_is_for_its_owner_and_readers_of_its_group() {
        for mode in [0o600, 0o400, 0o640, 0o440] {
            assert_eq!(with_mode(mode, b"secret"), Ok(b"secret".to_vec()), "{mode:o}");
        }
        for mode in [0o604, 0o660, 0o602, 0o641, 0o644] {
            let why = with_mode(mode, b"secret").unwrap_err();
            assert!(why.contains(&format!("its mode {mode:o}")) && why.contains("chmod 600 /"), "{why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(&directory.path().join("none")).unwrap_err().contains("openssl rand"));
        assert!(read(directory.path()).unwrap_err().ends_with("it is no file"));
        // Nobody would ever write into it.
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(read(&pipe).unwrap_err().ends_with("it is no file"));
        assert_eq!(with_mode(0o600, &[b'x'; 4096]).map(|secret| secret.len()), Ok(4096));
        assert!(with_mode(0o600, &[b'x'; 4097]).unwrap_err().ends_with("more than 4096 bytes"));
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
