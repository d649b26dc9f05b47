//! The CA of a Puppet server: requests and answers, written from Puppet Server's documentation and
//! independently of the agent's transport, and what people do at the server.

use enlist::config::settings::Settings;
use enlist::config::{Input, fragments};
use enlist::engines::Engines;
use enlist::fault::{Fault, Kind};
use enlist::pki::{PublicKey, certificate};
use enlist::targets::Target;
use enlist::targets::puppet_server::PuppetServer;
use enlist::targets::puppet_server::api::{Action, Answer, Document, NotRenewed, Request};
use enlist_emulator::control::{Autosign, CaPolicy, ControlPlane, Family};
use enlist_emulator::http::{self, Connection, Delivery};
use enlist_emulator::now::Now;

use super::authority;
use super::cases::Case;
use super::node::Node;

/// The server's name in the emulator, and for the node.
const SERVER: &str = "puppet-test";
const HOST: &str = "puppet.example";
const ROOT: &str = "/puppet-ca/v1/";

/// Who signs a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// The CA, at once.
    TheCa,
    /// A person, so many milliseconds after it has arrived.
    APersonAfter(u64),
    /// A person, just before the nth call of all, from 0, if it has arrived by then.
    APersonBefore(usize),
}

/// `[puppet-server]` with the CA known in this way.
pub fn target(ca: &str) -> (Box<dyn Target>, Engines) {
    let text = format!("[puppet-server]\nserver = \"{HOST}\"\n{ca}\n[puppet]\nkey_bits = 2048\n");
    let mut input = Input::default();
    fragments::add_text(&mut input, &text, "the test").unwrap();
    let settings = Settings::parse(&input, &|_| Ok(authority::bundle())).unwrap();
    (Box::new(settings.of::<PuppetServer>().unwrap().clone()), settings.engines)
}

pub fn policy(signs: Signs) -> CaPolicy {
    let autosign = if signs == Signs::TheCa { Autosign::On } else { Autosign::Off };
    CaPolicy { autosign, allow_auto_renewal: true, ..CaPolicy::default() }
}

/// The HTTP request of a call.
pub fn call(request: &Request) -> http::Request {
    assert_eq!((request.servers.as_slice(), request.port), ([HOST.to_owned()].as_slice(), 8140));
    let (method, path, body) = match &request.action {
        Action::GetCertificate { name } => ("GET", format!("certificate/{name}"), ""),
        Action::GetCertificateRequest { name } => {
            ("GET", format!("certificate_request/{name}"), "")
        }
        Action::PutCertificateRequest { name, csr } => {
            ("PUT", format!("certificate_request/{name}"), csr.as_str())
        }
        Action::GetRevocationLists => ("GET", "certificate_revocation_list/ca".to_owned(), ""),
        Action::PostCertificateRenewal { .. } => ("POST", "certificate_renewal".to_owned(), ""),
        Action::RevokeCertificate { name, .. } => {
            ("PUT", format!("certificate_status/{name}"), "{\"desired_state\": \"revoked\"}")
        }
        Action::DeleteCertificate { name, .. } => {
            ("DELETE", format!("certificate_status/{name}"), "")
        }
    };
    let own = request.action.own();
    let content = if method == "PUT" && own.is_some() { "application/json" } else { "text/plain" };
    let mut headers = vec![("content-type".to_owned(), content.to_owned())];
    headers.extend(own.map(|own| (SHOWN.to_owned(), own.certificate.clone())));
    http::Request {
        method: method.to_owned(),
        path: format!("{ROOT}{path}"),
        headers,
        body: body.as_bytes().to_vec(),
        ..http::Request::default()
    }
}

/// Method and kind of a request to a Puppet CA. None: it goes to another API.
pub fn action(request: &http::Request) -> Option<String> {
    let path = request.path.strip_prefix(ROOT)?;
    let (kind, _) = path.split_once('/').unwrap_or((path, ""));
    Some(format!("{} {kind}", request.method))
}

/// What a request is sent with in place of a client certificate, PEM.
const SHOWN: &str = "x-shown-certificate";

pub fn handle(plane: &mut ControlPlane, now: Now, request: &http::Request) -> http::Response {
    let certificate = request.header(SHOWN).map(|pem| pem::parse(pem).unwrap().into_contents());
    let is_of_this_ca = certificate.is_some();
    let connection = Connection { server: SERVER.to_owned(), certificate, is_of_this_ca };
    plane.handle_at(now, Family::PuppetCa, &connection, request)
}

/// The answer in a response, or its fault. Only what makes a certificate may have had an effect that is not known.
pub fn answer(request: &Request, response: &http::Response) -> Result<Answer, Fault> {
    let is_put = matches!(
        request.action,
        Action::PutCertificateRequest { .. } | Action::PostCertificateRenewal { .. }
    );
    let lost = |what: &str| {
        let fault = Fault::new(Kind::Transient, what, "the CA", "nothing");
        Err(if is_put { fault.in_doubt() } else { fault })
    };
    match response.delivery {
        Delivery::Dropped => return lost("no answer came"),
        Delivery::Late(_) => return lost("no answer in time"),
        Delivery::Truncated => return lost("an incomplete answer"),
        Delivery::Whole => {}
    }
    let text = String::from_utf8(response.body.clone()).unwrap();
    let document = |text| Document { server: HOST.to_owned(), text };
    Ok(match (&request.action, response.status) {
        (_, 429) => {
            let fault = Fault::new(Kind::Transient, "too many requests", "the CA", "nothing");
            return Err(fault.throttled());
        }
        (_, 500..) => return lost("an error of the server"),
        (Action::GetCertificate { .. }, 200) => Answer::Certificate(Some(document(text))),
        (Action::GetCertificate { .. }, 404) => Answer::Certificate(None),
        (Action::GetCertificateRequest { .. }, 200) => {
            Answer::CertificateRequest(Some(document(text)))
        }
        (Action::GetCertificateRequest { .. }, 404) => Answer::CertificateRequest(None),
        (Action::GetRevocationLists, 200) => Answer::RevocationLists(document(text)),
        (Action::PutCertificateRequest { name, .. }, 200) => {
            Answer::Submitted { name: name.clone() }
        }
        (Action::PutCertificateRequest { .. }, 400) => Answer::Refused(text),
        (Action::PostCertificateRenewal { .. }, 200) => Answer::Renewed(document(text)),
        (Action::PostCertificateRenewal { .. }, 404) => Answer::NotRenewed(NotRenewed::Off),
        (Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. }, 204) => {
            Answer::StatusChanged
        }
        (Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. }, 404 | 409) => {
            Answer::NoCertificate
        }
        (Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. }, 403) => {
            Answer::NotAllowed(text)
        }
        (action, status) => panic!("{action:?} was answered with {status}: {text}"),
    })
}

impl Node {
    /// What a person does before a call, if it is time.
    pub fn person_signs(&mut self) {
        let waiting = self.plane.puppet_ca().requests(SERVER).next();
        let Some(name) = waiting.map(|(name, _)| name.to_owned()) else {
            self.waits_since = None;
            return;
        };
        let since = *self.waits_since.get_or_insert(self.clock);
        let is_time = match self.signs {
            Signs::TheCa => false,
            Signs::APersonAfter(wait) => self.clock >= since + wait,
            Signs::APersonBefore(call) => self.asked.len() > call,
        };
        if is_time {
            let now = self.plane_now();
            self.plane.sign_request(now, SERVER, &name).unwrap();
            self.waits_since = None;
        }
    }

    /// The certificate that the CA has; none if it has none of any node.
    pub fn certificate_at_ca(&self) -> Option<String> {
        let mut issued = self.plane.puppet_ca().issued(SERVER);
        issued.find_map(|(_, certificate, _)| certificate.map(ToString::to_string))
    }

    /// How many certificates the CA has made for nodes.
    pub fn issued_at_ca(&self) -> usize {
        self.plane.puppet_ca().issued(SERVER).map(|(.., serials)| serials.len()).sum()
    }

    /// Whether the CA has a certificate or a request.
    pub fn is_known_to_ca(&self) -> bool {
        let ca = self.plane.puppet_ca();
        ca.requests(SERVER).next().is_some() || ca.issued(SERVER).any(|(_, it, _)| it.is_some())
    }

    /// What the admin does for whatever the CA has: `puppetserver ca clean`.
    pub fn admin_cleans(&mut self) {
        let ca = self.plane.puppet_ca();
        let issued = ca.issued(SERVER).filter(|(_, it, _)| it.is_some()).map(|(name, ..)| name);
        let names = ca.requests(SERVER).map(|(name, _)| name).chain(issued);
        let names: Vec<String> = names.map(str::to_owned).collect();
        let now = self.plane_now();
        for name in names {
            let had = self.plane.puppet_ca().issued(SERVER).any(|(it, ..)| it == name);
            self.plane.revoke_certificate(now, SERVER, &name, true).unwrap();
            self.cleaned += usize::from(had);
        }
    }

    /// The CA has issued one certificate, under this name and for this key; it is installed, and no
    /// request waits.
    pub fn certified(&self, case: &Case, name: &str, key: &PublicKey) {
        let ca = self.plane.puppet_ca();
        assert_eq!(ca.requests(SERVER).count(), 0, "no request waits");
        let all: Vec<_> = ca.issued(SERVER).collect();
        let [(issued_to, Some(text), serials)] = all.as_slice() else {
            panic!("not one certificate: {all:?}");
        };
        assert_eq!(*issued_to, name);
        // A renewal makes one more, and a crash after that none.
        let renewed = usize::from(self.is_renewed);
        assert_eq!(serials.len(), 1 + self.cleaned + renewed, "one certificate was issued");
        assert_eq!(certificate::key_fingerprint(text).unwrap(), key.fingerprint());
        let path = case.key.unwrap().replace("private_keys", "certs");
        let installed = std::fs::read_to_string(self.path(&path)).unwrap();
        assert!(installed.split_whitespace().eq(text.split_whitespace()), "it is installed");
    }
}
