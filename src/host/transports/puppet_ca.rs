//! A Puppet Server's CA, over HTTPS.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request as HttpRequest, Response};
use zeroize::Zeroizing;

use super::puppet_ca_request::http_request;
use super::server_order::ServerOrder;
use super::{excerpt, unsendable};
use crate::fault::{Fault, Kind};
use crate::host::https::{self, Asked, Connection, HttpsError, Identity, Limits, Server};
use crate::host::net::HttpClients;
use crate::host::root::Root;
use crate::host::tls::Reason;
use crate::host::{clock, files};
use crate::pki::CaBundle;
use crate::pki::crl::{Lists, Revocation};
use crate::targets::Call;
use crate::targets::puppet_server::api::{
    Action, Answer, Document, NotRenewed, Own, Request, Trust,
};

/// Every answer of the CA has this header: the server's version.
const VERSION: &str = "x-puppet-version";

/// How long an answer may take. A submitted request is answered once the policy has judged it.
const READ_LIMIT: Duration = Duration::from_secs(20);
const SUBMIT_LIMIT: Duration = Duration::from_mins(2);

/// The largest answer, in bytes. A bundle takes some KiB; a revocation list 40 bytes for each
/// certificate that was revoked.
const LARGEST: usize = 4 * 1024 * 1024;

const IF_UNTRUSTED: &str = "check server in [puppet-server] and that ca_file is the CA of that server: its root, and every intermediate; a proxy that decrypts TLS can't stand between";

const IF_REVOKED: &str = "somebody may have the key of this server; give it a new one: there, `systemctl stop puppetserver`, remove the files that `puppet config print hostcert hostprivkey hostpubkey --section server` names, `puppetserver ca generate --ca-client --certname $(puppet config print certname --section server)`, `systemctl start puppetserver`; then here the same command again";

const IF_NO_LIST: &str = "have the server give a valid list of each CA up to the root: they are in its ca_crl.pem (`puppet config print cacrl --section server` says where); restart the server, then here the same command again";

/// A connection is used again this long after its last answer, not longer: a server closes those that idle.
const REUSE_LIMIT: Duration = Duration::from_secs(2);

pub struct PuppetCa {
    root: Root,
    clients: HttpClients,
    kept: Option<Kept>,
    order: ServerOrder,
}

/// A connection that may serve the next request.
struct Kept {
    whom: Whom,
    connection: Connection,
    at: Instant,
}

/// What two requests on one connection have in common.
#[derive(PartialEq, Eq)]
struct Whom {
    server: String,
    port: u16,
    trust: Trust,
    own: Option<Own>,
}

impl PuppetCa {
    pub fn new(root: Root, clients: HttpClients) -> Self {
        Self { root, clients, kept: None, order: ServerOrder::default() }
    }

    /// Asks the servers in their order, until a CA answers. A request with an effect goes to the one that
    /// answered last, and to the next one only if it can't have arrived.
    ///
    /// # Errors
    /// The fault of the first server that is worth retrying, else of the first server. The others become
    /// its causes.
    pub async fn call(&mut self, request: Request) -> Result<Answer, Fault> {
        let mut faults: Vec<Fault> = Vec::new();
        for server in self.order.of(&request, clock::instant()) {
            match self.ask(&server, &request).await {
                Ok(answer) => {
                    self.order.answered(&server);
                    return Ok(answer);
                }
                Err(fault) if fault.may_have_happened => return Err(fault),
                Err(fault) => {
                    self.order.failed(&server, clock::instant());
                    faults.push(fault);
                }
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

    async fn ask(&mut self, server: &str, request: &Request) -> Result<Answer, Fault> {
        let url = format!("https://{}", https::place(server, request.port));
        let place = Place { request, server, on: request.on(), url };
        let http = http_request(server, request).map_err(|error| unsendable(&place.on, &error))?;
        let own = request.action.own();
        let key = own.map(|own| read_key(&self.root, &own.key)).transpose()?;
        let whom = Whom {
            server: server.to_owned(),
            port: request.port,
            trust: request.trust.clone(),
            own: own.cloned(),
        };
        let answer =
            self.exchange(whom, key.as_deref().map(String::as_str), http, place.limits()).await;
        let answer = answer.map_err(|error| place.unanswered(&error))?;
        let answer = place.read(&answer)?;
        self.check_server(&place, &answer)?;
        if let (Trust::FirstUse, Answer::Certificate(Some(found))) = (&request.trust, &answer) {
            let sha256 = CaBundle::from_pem(&found.text).map(|ca| ca.fingerprint());
            tracing::warn!(
                server,
                sha256_of_certificate = sha256.unwrap_or_default(),
                "the CA is trusted without a check (trust_on_first_use); pin it with ca_fingerprint"
            );
        }
        Ok(answer)
    }

    /// Looks the server up in the first lists that it sends, so that the next one is asked for them where it is
    /// revoked. What else is wrong with them is found later.
    fn check_server(&self, place: &Place<'_>, answer: &Answer) -> Result<(), Fault> {
        let (Trust::Ca { ca, lists: None }, Answer::RevocationLists(found), Some(kept)) =
            (&place.request.trust, answer, &self.kept)
        else {
            return Ok(());
        };
        let lists = Lists { pem: found.text.clone(), revocation: Revocation::Off };
        let trust = https::Trust::CaAndLists(ca, &lists);
        let server = Server { host: place.server, port: place.request.port, trust, identity: None };
        match kept.connection.verify(&self.clients, &server) {
            Err(error @ HttpsError::NoTls(Reason::Revoked)) => Err(place.unanswered(&error)),
            _ => Ok(()),
        }
    }

    /// On the last request's connection, if that is of use; else on a new one.
    async fn exchange(
        &mut self,
        whom: Whom,
        key: Option<&str>,
        http: HttpRequest<Full<Bytes>>,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpsError> {
        let identity = whom.own.as_ref().zip(key);
        let server = Server {
            host: &whom.server,
            port: whom.port,
            trust: match &whom.trust {
                Trust::Ca { ca, lists: None } => https::Trust::Ca(ca),
                Trust::Ca { ca, lists: Some(lists) } => https::Trust::CaAndLists(ca, lists),
                Trust::Pinned | Trust::FirstUse => https::Trust::Unchecked,
            },
            identity: identity.map(|(own, key)| Identity { certificate: &own.certificate, key }),
        };
        let kept = self.kept.take().filter(|kept| kept.whom.has_connection_of(&whom));
        if let Some(mut kept) = kept.filter(Kept::is_usable) {
            if kept.whom.trust != whom.trust {
                kept.connection.verify(&self.clients, &server)?;
                kept.whom.trust = whom.trust.clone();
            }
            match kept.connection.ask(&self.clients, http.clone(), limits).await {
                // The server had closed it. Reading twice does no harm.
                Err(HttpsError::CutShort(_)) if http.method() == "GET" => {}
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.kept = Some(Kept { at: clock::instant(), ..kept });
                    return Ok(answer);
                }
            }
        }
        let mut connection = Connection::open(&self.clients, server).await?;
        let answer = connection.ask(&self.clients, http, limits).await?;
        self.kept = Some(Kept { whom, connection, at: clock::instant() });
        Ok(answer)
    }
}

impl Whom {
    /// Whether a connection to this one may serve the other, once the server is verified as the other says.
    fn has_connection_of(&self, other: &Self) -> bool {
        (&self.server, self.port, &self.own) == (&other.server, other.port, &other.own)
    }
}

impl Kept {
    fn is_usable(&self) -> bool {
        self.connection.is_open() && self.at.elapsed() < REUSE_LIMIT
    }
}

/// The node's key, PEM.
fn read_key(root: &Root, path: &str) -> Result<Zeroizing<String>, Fault> {
    let found = files::read_if_there(root, path)?.map(Zeroizing::new);
    let text = found.and_then(|found| std::str::from_utf8(&found).ok().map(str::to_owned));
    text.map(Zeroizing::new).ok_or_else(|| {
        let todo = "restore it from a backup; for a new key, `enlist leave --target puppet-server && enlist join --target puppet-server`";
        let what = "the private key of this member is missing";
        Fault::new(Kind::Host, what, root.shown(path), todo).key_lost()
    })
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

    fn limits(&self) -> Limits {
        let time = if self.is_submission() { SUBMIT_LIMIT } else { READ_LIMIT };
        Limits { time, bytes: LARGEST }
    }

    /// The fault of a request that may have arrived. What makes a certificate has an effect then; anything
    /// else can be repeated.
    fn arrived(&self, fault: Fault) -> Fault {
        let is_renewal = matches!(self.request.action, Action::PostCertificateRenewal { .. });
        if is_renewal || self.is_submission() { fault.in_doubt() } else { fault }
    }

    fn read(&self, answer: &Response<Bytes>) -> Result<Answer, Fault> {
        let status = answer.status().as_u16();
        if answer.headers().get(VERSION).is_none() {
            let is_forbidden = matches!(status, 401 | 403) && is_of_auth_conf(&said(answer));
            return Err(if is_forbidden { self.failed(answer) } else { self.not_a_ca(answer) });
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
            (Action::PostCertificateRenewal { .. }, 200) => Ok(Answer::Renewed(document())),
            (Action::PostCertificateRenewal { .. }, 400 | 403 | 404) => {
                Ok(Answer::NotRenewed(not_renewed(status, said(answer))))
            }
            (Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. }, status) => {
                match status {
                    200 | 204 => Ok(Answer::StatusChanged),
                    404 | 409 => Ok(Answer::NoCertificate),
                    401 | 403 => Ok(Answer::NotAllowed(said(answer))),
                    _ => Err(self.failed(answer)),
                }
            }
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
                Fault::new(Kind::Denied, format!("{action} was denied"), on, todo).finally()
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
        let asked = self.asked();
        let if_untrusted = match error {
            HttpsError::NoTls(Reason::Revoked) => IF_REVOKED,
            HttpsError::NoTls(Reason::Lists(_)) => IF_NO_LIST,
            _ => asked.if_untrusted,
        };
        let fault = error.fault(&Asked { if_untrusted, ..asked });
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

/// Whether the server's auth.conf has refused the request, before the CA was asked.
fn is_of_auth_conf(text: &str) -> bool {
    text.starts_with("Forbidden request")
}

/// Two parts of the server answer with 403: its auth.conf, and the CA.
fn not_renewed(status: u16, text: String) -> NotRenewed {
    match status {
        404 => NotRenewed::Off,
        403 if text.contains("does not match signature") => NotRenewed::OtherCa(text),
        403 => NotRenewed::Forbidden(text),
        _ => NotRenewed::NoClientCertificate(text),
    }
}

fn said(answer: &Response<Bytes>) -> String {
    excerpt(&String::from_utf8_lossy(answer.body()))
}

#[cfg(test)]
mod tests;
