//! Certificates of an authority of the test's own, made by the `openssl` program. Ask [`crate::needs`]`("openssl")` first.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::temp_dir;

/// An authority and what it has issued.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate as PEM.
    pub certificate: PathBuf,
    /// Its key as PEM; only its owner may read it.
    pub key: PathBuf,
}

const ECDSA: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const RSA: &str = "rsa:2048";

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        let authority = Self { directory: temp_dir() };
        authority.openssl(&format!(
            "req -x509 -newkey {ECDSA} -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"
        ));
        authority
    }

    /// Its own certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A certificate for these DNS names, with a P-256 key, in the files `file.pem` and `file.key`.
    #[must_use]
    pub fn issue(&self, file: &str, names: &[&str]) -> Issued {
        self.issue_with(ECDSA, file, names, 2)
    }

    /// The same with an RSA key.
    #[must_use]
    pub fn issue_rsa(&self, file: &str, names: &[&str]) -> Issued {
        self.issue_with(RSA, file, names, 2)
    }

    /// One that has expired.
    #[must_use]
    pub fn issue_expired(&self, file: &str, names: &[&str]) -> Issued {
        self.issue_with(ECDSA, file, names, -1)
    }

    fn issue_with(&self, kind: &str, file: &str, names: &[&str], days: i32) -> Issued {
        let first = names.first().copied().unwrap_or("nameless");
        self.openssl(&format!(
            "req -newkey {kind} -nodes -subj /CN={first} -keyout {file}.key -out {file}.csr"
        ));
        let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        let extensions = format!("subjectAltName={}\n", names.join(","));
        std::fs::write(self.directory.path().join("extensions"), extensions).expect("a file");
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile extensions -out {file}.pem"
        ));
        let path = |extension| self.directory.path().join(file).with_extension(extension);
        Issued { certificate: path("pem"), key: path("key") }
    }

    /// A list with which `revoked` is revoked.
    #[must_use]
    pub fn revoke(&self, revoked: &Issued) -> PathBuf {
        let configuration = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n\
                             default_crl_days=2\n";
        let write =
            |name: &str, text: &str| std::fs::write(self.directory.path().join(name), text).expect("a file");
        write("ca.conf", configuration);
        write("index", "");
        write("number", "01\n");
        let file = revoked.certificate.display();
        self.openssl(&format!("ca -config ca.conf -cert ca.pem -keyfile ca.key -revoke {file}"));
        self.openssl("ca -config ca.conf -cert ca.pem -keyfile ca.key -gencrl -out ca.crl");
        self.directory.path().join("ca.crl")
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.directory.path())
            .output()
            .expect("openssl");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
