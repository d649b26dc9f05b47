//! HTTP answers, passed through the real SDK to the targets. The input consists of parts: a line
//! `> ACTION STATUS`, and the body.

use std::cell::RefCell;

use enlist::engines::{Authority, Grant, NodeContext, RequestAdditions};
use enlist::fault::{Fault, Kind};
use enlist::host::transports::Transports;
use enlist::host::{AwsSettings, Environment, HttpClients};
use enlist::targets::chef_server::url::ServerUrl;
use enlist::targets::opsworks::api as stacks;
use enlist::targets::opsworks_cm::api as cm;
use enlist::targets::opsworks_cm::endpoint;
use enlist::targets::ssm::{self, api as sm};
use enlist::targets::{Answer, Created, Decision, Member, Question, Reconciled, Request, Target};

use super::wire::{Part, Wire, machine, parts};
use super::world::{NAME, NOW, STACK, authorities, facts, is_good, key_report, observed, targets};

const UUID: &str = "11111111-2222-3333-4444-555555555555";
const MARK: &str = "0123456789abcdef";

/// A secret key, which an answer may contain.
const SECRET_KEY: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

pub fn run(data: &[u8]) {
    let mut answers = Vec::new();
    for part in parts(data) {
        let Some(request) = request(&part.word) else { continue };
        let action = request.call().action();
        match call(request, &part) {
            Ok(answer) => answers.push(answer),
            Err(fault) => classified(action, &fault, &part),
        }
    }
    for ((target, _), authority) in targets().iter().zip(authorities()) {
        meaning(target.as_ref(), &authority, &answers);
    }
}

fn call(request: Request, part: &Part) -> Result<Answer, Fault> {
    thread_local! {
        static CLIENT: RefCell<Option<(Transports, Wire)>> = const { RefCell::new(None) };
    }
    CLIENT.with(|cell| {
        let mut cell = cell.borrow_mut();
        let (client, wire) = cell.get_or_insert_with(|| {
            let api = Wire::default();
            (connect(&api), api)
        });
        wire.answer(part.status, part.body.clone());
        let answer = machine().runtime.block_on(client.call(request));
        assert_eq!(
            wire.take_asked().len(),
            1,
            "one call is one request: redirects are not followed"
        );
        answer
    })
}

fn connect(api: &Wire) -> Transports {
    let metadata = Wire::default();
    let credentials = format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"{SECRET_KEY}","Token":"token","LastUpdated":"2030-01-01T00:00:00Z","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let below = "/latest/meta-data/iam/security-credentials";
    metadata.serve(vec![
        Part::ok("/latest/api/token", "t"),
        Part::ok(format!("{below}/"), "role"),
        Part::ok(format!("{below}-extended/"), "role"),
        Part::ok(format!("{below}/role"), &credentials),
        Part::ok(format!("{below}-extended/role"), &credentials),
    ]);
    let settings = AwsSettings {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some("http://api.invalid".to_owned()),
        allow_http: true,
        profile: None,
    };
    let environment = Environment::parse(&settings, |_| None, &|_| Ok(None)).unwrap();
    let net = HttpClients::with_connectors(&environment, api.connector(), metadata.connector());
    let machine = machine();
    Transports::new(machine.root.clone(), net, environment)
}

fn request(action: &str) -> Option<Request> {
    let (server, node) = ("p".to_owned(), NAME.to_owned());
    let activation = UUID.to_owned();
    Some(match action {
        "DescribeServers" => cm::Request::DescribeServers { server }.into(),
        "AssociateNode" => {
            cm::Request::AssociateNode { server, node, attributes: Vec::new() }.into()
        }
        "DisassociateNode" => {
            cm::Request::DisassociateNode { server, node, attributes: Vec::new() }.into()
        }
        "DescribeNodeAssociationStatus" => {
            cm::Request::DescribeNodeAssociationStatus { server, token: "t".to_owned() }.into()
        }
        "DescribeStacks" => stacks::Request::DescribeStacks { stack: STACK.to_owned() }.into(),
        "RegisterInstance" => stacks::Request::RegisterInstance(Box::default()).into(),
        "DescribeInstances" => {
            stacks::Request::DescribeInstances { stack: STACK.to_owned() }.into()
        }
        "DeregisterInstance" => {
            stacks::Request::DeregisterInstance { instance: UUID.to_owned() }.into()
        }
        "CreateActivation" => sm::Request::CreateActivation(Box::default()).into(),
        "DescribeActivations" => sm::Request::DescribeActivations { name: node, next: None }.into(),
        "DeleteActivation" => sm::Request::DeleteActivation { activation }.into(),
        "DescribeInstanceInformation" => {
            sm::Request::DescribeInstanceInformation { activation, next: None }.into()
        }
        "DeregisterManagedInstance" => {
            let instance = "mi-0123456789abcdef0".to_owned();
            sm::Request::DeregisterManagedInstance { instance }.into()
        }
        _ => return None,
    })
}

/// A fault of a call has a kind that calls may have, all of its parts, and no secret.
fn classified(action: &str, fault: &Fault, part: &Part) {
    let kinds = [Kind::Transient, Kind::Denied, Kind::Rejected, Kind::Protocol];
    assert!(kinds.contains(&fault.kind), "{fault:?}");
    assert!(!fault.what.is_empty() && !fault.on.is_empty() && !fault.todo.is_empty());
    // A well-formed answer is accepted or refused. A page or an incomplete answer is a protocol fault,
    // or a transient one if the status says so.
    if part.status == 200 {
        assert_eq!(fault.kind, Kind::Protocol, "{fault:?}");
        assert!(fault.may_have_happened);
    }
    let shown = format!("{fault:?}");
    assert!(!shown.contains(SECRET_KEY));
    if action == "CreateActivation" {
        for code in codes(&part.body) {
            assert!(!shown.contains(&code), "the code is shown: {shown}");
        }
    }
    if let Some(evidence) = &fault.evidence {
        assert!(evidence.content.contains("HTTP status"));
    }
}

/// The texts after `"ActivationCode"` that are long enough to be a code and not part of the API's
/// message.
fn codes(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let found = text.split("\"ActivationCode\":\"").skip(1);
    let codes = found.filter_map(|rest| Some(rest.split('"').next()?.to_owned()));
    codes
        .filter(|code| code.len() >= 20 && text.matches(code.as_str()).count() == 1)
        .filter(|code| code.chars().all(|c| c.is_ascii_alphanumeric()))
        .collect()
}

/// No answer makes a target panic, and whatever it accepts is acceptable.
fn meaning(target: &dyn Target, authority: &Authority, answers: &[Answer]) {
    let (facts, observed, key) = (facts(), observed(), key_report());
    let node = NodeContext {
        facts: &facts,
        observed: &observed,
        name: NAME,
        authority,
        additions: &RequestAdditions::NONE,
        key: Some(&key),
        former: None,
        former_key: None,
        will_renew: false,
        state_dir: "/var/lib/enlist/x",
    };
    for answer in answers {
        let one = std::slice::from_ref(answer);
        match target.discover(&facts, one) {
            Ok(Question::Done(authority)) => usable(&authority),
            Ok(_) => {}
            Err(fault) => graded(&fault),
        }
        match target.created(&node, answer, NOW) {
            Ok(Created::Ticket(ticket)) => assert!(!ticket.is_empty()),
            Ok(Created::Granted(grant, secret)) => {
                acceptable(&grant, authority);
                assert_eq!(secret.is_some(), matches!(grant, Grant::Activation { .. }));
            }
            Err(fault) => graded(&fault),
        }
        match target.wait(&node, "t", one, NOW) {
            Ok(Question::Done(Decision::Granted(grant))) => acceptable(&grant, authority),
            Ok(Question::Ask(request) | Question::AskLater(request)) => safe(&request),
            Ok(_) => {}
            Err(fault) => graded(&fault),
        }
    }
    for until in 0..=answers.len() {
        match target.reconcile(&node, MARK, &answers[..until], NOW) {
            Ok(Question::Done(Reconciled::Granted(grant))) => acceptable(&grant, authority),
            Ok(Question::Ask(request)) => safe(&request),
            Ok(_) => {}
            Err(fault) => graded(&fault),
        }
        leaving(target, &answers[..until]);
    }
}

fn leaving(target: &dyn Target, answers: &[Answer]) {
    let grants = [
        None,
        Some(Grant::Client),
        Some(Grant::Instance { id: UUID.to_owned() }),
        Some(Grant::Activation { id: UUID.to_owned() }),
        Some(Grant::Managed { id: "mi-1".to_owned(), activation: Some(UUID.to_owned()) }),
    ];
    let (facts, observed) = (facts(), observed());
    for grant in &grants {
        for was_attempted in [false, true] {
            let member = Member {
                identity: None,
                key_sha1: None,
                key_sha256: None,
                has_former_key: was_attempted,
                name: Some(NAME),
                authority: None,
                grant: grant.as_ref(),
                is_installed: grant.is_some(),
                was_attempted,
                mark: MARK,
                machine: None,
                facts: &facts,
                observed: &observed,
            };
            match target.leave(&member, answers, NOW) {
                Ok(Question::Ask(request) | Question::AskLater(request)) => safe(&request),
                Ok(_) => {}
                Err(fault) => graded(&fault),
            }
            match target.probe(&member, answers, 0) {
                Ok(Question::Ask(request) | Question::AskLater(request)) => safe(&request),
                Ok(_) => {}
                Err(fault) => graded(&fault),
            }
        }
    }
}

/// No call of `leave` or `reconcile` creates anything.
fn safe(request: &Request) {
    let creating = ["AssociateNode", "RegisterInstance", "CreateActivation"];
    assert!(!creating.contains(&request.call().action()), "{request:?}");
    assert!(!request.call().on().contains(char::is_control), "{:?}", request.call().on());
}

fn usable(authority: &Authority) {
    match authority {
        Authority::Puppet { endpoint: returned, ca, .. } => {
            assert_eq!(endpoint(returned).as_ref(), Some(returned));
            assert!(enlist::pki::CaBundle::from_pem(ca).is_ok());
        }
        Authority::Chef { endpoint: returned, .. } => {
            assert_eq!(endpoint(returned).as_ref(), Some(returned));
        }
        Authority::ChefServer { url, .. } => assert!(ServerUrl::parse(url).is_ok()),
        Authority::Stack { .. } | Authority::Service => {}
    }
}

fn acceptable(grant: &Grant, authority: &Authority) {
    match grant {
        Grant::Certificate { pem, not_after, .. } => {
            assert!(is_good(pem), "accepted: {pem}");
            assert!(*not_after > NOW);
        }
        Grant::Client => assert!(matches!(authority, Authority::Chef { .. })),
        // It is written to files and passed as an argument.
        Grant::Instance { id } => assert!(
            id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
            "{id:?}"
        ),
        Grant::Activation { id } => assert!(ssm::is_id(id), "{id:?}"),
        Grant::Managed { id, .. } => assert!(id.starts_with("mi-"), "{id:?}"),
    }
}

fn graded(fault: &Fault) {
    let kinds = [
        Kind::Data,
        Kind::Rejected,
        Kind::Protocol,
        Kind::Transient,
        Kind::Config,
        Kind::Invariant,
    ];
    assert!(kinds.contains(&fault.kind), "{fault:?}");
    // Arbitrary answers can be of another action, which looks like a bug of enlist's.
    let expected = ["belongs to another action", "belongs to another service"];
    assert!(
        fault.kind != Kind::Invariant || expected.iter().any(|word| fault.what.contains(word)),
        "{fault:?}"
    );
}
