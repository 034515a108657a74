//! Stapled OCSP responses, and key exchanges that few clients speak: our own connections to servers do.

use std::net::SocketAddr;
use std::process::Command;

use evenkeel_testkit::{Authority, HttpClient, Issued, ToyServer, free_address, needs};

use crate::site::Site;
use crate::tls::{certificates, s_client, secured, tls_status};

fn openssl(authority: &Authority, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(authority.directory())
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the authority says of a certificate that holds.
fn respond(authority: &Authority, issued: &Issued, file: &str) {
    let certificate = issued.certificate.display();
    let serial = openssl(authority, &format!("x509 -in {certificate} -noout -serial"));
    let serial = serial.strip_prefix("serial=").unwrap();
    // A year of two digits below 50 is one of this century.
    let index = format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=www.example.com\n");
    std::fs::write(authority.directory().join("ocsp-index"), index).unwrap();
    openssl(
        authority,
        &format!(
            "ocsp -index ocsp-index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert {certificate} -respout {file} \
             -ndays 1 -noverify"
        ),
    );
}

#[test]
fn clients_get_the_response_along_with_the_certificate() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    respond(&authority, &issued, "www.ocsp");
    let (server, address) = (ToyServer::named("a"), free_address());
    let list = format!(
        "certificates = [{{ certificate = {:?}, key = {:?}, ocsp = {:?} }}]",
        issued.certificate,
        issued.key,
        authority.directory().join("www.ocsp")
    );
    let _site = Site::start(&secured(address, server.address(), "", &list));
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(address, &["-servername", "www.example.com", "-status", version]);
        assert!(said.contains("OCSP Response Status: successful"), "{version}: {said}");
        assert!(said.contains("Cert Status: good"), "{version}: {said}");
        let said = s_client(address, &["-servername", "www.example.com", version]);
        assert!(!said.contains("OCSP Response Status"), "{version}: {said}");
    }
}

#[test]
fn a_key_exchange_that_withstands_quantum_computers_is_spoken_on_both_sides() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, inner, outer): (_, SocketAddr, SocketAddr) =
        (ToyServer::named("a"), free_address(), free_address());
    let only = |curve: &str| format!("versions = [\"1.3\"]\ncurves = [\"{curve}\"]");
    let tls = certificates(&[&issued]) + "\n" + &only("X25519MLKEM768");
    let behind = Site::start(&secured(inner, server.address(), "", &tls));
    let towards = |curves: &str| {
        format!(
            "[listener.website]\nbind = \"{outer}\"\npool = \"website\"\n[pool.website]\npassive = \"off\"\nretries = 0\n\
             [pool.website.tls]\nca = {:?}\nsni = \"www.example.com\"\n{curves}\n\
             [pool.website.servers]\nweb = \"{inner}\"\n",
            authority.ca()
        )
    };
    let before = Site::start(&towards(&only("X25519")));
    let ask = || HttpClient::connect(outer).unwrap().get("/").unwrap();
    let refused = ask();
    assert_eq!((refused.status, refused.header("evenkeel-reason")), (502, Some("server-handshake")));
    // The default offers it.
    for curves in [only("X25519MLKEM768"), String::new()] {
        before.write(&towards(&curves));
        assert!(before.command(&["reload"]).status.success());
        assert_eq!(ask().text(), "a", "{curves}");
    }
    let counted = tls_status(&behind);
    assert_eq!(counted["failures_total"]["nothing-common"], 1, "{counted}");
    assert_eq!(counted["handshakes_total"], 2, "{counted}");
}
