//! Asks STS who signed a proof. The only network access of the policy.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use crate::autosign::settings::Sts;
use crate::autosign::{NotIdentified, Proven, Refusal, StsAnswer, StsRequest, meaning};
use crate::bootstrap::clock_skew;
use crate::fault::{Fault, Kind};
use crate::host::aws::environment::Proxies;
use crate::host::https::{self, Asked, HttpsError, Limits, Server, Trust};
use crate::host::{AwsSettings, Environment, HttpClients, Root, clock, files, timer};
use crate::targets::address::Url;

/// The largest answer, in bytes. That of STS has some hundreds.
const LARGEST: usize = 64 * 1024;

/// The largest timeout of the settings is a minute.
const LONGEST: Duration = Duration::from_mins(2);

/// The first pause before the request is repeated; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// The variables of the environment that matter: proxies, and the CAs that are trusted.
const VARIABLES: [&str; 11] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Sends the request, and repeats it while STS has a problem and time is left.
///
/// # Errors
/// Why the caller is not known.
pub fn ask(root: &Root, settings: &Sts, request: &StsRequest) -> Result<Proven, Refusal> {
    let deadline = clock::instant() + settings.timeout;
    let clients = clients(settings).map_err(|fault| of_fault(&fault))?;
    let ca = settings.ca_file.as_deref().map(|path| ca(root, path)).transpose()?;
    let (host, port) = place(settings, request)?;
    let trust = ca.as_deref().map_or(Trust::System, Trust::Ca);
    let server = Server { host: &host, port, trust, identity: None };
    let runtime = crate::cli::runtime().map_err(|fault| of_fault(&fault))?;
    let asking = repeatedly(&clients, server, request, deadline);
    let answered = runtime.block_on(async {
        let limit = deadline.saturating_duration_since(clock::instant());
        tokio::time::timeout(limit, asking).await
    });
    // Looking up a name may take longer than there is time. It is not waited for.
    runtime.shutdown_background();
    answered.unwrap_or_else(|_| Err(late(settings)))
}

/// The text of `ca_file`. One without a certificate would trust nobody.
fn ca(root: &Root, path: &str) -> Result<String, Refusal> {
    let text = files::read_trusted_text(root, path, files::LARGEST)
        .map_err(|error| super::unreadable("CA of STS", root, path, &error))?;
    let blocks = pem::parse_many(&text).unwrap_or_default();
    if blocks.iter().any(|block| block.tag() == "CERTIFICATE") {
        return Ok(text);
    }
    let path = root.shown(path);
    Err(Refusal::new(
        Kind::Config,
        format!("there is no certificate in {path}: correct ca_file in [sts], a file in PEM"),
    ))
}

fn late(settings: &Sts) -> Refusal {
    let limit = humantime::format_duration(settings.timeout);
    Refusal::new(Kind::Transient, format!("STS has not answered in {limit}"))
}

async fn repeatedly(
    clients: &HttpClients,
    server: Server<'_>,
    request: &StsRequest,
    deadline: Instant,
) -> Result<Proven, Refusal> {
    let mut pause = PAUSE;
    loop {
        let answered = once(clients, server, request).await;
        let NotIdentified { refusal, is_passing } = match answered {
            Ok(proven) => return Ok(proven),
            Err(not) => not,
        };
        let left = deadline.saturating_duration_since(clock::instant());
        if !is_passing || left <= pause {
            return Err(with_skew(refusal, clients.skew().seconds()));
        }
        timer::pause(pause).await;
        pause *= 2;
    }
}

async fn once(
    clients: &HttpClients,
    server: Server<'_>,
    request: &StsRequest,
) -> Result<Proven, NotIdentified> {
    let mut sending = Request::post(request.path);
    for (name, value) in &request.headers {
        sending = sending.header(*name, value);
    }
    let body = Full::new(Bytes::from_static(request.body.as_bytes()));
    let sending = sending.body(body).map_err(|_| NotIdentified {
        refusal: Refusal::data("the iam proof can't be sent"),
        is_passing: false,
    })?;
    // The limit of all attempts is the caller's.
    let limits = Limits { time: LONGEST, bytes: LARGEST };
    match https::ask(clients, server, sending, limits).await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            meaning(&StsAnswer { status, body: answer.into_body().to_vec() })
        }
        Err(error) => Err(unanswered(&error, server)),
    }
}

/// There is no answer. A refused connection may be accepted in a moment.
fn unanswered(error: &HttpsError, server: Server<'_>) -> NotIdentified {
    let url = format!("https://{}", https::place(server.host, server.port));
    let asked = Asked {
        action: "GetCallerIdentity",
        on: &url,
        url: &url,
        service: "STS",
        settings: "endpoint and proxy in [sts]",
        if_untrusted: "check ca_file in [sts], which must have the CA of that server, or of a proxy between",
    };
    let fault = error.fault(&asked);
    let refusal = match error {
        HttpsError::Proxy(_) => {
            let todo = "correct the login or the rules of the proxy (proxy in [sts], or HTTPS_PROXY in the server's environment)";
            Refusal::new(fault.kind, format!("{}; {todo}", fault.line()))
        }
        _ => of_fault(&fault),
    };
    NotIdentified { is_passing: fault.is_retried(), refusal }
}

fn of_fault(fault: &Fault) -> Refusal {
    Refusal::new(fault.kind, format!("{}; {}", fault.line(), fault.todo))
}

/// Adds the difference of the clocks to a refusal, if it may be the reason: the proof is good for 15
/// minutes.
fn with_skew(refusal: Refusal, skew: i64) -> Refusal {
    match clock_skew::describe(skew).filter(|_| refusal.kind == Kind::Rejected) {
        Some(wrong) => Refusal::new(refusal.kind, format!("{} ({wrong})", refusal.why)),
        None => refusal,
    }
}

/// The host and port to connect to.
fn place(settings: &Sts, request: &StsRequest) -> Result<(String, u16), Refusal> {
    let Some(endpoint) = &settings.endpoint else { return Ok((request.host.clone(), 443)) };
    let url = Url::parse(endpoint).map_err(|error| {
        Refusal::new(Kind::Config, format!("endpoint in [sts] can't be {endpoint:?}: {error}"))
    })?;
    Ok((url.host.to_owned(), url.port_or_default()))
}

/// The proxy of the settings, else that of the environment. AWS profiles are not read.
fn clients(settings: &Sts) -> Result<HttpClients, Fault> {
    let value_of = |name: &str| -> Option<OsString> {
        VARIABLES.contains(&name).then(|| crate::host::variables::variable(name)).flatten()
    };
    let mut environment = Environment::parse(&AwsSettings::default(), value_of, &|_| Ok(None))?;
    if let Some(proxy) = &settings.proxy {
        let https = Some(proxy.clone());
        environment.proxies = Proxies { https, http: None, exceptions: None };
    }
    Ok(HttpClients::new(&environment))
}
