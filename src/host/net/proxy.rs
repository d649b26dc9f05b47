//! The proxies between this machine and the APIs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::exceptions;
use crate::fault::{Fault, Kind};
use crate::host::aws::environment::Proxies;
use crate::host::timer;
use crate::targets::address::{Url, bracketed, is_loopback};

/// How long a proxy may take to repeat its refusal.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest head of a proxy's answer, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// Decides which URLs are reached through which proxy.
pub struct Proxy {
    proxies: Proxies,
}

/// The proxy refused a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy {proxy} answered with HTTP status {status}")]
pub struct ProxyRefused {
    pub status: u16,
    /// The proxy's URL, without a login.
    pub proxy: String,
}

impl ProxyRefused {
    /// The fault of a request that the proxy did not pass on. A login or a rule that is missing does not
    /// come by itself; any other status may pass.
    #[must_use]
    pub fn fault(&self, action: &str, on: &str, endpoint: &str) -> Fault {
        let what = format!("{action} could not be sent");
        let cause = format!("{self} to the request for {endpoint}");
        match self.status {
            407 => {
                let todo = "set the proxy's login: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT";
                Fault::new(Kind::Denied, what, on, todo).cause(cause).finally()
            }
            403 => {
                let todo = "allow this endpoint in the proxy, or add its host to NO_PROXY";
                Fault::new(Kind::Denied, what, on, todo).cause(cause).finally()
            }
            _ => {
                let todo = "wait; if it lasts, check the proxy, or add the host to NO_PROXY";
                Fault::new(Kind::Transient, what, on, todo).cause(cause)
            }
        }
    }
}

/// The fault of a request for which the proxy could not be reached.
#[must_use]
pub fn unreached(action: &str, on: &str, proxy: &str, cause: String) -> Fault {
    let what = format!("{action} could not be sent: the proxy can't be reached");
    let todo = format!(
        "start the proxy {proxy}, correct HTTPS_PROXY or HTTP_PROXY, or add the host to NO_PROXY"
    );
    Fault::new(Kind::Transient, what, on, todo).cause(cause).unsent()
}

impl Proxy {
    #[must_use]
    pub fn new(proxies: Proxies) -> Self {
        Self { proxies }
    }

    /// The proxy for a URL; none if it is reached directly. A loopback address always is: for the
    /// proxy, that name would be the proxy's own machine.
    #[must_use]
    pub fn of(&self, url: &str) -> Option<&str> {
        let parsed = Url::parse(url).ok()?;
        let proxy = if parsed.is_plain { &self.proxies.http } else { &self.proxies.https };
        let exceptions = self.proxies.exceptions.as_deref().unwrap_or_default();
        let is_direct = is_loopback(parsed.host)
            || exceptions::has(exceptions, parsed.host, parsed.port_or_default());
        proxy.as_deref().filter(|_| !is_direct)
    }
}

/// Scheme, host and port, without a login.
#[must_use]
pub fn shown(url: &str) -> String {
    let Ok(parsed) = Url::parse(url) else { return "(unreadable)".to_owned() };
    let scheme = if parsed.is_plain { "http" } else { "https" };
    let host = bracketed(parsed.host);
    match parsed.port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// The HTTP status with which a proxy refuses to connect; none if it is not known. The connector
/// does not report the status, so this asks the proxy once more.
pub async fn refusal(proxy: &str, url: &str) -> Option<u16> {
    let (proxy, url) = (Url::parse(proxy).ok()?, Url::parse(url).ok()?);
    if !proxy.is_plain {
        return None;
    }
    let place = format!("{}:{}", bracketed(url.host), url.port_or_default());
    let answer = async {
        let mut stream = TcpStream::connect((proxy.host, proxy.port_or_default())).await.ok()?;
        tunnel(&mut stream, proxy.login, &place).await.ok()
    };
    tokio::time::timeout(timer::cut(TIMEOUT), answer).await.ok()?
}

/// Asks a proxy for a connection to a place (`host:port`), and reads the head of its answer. Returns its
/// HTTP status. With 200 to 299, the stream leads to that place.
pub async fn tunnel(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    login: Option<&str>,
    place: &str,
) -> std::io::Result<u16> {
    let login = login
        .map(|login| format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(decoded(login))));
    let login = login.unwrap_or_default();
    let asked = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n");
    stream.write_all(asked.as_bytes()).await?;
    stream.flush().await?;
    // One byte at a time: what follows the head belongs to the place.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1));
    let status = status.and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("what answered is not a proxy"))
}

/// Decodes `%41` and the like.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let escaped = byte.filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Proxy, decoded, shown};
    use crate::host::aws::environment::Proxies;

    #[test]
    fn urls_go_through_their_proxy_and_loopback_is_reached_directly() {
        let proxy = Proxy::new(Proxies {
            https: Some("http://s:3128".to_owned()),
            http: Some("http://u:p@h:3128".to_owned()),
            exceptions: Some("inside.example,10.0.0.0/8".to_owned()),
        });
        assert_eq!(proxy.of("https://a.example/x"), Some("http://s:3128"));
        assert_eq!(proxy.of("http://a.example"), Some("http://u:p@h:3128"));
        for direct in [
            "http://127.0.0.1:9",
            "https://localhost",
            "http://[::1]/",
            "https://b.inside.example",
            "https://10.1.2.3",
        ] {
            assert_eq!(proxy.of(direct), None, "{direct}");
        }
        assert_eq!(Proxy::new(Proxies::default()).of("https://a.example"), None);
    }

    #[test]
    fn a_login_is_sent_and_never_shown() {
        assert_eq!(shown("http://u:s3cret@p:3128/x"), "http://p:3128");
        assert_eq!(shown("https://[::1]:1"), "https://[::1]:1");
        assert_eq!(decoded("a%40b%2"), b"a@b%2");
    }
}
