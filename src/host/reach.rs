//! How an authority is reached, one layer after the other: its name, the proxy, the clock, TLS. For
//! `enlist doctor`. Nothing but `GET /` is sent.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::https::{self, Asked, HttpsError, Limits, Server, Trust};
use super::net::HttpClients;
use crate::bootstrap::clock_skew;
use crate::fault::{Fault, Kind, deepest};
use crate::targets::address::Url;

/// How long an answer of the resolver, or of a server, may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The largest answer that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Where a service is asked, and how it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Scheme, host and port.
    pub url: String,
    /// None: with the CAs that this system trusts.
    pub ca: Option<String>,
    /// With what the server is compared instead, where TLS does not verify it.
    pub unchecked: Option<&'static str>,
}

fn parsed(url: &str) -> Result<Url<'_>, Fault> {
    Url::parse(url).map_err(|error| {
        let todo = "correct the URL; `enlist check` shows where it is set";
        Fault::new(Kind::Config, "this is not a URL", url, todo).cause(error.to_string())
    })
}

/// The addresses of the host, or of the proxy that finds them; with the name that was resolved.
///
/// # Errors
/// `Transient` if the name can't be resolved.
pub async fn resolve(clients: &HttpClients, contact: &Contact) -> Result<String, Fault> {
    let proxy = clients.proxy_of(&contact.url);
    let url = parsed(proxy.as_deref().unwrap_or(&contact.url))?;
    let host = url.host;
    if host.parse::<IpAddr>().is_ok() {
        return Ok(format!("{host} is an address"));
    }
    let fault = |cause: String| {
        let todo = format!(
            "check the name in the settings (`enlist check`), and the resolver: `getent hosts {host}`, /etc/resolv.conf"
        );
        Fault::new(Kind::Transient, "this name can't be resolved", host, todo).cause(cause)
    };
    let found = timeout(LIMIT, lookup_host((host, url.port_or_default()))).await;
    let found = found.map_err(|_| fault(format!("no answer in {} s", LIMIT.as_secs())))?;
    let mut found: Vec<String> =
        found.map_err(|error| fault(deepest(&error)))?.map(|at| at.ip().to_string()).collect();
    found.dedup();
    if found.is_empty() {
        return Err(fault("it has no address".to_owned()));
    }
    Ok(format!("{host} is {}", found.join(", ")))
}

/// Connects to the proxy that is used for this service, if there is one.
///
/// # Errors
/// `Transient` if it does not accept connections.
pub async fn proxy(clients: &HttpClients, contact: &Contact) -> Result<Option<String>, Fault> {
    let Some(proxy) = clients.proxy_of(&contact.url) else { return Ok(None) };
    let shown = super::net::proxy::shown(&proxy);
    let fault = |cause: String| {
        let todo =
            "correct HTTPS_PROXY or HTTP_PROXY, start the proxy, or add the host to NO_PROXY";
        Fault::new(Kind::Transient, "the proxy can't be reached", shown.as_str(), todo).cause(cause)
    };
    let url = parsed(&proxy)?;
    https::tcp(url.host, url.port_or_default()).await.map_err(fault)?;
    Ok(Some(shown))
}

/// Compares the clocks by the date of an answer, whose sender is not verified. The answer itself may be
/// an error. Returns how far this clock is off, as a text.
///
/// # Errors
/// `Transient` if there is no answer, or if this clock is wrong.
pub async fn clock(clients: &HttpClients, contact: &Contact) -> Result<String, Fault> {
    let before = clients.skew().seconds();
    let url = parsed(&contact.url)?;
    if url.is_plain {
        ask_plain(clients, &contact.url).await?;
    } else {
        let answer = get(clients, &url, Trust::Unchecked).await;
        if let Err(error) = answer.as_ref().map_err(|error| unanswered(error, contact, ""))
            && clients.skew().seconds() == before
        {
            return Err(error);
        }
    }
    let skew = clients.skew().seconds();
    match clock_skew::describe(skew) {
        None => Ok(format!("{} s from the clock of {}", skew.unsigned_abs(), contact.url)),
        Some(wrong) => {
            let todo = "set the clock: `timedatectl set-ntp true`, then `timedatectl`; without NTP: `timedatectl set-time 'YYYY-MM-DD HH:MM:SS'`";
            Err(Fault::new(
                Kind::Transient,
                "the clock of this machine is wrong",
                contact.url.as_str(),
                todo,
            )
            .cause(wrong))
        }
    }
}

/// Opens a connection and verifies the server. Returns with which CA.
///
/// # Errors
/// As a call would end.
pub async fn tls(clients: &HttpClients, contact: &Contact, trusted: &str) -> Result<String, Fault> {
    let url = parsed(&contact.url)?;
    if url.is_plain {
        ask_plain(clients, &contact.url).await?;
        return Ok("http://: nothing to verify".to_owned());
    }
    let (trust, with) = match (contact.unchecked, &contact.ca) {
        (Some(with), _) => (Trust::Unchecked, with),
        (None, Some(ca)) => (Trust::Ca(ca), "the CA of the settings (ca_file)"),
        (None, None) => (Trust::System, trusted),
    };
    let todo = match &contact.ca {
        Some(_) => {
            "give the CA of that server in ca_file: its root, and every intermediate; a proxy that decrypts TLS can't stand between"
        }
        None => {
            "if a proxy or a private endpoint has a CA of its own: AWS_CA_BUNDLE=/FILE in /etc/default/enlist or /etc/sysconfig/enlist"
        }
    };
    match get(clients, &url, trust).await {
        Ok(()) | Err(HttpsError::Redirect(..) | HttpsError::TooLarge(_)) => {
            Ok(format!("{}: verified with {with}", contact.url))
        }
        Err(error) => Err(unanswered(&error, contact, todo)),
    }
}

async fn get(clients: &HttpClients, url: &Url<'_>, trust: Trust<'_>) -> Result<(), HttpsError> {
    let (host, port) = (url.host, url.port_or_default());
    let request = hyper::Request::builder()
        .uri("/")
        .header("host", https::place(host, port))
        .header("user-agent", https::USER_AGENT)
        .body(Full::new(Bytes::new()))
        .map_err(|error| HttpsError::NotHttp(error.to_string()))?;
    let limits = Limits { time: LIMIT, bytes: LARGEST };
    https::ask(clients, Server { host, port, trust, identity: None }, request, limits)
        .await
        .map(drop)
}

fn unanswered(error: &HttpsError, contact: &Contact, if_untrusted: &str) -> Fault {
    error.fault(&Asked {
        action: "GET /",
        on: &contact.url,
        url: &contact.url,
        service: "an HTTP server",
        settings: "the endpoint (`enlist check`)",
        if_untrusted,
    })
}

async fn ask_plain(clients: &HttpClients, url: &str) -> Result<(), Fault> {
    let fault = |cause: String| {
        let todo = "check the endpoint (`enlist check`), the network, and whether the server runs";
        Fault::new(Kind::Transient, "the endpoint does not answer", url, todo).cause(cause)
    };
    let answer = clients.date_of(url, LIMIT).await;
    answer.map_err(|error| fault(deepest(&error)))
}
