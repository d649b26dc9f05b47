//! A client of our own: HTTP by hand over a socket, and Signature Version 4 written a second time.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use enlist_emulator::{Emulator, Now};
use serde_json::Value;

pub const TARGET: &str = "OpsWorksCM_V2016_11_01";

/// A reply, taken apart.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub fn error(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }
}

/// How a request is signed; tests change one field and see it refused.
#[derive(Clone)]
pub struct Signing {
    pub access_key: String,
    pub secret_key: String,
    pub service: String,
    pub region: String,
    pub now: Now,
}

impl Signing {
    /// With the keys and the clock of `emulator`.
    pub fn of(emulator: &Emulator) -> Self {
        Self {
            access_key: variable(emulator, "AWS_ACCESS_KEY_ID"),
            secret_key: variable(emulator, "AWS_SECRET_ACCESS_KEY"),
            service: "opsworks-cm".to_owned(),
            region: "us-east-1".to_owned(),
            now: emulator.now(),
        }
    }

    /// The headers of a signed call of the query protocol: what is accepted, the kind of the body, and
    /// one more, whose name comes after all others.
    pub fn form_headers(
        &self,
        host: &str,
        (accept, kind): (&str, &str),
        extra: (&str, &str),
        body: &str,
    ) -> Vec<(String, String)> {
        let date = self.now.rfc3339().replace(['-', ':'], "");
        self.signed(
            &[
                ("accept", accept),
                ("content-type", kind),
                ("host", host),
                ("x-amz-date", &date),
                extra,
            ],
            &date,
            body,
        )
    }

    /// The headers of a signed call.
    pub fn headers(&self, host: &str, target: &str, body: &str) -> Vec<(String, String)> {
        let date = self.now.rfc3339().replace(['-', ':'], "");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", host),
            ("x-amz-date", &date),
            ("x-amz-target", target),
        ];
        self.signed(&headers, &date, body)
    }

    /// These headers, in the order of their names, and the signature over them.
    fn signed(&self, headers: &[(&str, &str)], date: &str, body: &str) -> Vec<(String, String)> {
        let mut headers = headers.to_vec();
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", sha256(body));
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
        let signature = self.signature(&date[..8], &text);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        headers.push(("authorization", &authorization));
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn signature(&self, day: &str, text: &str) -> String {
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [day, &self.region, &self.service, "aws4_request", text] {
            key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        hex(&key)
    }
}

/// A signed call of an action.
pub fn call(emulator: &Emulator, action: &str, body: &Value) -> io::Result<Reply> {
    call_signed(emulator, &Signing::of(emulator), action, &body.to_string())
}

/// A call signed as told.
pub fn call_signed(
    emulator: &Emulator,
    signing: &Signing,
    action: &str,
    body: &str,
) -> io::Result<Reply> {
    let host = host(emulator.api_url());
    let headers = signing.headers(host, &format!("{TARGET}.{action}"), body);
    send(emulator.api_url(), "POST", "/", &headers, body)
}

/// A signed call of any family's action, by its signing name and its target.
pub fn call_target(
    emulator: &Emulator,
    (service, target): (&str, &str),
    body: &Value,
) -> io::Result<Reply> {
    let signing = Signing { service: service.to_owned(), ..Signing::of(emulator) };
    let body = body.to_string();
    let headers = signing.headers(host(emulator.api_url()), target, &body);
    send(emulator.api_url(), "POST", "/", &headers, &body)
}

/// One request on a connection of its own, and what came back before the connection closed.
pub fn send(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(host(url))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name == "host") {
        request += &format!("host: {}\r\n", host(url));
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    parse(&String::from_utf8_lossy(&reply))
}

fn parse(reply: &str) -> io::Result<Reply> {
    let Some((head, body)) = reply.split_once("\r\n\r\n") else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no reply"));
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in '{head}'")))?;
    let head = head.to_ascii_lowercase();
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Ok(Reply { status, head, body })
}

/// A body that came in chunks.
fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let (Some(chunk), Some(next)) = (more.get(..length), more.get(length + 2..)) else {
            break;
        };
        body += chunk;
        rest = next;
    }
    body
}

/// The address in a URL of the emulator.
pub fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A variable of the emulator's environment.
pub fn variable(emulator: &Emulator, name: &str) -> String {
    let found = emulator.env().into_iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value).unwrap_or_default()
}

fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
