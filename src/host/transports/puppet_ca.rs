//! A Puppet Server's CA, over HTTPS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request as HttpRequest, Response};

use crate::fault::{Fault, Kind};
use crate::host::https::{self, Asked, HttpsError, Limits, Server};
use crate::host::net::HttpClients;
use crate::pki::public_key::sha256;
use crate::targets::Call;
use crate::targets::puppet_server::api::{Action, Answer, Document, Request, Trust};
use crate::text;

const ROOT: &str = "/puppet-ca/v1";

/// Every answer of the CA has this header: the server's version.
const VERSION: &str = "x-puppet-version";

/// How long an answer may take. A submitted request is answered once the policy has judged it.
const READ_LIMIT: Duration = Duration::from_secs(20);
const SUBMIT_LIMIT: Duration = Duration::from_mins(2);

/// The largest answer, in bytes. A bundle takes some KiB; a revocation list 40 bytes for each
/// certificate that was revoked.
const LARGEST: usize = 4 * 1024 * 1024;

const IF_UNTRUSTED: &str = "check server in [puppet-server] and that ca_file is the CA of that server: its root, and every intermediate; a proxy that decrypts TLS can't stand between";

/// Asks the servers in their order, until a CA answers. A submitted request goes to the next server
/// only if it can't have arrived.
///
/// # Errors
/// The fault of the first server that is worth retrying, else of the first server. The others become
/// its causes.
pub async fn call(clients: &HttpClients, request: Request) -> Result<Answer, Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for server in &request.servers {
        match ask(clients, server, &request).await {
            Ok(answer) => return Ok(answer),
            Err(fault) if fault.may_have_happened => return Err(fault),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        return Err(Fault::new(Kind::Invariant, "no server is named", request.on(), ""));
    }
    let main = faults.iter().position(Fault::is_retried).unwrap_or(0);
    let main = faults.remove(main);
    let others = faults.iter().filter_map(|fault| fault.causes.first());
    Err(others.fold(main, Fault::cause))
}

async fn ask(clients: &HttpClients, server: &str, request: &Request) -> Result<Answer, Fault> {
    let url = format!("https://{}", https::place(server, request.port));
    let place = Place { request, server, on: request.on(), url };
    let time = if place.is_submission() { SUBMIT_LIMIT } else { READ_LIMIT };
    let http = http_request(server, request).map_err(|error| {
        let todo = "this is a bug in enlist; please report it";
        Fault::new(Kind::Invariant, "the request can't be made", request.on(), todo).because(&error)
    })?;
    let limits = Limits { time, bytes: LARGEST };
    let asked = Server {
        host: server,
        port: request.port,
        trust: match &request.trust {
            Trust::Ca(ca) => https::Trust::Ca(ca),
            Trust::Pinned | Trust::FirstUse => https::Trust::Unchecked,
        },
        identity: None,
    };
    let answer = https::ask(clients, asked, http, limits).await;
    let answer = answer.map_err(|error| place.unanswered(&error))?;
    let answer = place.read(&answer)?;
    if let (Trust::FirstUse, Answer::Certificate(Some(found))) = (&request.trust, &answer) {
        let sha256 = sha256(found.text.as_bytes());
        tracing::warn!(
            server,
            sha256,
            "the CA is trusted without a check (trust_on_first_use); pin it with ca_fingerprint"
        );
    }
    Ok(answer)
}

/// The texts of refusals are translated by Accept-Language, so none is sent.
fn http_request(
    server: &str,
    request: &Request,
) -> Result<HttpRequest<Full<Bytes>>, hyper::http::Error> {
    let (method, path, body) = match &request.action {
        Action::GetCertificate { name } => ("GET", format!("certificate/{name}"), ""),
        Action::GetCertificateRequest { name } => {
            ("GET", format!("certificate_request/{name}"), "")
        }
        Action::PutCertificateRequest { name, csr } => {
            ("PUT", format!("certificate_request/{name}"), csr.as_str())
        }
        Action::GetRevocationLists => ("GET", "certificate_revocation_list/ca".to_owned(), ""),
    };
    let builder = HttpRequest::builder()
        .method(method)
        .uri(format!("{ROOT}/{path}"))
        .header("host", https::place(server, request.port))
        .header("accept", "text/plain")
        .header("user-agent", concat!("enlist/", env!("CARGO_PKG_VERSION")));
    let builder =
        if body.is_empty() { builder } else { builder.header("content-type", "text/plain") };
    builder.body(Full::new(Bytes::from(body.to_owned())))
}

/// What was asked, and where.
struct Place<'a> {
    request: &'a Request,
    server: &'a str,
    on: String,
    url: String,
}

impl Place<'_> {
    fn is_submission(&self) -> bool {
        matches!(self.request.action, Action::PutCertificateRequest { .. })
    }

    /// The fault of a request that may have arrived. Only a submission has an effect then.
    fn arrived(&self, fault: Fault) -> Fault {
        if self.is_submission() { fault.in_doubt() } else { fault }
    }

    fn read(&self, answer: &Response<Bytes>) -> Result<Answer, Fault> {
        let status = answer.status().as_u16();
        if answer.headers().get(VERSION).is_none() {
            return Err(self.not_a_ca(answer));
        }
        let document = || {
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            Document { server: self.server.to_owned(), text }
        };
        match (&self.request.action, status) {
            (Action::GetCertificate { .. }, 200) => Ok(Answer::Certificate(Some(document()))),
            (Action::GetCertificate { .. }, 404) => Ok(Answer::Certificate(None)),
            (Action::GetCertificateRequest { .. }, 200) => {
                Ok(Answer::CertificateRequest(Some(document())))
            }
            (Action::GetCertificateRequest { .. }, 404) => Ok(Answer::CertificateRequest(None)),
            (Action::GetRevocationLists, 200) => Ok(Answer::RevocationLists(document())),
            (Action::PutCertificateRequest { name, .. }, 200 | 204) => {
                Ok(Answer::Submitted { name: name.clone() })
            }
            (Action::PutCertificateRequest { .. }, 400) => Ok(Answer::Refused(said(answer))),
            _ => Err(self.failed(answer)),
        }
    }

    /// A status that is not an answer, from the CA itself.
    fn failed(&self, answer: &Response<Bytes>) -> Fault {
        let (action, on) = (self.request.action(), &self.on);
        let status = answer.status().as_u16();
        let fault = match status {
            // The request may have been saved before the server failed.
            500..=599 => {
                let what = format!("{action} met an error of the server");
                self.arrived(self.busy(what, answer))
            }
            429 => self.busy(format!("{action} was throttled"), answer).throttled(),
            401 | 403 => {
                let todo = "allow this request in the server's auth.conf, as the packaged one does";
                Fault::new(Kind::Denied, format!("{action} was denied"), on, todo)
            }
            _ => {
                let todo = "check server and port in [puppet-server]";
                let what = format!("{action} was answered with HTTP status {status}");
                Fault::new(Kind::Protocol, what, on, todo).with_evidence("answer", said(answer))
            }
        };
        fault.cause(format!("{} answered with HTTP status {status}: {}", self.url, said(answer)))
    }

    fn not_a_ca(&self, answer: &Response<Bytes>) -> Fault {
        let action = self.request.action();
        let status = answer.status().as_u16();
        let cause = format!(
            "{} answered with HTTP status {status} and without X-Puppet-Version: a proxy, a balancer, or a compiler without a CA",
            self.url
        );
        let fault = match status {
            429 => {
                let what = format!("{action} was throttled");
                return self.busy(what, answer).throttled().cause(cause);
            }
            500..=599 => self.busy(format!("{action} did not reach the CA"), answer),
            _ => {
                let todo = "name the server that has the CA in server, or have the balancer pass /puppet-ca on to it";
                let what = format!("what answered {action} is not a Puppet CA");
                Fault::new(Kind::Protocol, what, &self.on, todo)
                    .with_evidence("answer", said(answer))
            }
        };
        // A proxy may have passed the request on to the CA.
        self.arrived(fault.cause(cause))
    }

    fn unanswered(&self, error: &HttpsError) -> Fault {
        let fault = error.fault(&self.asked());
        if error.was_sent() { self.arrived(fault) } else { fault }
    }

    /// A fault that may pass, after the time that the server asks for.
    fn busy(&self, what: String, answer: &Response<Bytes>) -> Fault {
        self.asked().passing(what).retry_after(https::retry_after(answer))
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            action: self.request.action(),
            on: &self.on,
            url: &self.url,
            service: "a Puppet CA",
            settings: "server and port in [puppet-server]",
            if_untrusted: IF_UNTRUSTED,
        }
    }
}

/// The text of an answer, for people: one line, not too long.
fn said(answer: &Response<Bytes>) -> String {
    let text = String::from_utf8_lossy(answer.body());
    let text: String = text.chars().take(2000).collect();
    text::line(text.trim())
}
