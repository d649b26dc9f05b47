//! What each answer of a server means, by its status and its header. The texts are Puppet Server's.

use bytes::Bytes;
use hyper::Response;

use super::{Place, VERSION, http_request};
use crate::fault::{Fault, Kind};
use crate::targets::Call;
use crate::targets::puppet_server::api::{Action, Answer, NotRenewed, Own, Request, Trust};

fn request(action: Action) -> Request {
    Request { servers: vec!["p".to_owned()], port: 8140, trust: Trust::Pinned, action }
}

fn name() -> String {
    "n".to_owned()
}

fn get() -> Action {
    Action::GetCertificate { name: name() }
}

fn put() -> Action {
    Action::PutCertificateRequest { name: name(), csr: "csr".to_owned() }
}

fn renew() -> Action {
    let own = Own { certificate: String::new(), key: String::new() };
    Action::PostCertificateRenewal { name: name(), own }
}

fn read(action: Action, status: u16, is_ca: bool, text: &'static str) -> Result<Answer, Fault> {
    let request = request(action);
    let place =
        Place { request: &request, server: "p", on: request.on(), url: "https://p".to_owned() };
    let answer = Response::builder().status(status);
    let answer = if is_ca { answer.header(VERSION, "7.9.5") } else { answer };
    place.read(&answer.body(Bytes::from_static(text.as_bytes())).unwrap())
}

#[test]
fn an_answer_without_the_servers_version_is_not_that_of_a_ca() {
    for (action, status, kind, in_doubt) in [
        (get(), 200, Kind::Protocol, false),
        // A compiler, whose Jetty has no such page.
        (get(), 404, Kind::Protocol, false),
        (get(), 502, Kind::Transient, false),
        (get(), 429, Kind::Transient, false),
        (put(), 404, Kind::Protocol, true),
        (put(), 503, Kind::Transient, true),
        (renew(), 504, Kind::Transient, true),
    ] {
        let fault = read(action.clone(), status, false, "<html>").unwrap_err();
        assert_eq!((fault.kind, fault.may_have_happened), (kind, in_doubt), "{action:?} {status}");
        assert!(fault.causes[0].contains("without X-Puppet-Version"), "{fault:?}");
    }
    // The server's auth.conf refuses before the CA is asked.
    let text = "Forbidden request: /puppet-ca/v1/certificate/n (method :get). Please see the server logs for details.";
    let fault = read(get(), 403, false, text).unwrap_err();
    assert!(fault.kind == Kind::Denied && !fault.is_retried() && fault.todo.contains("auth.conf"));
}

#[test]
fn an_error_of_the_server_is_never_taken_for_not_received() {
    let text = "Internal Server Error: java.io.IOException: No space left on device";
    for (action, in_doubt) in [(get(), false), (put(), true), (renew(), true)] {
        let fault = read(action, 500, true, text).unwrap_err();
        assert_eq!((fault.kind, fault.may_have_happened), (Kind::Transient, in_doubt));
        assert!(fault.causes[0].contains(text));
    }
}

#[test]
fn why_nothing_is_renewed_is_told_by_status_and_text() {
    let forbidden = "Forbidden request: /puppet-ca/v1/certificate_renewal (method :post). Please see the server logs for details.";
    let other = "Certificate present, but does not match signature";
    for (status, text, why) in [
        (404, "Not Found", NotRenewed::Off),
        (403, forbidden, NotRenewed::Forbidden(forbidden.to_owned())),
        (403, other, NotRenewed::OtherCa(other.to_owned())),
        (
            400,
            "No certificate found in renewal request",
            NotRenewed::NoClientCertificate("No certificate found in renewal request".to_owned()),
        ),
    ] {
        assert_eq!(read(renew(), status, true, text), Ok(Answer::NotRenewed(why)), "{text}");
    }
}

#[test]
fn a_refusal_has_the_servers_text_and_no_language_is_asked_for() {
    let text = "n already has a requested certificate; ignoring certificate request";
    assert_eq!(read(put(), 400, true, text), Ok(Answer::Refused(text.to_owned())));
    for action in [get(), put(), renew()] {
        let http = http_request("p", &request(action)).unwrap();
        assert_eq!(http.headers().get("accept").unwrap(), "text/plain");
        assert!(http.headers().get("accept-language").is_none());
    }
}

/// The answer comes once the server's policy has ended.
#[test]
fn a_submission_may_take_longer_than_a_question() {
    let limit = |action| {
        let request = request(action);
        Place { request: &request, server: "p", on: String::new(), url: String::new() }.limits()
    };
    assert!(limit(put()).time.as_secs() >= 60 && limit(get()).time < limit(put()).time);
}
