//! The one call of the API, by hand: POST over plain HTTP/1.1, unsigned.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// What the machine is to be registered by.
pub struct Activation<'a> {
    pub id: &'a str,
    pub code: &'a str,
    pub region: &'a str,
}

/// Why there is no instance ID.
#[derive(Debug, thiserror::Error)]
pub enum ApiFailure {
    #[error("'{0}' is not the address of an API: http://HOST:PORT")]
    Endpoint(String),
    #[error("RequestError: no answer came: {0}")]
    Connection(#[from] std::io::Error),
    #[error("SerializationError: the answer, of status {status}, is not the API's")]
    Foreign { status: u16 },
    #[error("{code}: {message}")]
    Refused { status: u16, code: String, message: String },
}

impl ApiFailure {
    /// The SDK's rule: what is the network's fault, or the service's own, may pass.
    fn may_pass(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Refused { status, code, .. } => *status >= 500 || code == "ThrottlingException",
            Self::Foreign { status } => *status >= 500,
            Self::Endpoint(_) => false,
        }
    }
}

/// The SDK tries thrice more, a little later each time.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(30), Duration::from_millis(60), Duration::from_millis(120)];
const TIMEOUT: Duration = Duration::from_secs(10);

/// Registers the machine; what it returns is its new ID.
///
/// # Errors
/// What the API said, or why it said nothing.
pub fn register(
    endpoint: &str,
    activation: &Activation<'_>,
    public_key: &str,
    fingerprint: &str,
) -> Result<String, ApiFailure> {
    let body = json!({
        "ActivationCode": activation.code,
        "ActivationId": activation.id,
        "PublicKey": public_key,
        "PublicKeyType": "Rsa",
        "Fingerprint": fingerprint,
    });
    let body = body.to_string();
    let mut answer = call(endpoint, &body);
    for pause in PAUSES {
        if !answer.as_ref().is_err_and(ApiFailure::may_pass) {
            break;
        }
        std::thread::sleep(pause);
        answer = call(endpoint, &body);
    }
    answer
}

fn call(endpoint: &str, body: &str) -> Result<String, ApiFailure> {
    let host = endpoint.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains('/'));
    let host = host.ok_or_else(|| ApiFailure::Endpoint(endpoint.to_owned()))?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: AmazonSSM.RegisterManagedInstance\r\n\
         User-Agent: fake-ssm-agent\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    read(&String::from_utf8_lossy(&reply))
}

fn read(reply: &str) -> Result<String, ApiFailure> {
    let nothing = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(nothing)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or_else(nothing)?;
    let body: Value = serde_json::from_str(body).map_err(|_| ApiFailure::Foreign { status })?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    match (status, text("InstanceId"), text("__type")) {
        (200, Some(id), _) => Ok(id),
        (_, _, Some(code)) => {
            let message = text("message").or_else(|| text("Message")).unwrap_or_default();
            Err(ApiFailure::Refused { status, code, message })
        }
        _ => Err(ApiFailure::Foreign { status }),
    }
}
