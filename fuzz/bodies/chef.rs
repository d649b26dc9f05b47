//! Answers of a Chef server, read by the transport and taken by the target. The input consists of parts: a
//! line `> METHOD:KIND STATUS`, and the body.

use std::cell::OnceCell;

use enlist::engines::{Authority, Grant, NodeContext, RequestAdditions};
use enlist::fault::{Fault, Kind};
use enlist::host::transports::chef_server::meaning;
use enlist::host::{AwsSettings, Environment, HttpClients};
use enlist::targets::chef_server::ChefServer;
use enlist::targets::chef_server::api::{self, Action, Request};
use enlist::targets::{
    Answer, Creation, Decision, Question, Reconciled, Signature, Target, ToSign,
};

use super::wire::parts;
use super::world::{KEY, NAME, NOW, facts, key_report, observed, settings};

/// More steps than any question has.
const STEPS: usize = 64;

pub fn run(data: &[u8]) {
    for create_node in [true, false] {
        let text = format!(
            "[chef-server]\nurl = \"https://chef.example/organizations/o\"\nvalidator_key = {{ file = \"/v\" }}\ncreate_node = {create_node}\n"
        );
        let settings = settings(&text);
        let target = settings.of::<ChefServer>().unwrap();
        let mut answers = Vec::new();
        for part in parts(data) {
            let Some(request) = request(target, &part.word) else { continue };
            match read(&request, part.status, part.body.clone()) {
                Ok(answer) => answers.push(answer),
                Err(fault) => graded(&fault),
            }
        }
        taken(target, &answers);
    }
}

fn read(request: &Request, status: u16, body: Vec<u8>) -> Result<api::Answer, Fault> {
    thread_local! {
        static CLIENTS: OnceCell<HttpClients> = const { OnceCell::new() };
    }
    CLIENTS.with(|cell| {
        let clients = cell.get_or_init(|| {
            let none = |_: &str| None;
            let environment =
                Environment::parse(&AwsSettings::default(), none, &|_| Ok(None)).unwrap();
            HttpClients::new(&environment)
        });
        meaning(clients, request, status, body)
    })
}

fn request(target: &ChefServer, word: &str) -> Option<Request> {
    let (name, body) = (NAME.to_owned(), String::new());
    let action = match word {
        "GET:versions" => Action::GetVersions,
        "POST:clients" => Action::CreateClient { name, body },
        "GET:clients" => Action::GetClient { name },
        "DELETE:clients" => Action::DeleteClient { name },
        "POST:nodes" => Action::CreateNode { name, body },
        "GET:nodes" => Action::GetNode { name },
        "PUT:nodes" => Action::UpdateNode { name, body },
        "DELETE:nodes" => Action::DeleteNode { name },
        _ => return None,
    };
    Some(Request { url: target.url.clone(), ca: None, action, signed: None })
}

/// Whatever the target accepts is acceptable, with these answers in their order.
fn taken(target: &ChefServer, answers: &[api::Answer]) {
    let (facts, observed, key) = (facts(), observed(), key_report());
    let url = target.url.to_string();
    let authority = Authority::ChefServer { url, ca: None, api_version: 0 };
    let node = NodeContext {
        facts: &facts,
        observed: &observed,
        name: NAME,
        authority: &authority,
        additions: &RequestAdditions::NONE,
        key: Some(&key),
        former: None,
        former_key: None,
        will_renew: false,
        state_dir: "/var/lib/enlist/x",
    };
    if let Some(answer) = answers.first().cloned().map(Answer::from)
        && let Err(fault) = target.created(&node, &answer, NOW)
    {
        graded(&fault);
    }
    let found = drive(answers, |sofar| target.reconcile(&node, "m", sofar, NOW));
    if let Some((Reconciled::Pending(_), seen)) = found {
        let is_ours = |answer: &api::Answer| match answer {
            api::Answer::Created => true,
            api::Answer::Client { name, public_key } => {
                name.as_deref() == Some(NAME)
                    && public_key
                        .as_ref()
                        .is_none_or(|pem| !pem.contains("BEGIN PUBLIC KEY") || has_our_key(pem))
            }
            _ => false,
        };
        assert!(seen.iter().any(is_ours), "adopted without proof: {seen:?}");
    }
    let found = drive(answers, |sofar| target.wait(&node, "client", sofar, NOW));
    if let Some((Decision::Granted(grant), seen)) = found {
        assert_eq!(grant, Grant::Client);
        assert!(seen.iter().all(|it| !matches!(it, api::Answer::Forbidden(_))), "{seen:?}");
    }
    match target.create(&node, "m", &[], NOW) {
        Ok(Creation::Sign(ToSign { bytes, .. })) => assert!(bytes.starts_with(b"Method:POST")),
        other => panic!("{other:?}"),
    }
}

fn has_our_key(pem: &str) -> bool {
    pem::parse(pem).is_ok_and(|block| block.contents() == KEY.spki_der())
}

/// Gives a question its signatures, and these answers in their order. None: it ended otherwise.
fn drive<T>(
    answers: &[api::Answer],
    question: impl Fn(&[Answer]) -> Result<Question<T>, Fault>,
) -> Option<(T, Vec<api::Answer>)> {
    let (mut sofar, mut rest, mut seen) = (Vec::new(), answers.iter(), Vec::new());
    for _ in 0..STEPS {
        match question(&sofar) {
            Ok(Question::Sign(ToSign { bytes, .. })) => {
                assert!(!matches!(sofar.last(), Some(Answer::Signature(_))), "signed twice");
                sofar.push(Answer::Signature(Signature { signature: vec![1], bytes }));
            }
            Ok(Question::Ask(_) | Question::AskLater(_)) => {
                let answer = rest.next()?.clone();
                seen.push(answer.clone());
                sofar.push(answer.into());
            }
            Ok(Question::Done(result)) => return Some((result, seen)),
            Err(fault) => {
                graded(&fault);
                return None;
            }
        }
    }
    panic!("a question does not end: {sofar:?}");
}

fn graded(fault: &Fault) {
    assert!(!fault.what.is_empty() && !fault.on.is_empty() && !fault.todo.is_empty(), "{fault:?}");
    // Arbitrary answers can be of another action, which looks like a bug of enlist's.
    let is_of_another = fault.what.contains("belongs to another action");
    assert!(fault.kind != Kind::Invariant || is_of_another, "{fault:?}");
    let shown = format!("{fault:?}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
