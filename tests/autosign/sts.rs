//! STS for tests: verifies a signature as AWS does, every signed header included.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::csr::{ACCESS_KEY, SECRET_KEY, TOKEN, signature};

/// A request as it came: headers with names in lower case.
pub struct Asked {
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the caller of this request is who has the tests' secret key, with its token.
    pub fn is_signed(&self) -> bool {
        self.header("x-amz-security-token") == Some(TOKEN)
            && self.is_signed_by(ACCESS_KEY, SECRET_KEY)
    }

    pub fn is_signed_by(&self, access_key: &str, secret_key: &str) -> bool {
        self.signed(access_key, secret_key).unwrap_or(false)
    }

    fn signed(&self, access_key: &str, secret_key: &str) -> Option<bool> {
        let authorization = self.header("authorization")?;
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (names, given) = rest.split_once(", Signature=")?;
        let (key, scope) = credential.split_once('/')?;
        let pair = |name: &str| Some((name.to_owned(), self.header(name)?.to_owned()));
        let headers: Option<Vec<_>> = names.split(';').map(pair).collect();
        let wanted =
            signature(secret_key, self.header("x-amz-date")?, scope, &headers?, &self.body);
        Some(key == access_key && given == wanted)
    }
}

/// The answer for a caller.
pub fn identity(account: &str, arn: &str, user: &str) -> String {
    format!(
        r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{"Account":"{account}","Arn":"{arn}","UserId":"{user}"}},"ResponseMetadata":{{"RequestId":"1"}}}}}}"#
    )
}

pub fn instance(account: &str, role: &str, instance: &str) -> String {
    let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{instance}");
    identity(account, &arn, &format!("AROAEXAMPLE:{instance}"))
}

pub const MISMATCH: &str = r#"{"Error":{"Code":"SignatureDoesNotMatch","Message":"The request signature we calculated does not match","Type":"Sender"},"RequestId":"2"}"#;

pub fn whole(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A TLS server, with a CA of its own in a file.
pub struct Sts {
    pub port: u16,
    asked: Arc<AtomicUsize>,
    pub bodies: Arc<Mutex<Vec<Asked>>>,
}

impl Sts {
    /// `answer` gets the request and its number, from 0.
    pub fn start(
        ca: &Path,
        answer: impl Fn(&Asked, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        std::fs::write(ca, certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sts = Self { port, asked: Arc::default(), bodies: Arc::default() };
        let (config, answer) = (Arc::new(config), Arc::new(answer));
        let (count, seen) = (sts.asked.clone(), sts.bodies.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, answer) = (config.clone(), answer.clone());
                let (count, seen) = (count.clone(), seen.clone());
                std::thread::spawn(move || {
                    let Ok(connection) = ServerConnection::new(config) else { return };
                    let mut stream = StreamOwned::new(connection, stream.unwrap());
                    let Some(asked) = read(&mut stream) else { return };
                    let said = answer(&asked, count.fetch_add(1, Ordering::SeqCst));
                    seen.lock().unwrap().push(asked);
                    // The client may be gone.
                    let _ = stream.write_all(said.as_bytes()).and_then(|()| stream.flush());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        sts
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
        bytes.extend(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let first = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        if body.len() >= length {
            return Some(Asked { head: first, headers, body: body.to_owned() });
        }
    }
}
