//! Certificates of servers, and the CAs that are trusted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::common::server::whole;
use crate::common::{expect, text};
use crate::{at_once, join, node};

/// A TLS server with a self-signed certificate. Its answers are not an API's.
struct Tls {
    port: u16,
    directory: tempfile::TempDir,
}

impl Tls {
    fn start(name: &str) -> Self {
        Self::valid(name, 2020, 2120)
    }

    fn valid(name: &str, from: i32, to: i32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
        let private = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let config = config.clone();
                std::thread::spawn(move || answer(config, stream.unwrap()));
            }
        });
        Self { port, directory }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn file(&self) -> String {
        text(&self.directory.path().join("cert.pem")).to_owned()
    }
}

fn answer(config: Arc<rustls::ServerConfig>, stream: TcpStream) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = tls.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&part[..read]);
    }
    tls.write_all(whole("200 OK", "\"hello\"").as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}

#[test]
fn a_certificate_of_an_unknown_ca_ends_the_join() {
    let tls = Tls::start("127.0.0.1");
    let url = tls.url();
    let run = at_once(
        &[("AWS_ENDPOINT_URL", &url)],
        78,
        &["no secure connection", &url, "AWS_CA_BUNDLE"],
    );
    assert!(
        run.stderr.contains("unknown CA") || run.stderr.contains("not accepted"),
        "{}",
        run.stderr
    );
    // Another name than the certificate's.
    let other = Tls::start("other.example");
    let (url, file) = (other.url(), other.file());
    at_once(&[("AWS_ENDPOINT_URL", &url), ("AWS_CA_BUNDLE", &file)], 78, &["not accepted", &url]);
}

#[test]
fn only_the_named_bundle_is_trusted() {
    let (tls, other) = (Tls::start("127.0.0.1"), Tls::start("127.0.0.1"));
    let (url, file, foreign) = (tls.url(), tls.file(), other.file());
    let at = [("AWS_ENDPOINT_URL", &*url)];
    // TLS succeeds, and the answer is not the API's.
    let trusted = |variables: &[(&str, &str)]| {
        at_once(&[&at[..], variables].concat(), 76, &["is not from the API"]);
    };
    trusted(&[("AWS_CA_BUNDLE", &file)]);
    trusted(&[("SSL_CERT_FILE", &file)]);
    trusted(&[("AWS_CA_BUNDLE", &file), ("SSL_CERT_FILE", &foreign)]);
    at_once(
        &[&at[..], &[("AWS_CA_BUNDLE", &*foreign), ("SSL_CERT_FILE", &file)]].concat(),
        78,
        &["no secure connection"],
    );

    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), format!("[default]\nca_bundle = {file}\n"))
        .unwrap();
    let home = text(home.path());
    trusted(&[("HOME", home)]);
    trusted(&[("HOME", home), ("SSL_CERT_FILE", &foreign)]);
    // The variable wins over the profile, as in the AWS CLI.
    at_once(
        &[&at[..], &[("HOME", home), ("AWS_CA_BUNDLE", &*foreign)]].concat(),
        78,
        &["no secure connection"],
    );
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let files = [
        "/nonexistent/ca.pem".to_owned(),
        write("empty", ""),
        write("text", "no certificate\n"),
        write("broken", broken),
        write("base64", "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
        write("half", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        write("key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
        text(directory.path()).to_owned(),
    ];
    for file in &files {
        for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
            let variables = [("AWS_ENDPOINT_URL", "https://127.0.0.1:9"), (name, file.as_str())];
            at_once(&variables, 78, &[name, file, "trusted CAs"]);
        }
    }
}

#[test]
fn a_certificate_that_is_not_valid_now_is_retried() {
    for (from, to, words) in [
        (2000, 2001, "the certificate expired at 2001-01-01"),
        (2100, 2120, "is valid from 2100-01-01"),
    ] {
        let tls = Tls::valid("127.0.0.1", from, to);
        let (url, file) = (tls.url(), tls.file());
        let run = join(&node("2s"), &[("AWS_ENDPOINT_URL", &url), ("AWS_CA_BUNDLE", &file)]);
        expect(&run, 75, &[words, "this node's clock says", "retrying", "clock is set"]);
    }
}
