//! A scripted host and authority.

use std::time::Duration;

use enlist::bootstrap::{
    Bootstrap, Effect, Event, Now, Outcome, Phase, PhaseName, Plan, Record, Signing,
    SigningKeyPlace, StateMachine, resume,
};
use enlist::engines::{Engines, Installed, Item, KeyReport, Proof};
use enlist::fault::{Fault, Kind};
use enlist::pki::{CsrSpec, PrivateKey, csr};
use enlist::targets::opsworks_cm::OpsworksCm;
use enlist::targets::opsworks_cm::api::{self, Server};
use enlist::targets::{Answer, Request, Signature};

use super::puppet_node;

const UNIX: i64 = 1_900_000_000;

/// A CA and a node's key, made once per test. The keys are small, so that the tests are quick.
pub struct World {
    pub ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    pub key: PrivateKey,
    pub mono: Duration,
}

impl World {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
        let ca_key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap();
        let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
        Self { ca, key: PrivateKey::generate(2048).unwrap(), mono: Duration::ZERO }
    }

    pub fn now(&self) -> Now {
        Now { mono: self.mono, unix: UNIX, skew: 0 }
    }

    pub fn report(&self) -> KeyReport {
        let spec = CsrSpec { name: "i-1".into(), ..CsrSpec::default() };
        KeyReport {
            public: self.key.public().clone(),
            csr: Some(csr::build(&spec, &self.key).unwrap()),
            is_installed: false,
        }
    }

    pub fn certificate(&self, name: &str) -> String {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let public = rcgen::SubjectPublicKeyInfo::from_der(self.key.public().spki_der()).unwrap();
        params.signed_by(&public, &self.ca).unwrap().pem()
    }

    pub fn healthy(&self) -> Answer {
        server("HEALTHY", &self.ca.pem())
    }

    pub fn success(&self) -> Answer {
        status("SUCCESS", &[("OTHER", "x"), ("PUPPET_NODE_CERT", &self.certificate("i-1"))])
    }
}

pub fn server(status: &str, ca: &str) -> Answer {
    api::Answer::Servers(vec![Server {
        name: Some("p".into()),
        status: Some(status.into()),
        endpoint: Some("puppet.example".into()),
        engine: Some("Puppet".into()),
        attributes: vec![("PUPPET_API_CA_CERT".into(), ca.into())],
        ..Server::default()
    }])
    .into()
}

pub fn status(status: &str, attributes: &[(&str, &str)]) -> Answer {
    api::Answer::AssociationStatus {
        status: Some(status.into()),
        attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    }
    .into()
}

pub fn token() -> Answer {
    api::Answer::Associated { token: Some("t-1".into()) }.into()
}

pub fn facts(instance: &str) -> Event {
    puppet_node::facts(instance)
}

pub fn target() -> (OpsworksCm, Engines) {
    puppet_node::opsworks_cm("p")
}

pub fn plan(target: (OpsworksCm, Engines)) -> Plan {
    puppet_node::plan(target, Duration::from_mins(30))
}

pub fn is_call(request: &Request, wanted: &str) -> bool {
    request.call().action() == wanted
}

pub fn begin(world: &World, record: Option<Record>) -> Bootstrap {
    resume(plan(target()), record, 7, world.now())
}

/// A disk and an authority whose answers are given in advance.
pub struct Script {
    pub answers: Vec<Result<Answer, Fault>>,
    pub asked: Vec<String>,
    /// When each call was made.
    pub asked_at: Vec<Duration>,
    /// When each certificate request was made, and with which proof.
    pub proofs: Vec<(Duration, Proof)>,
    /// The phase of each call.
    pub phases: Vec<PhaseName>,
    /// What the status says while the core waits.
    pub said: Vec<String>,
    /// The key's path and the bytes. Each signature is "signed".
    pub signed: Vec<(String, Vec<u8>)>,
    pub disk: Option<Record>,
    pub instance: &'static str,
    pub effects: Vec<&'static str>,
}

impl Script {
    pub fn new(answers: Vec<Result<Answer, Fault>>) -> Self {
        Self {
            answers,
            asked: Vec::new(),
            asked_at: Vec::new(),
            proofs: Vec::new(),
            phases: Vec::new(),
            said: Vec::new(),
            signed: Vec::new(),
            disk: None,
            instance: "i-1",
            effects: Vec::new(),
        }
    }

    /// Drives the core over so many effects. Whether it came to its end.
    pub fn run_some(&mut self, most: usize, world: &mut World, core: &mut Bootstrap) -> bool {
        self.drive(most, world, core).is_some()
    }

    pub fn run(&mut self, world: &mut World, core: &mut Bootstrap) -> Outcome {
        self.drive(1000, world, core).unwrap_or_else(|| panic!("no end after 1000 effects"))
    }

    fn drive(&mut self, most: usize, world: &mut World, core: &mut Bootstrap) -> Option<Outcome> {
        for _ in 0..most {
            let effect = core.poll();
            assert_eq!(
                effect,
                core.poll(),
                "poll returns the same effect until its event is handled"
            );
            let (done, event) = match effect {
                Effect::Finish(outcome) => return Some(outcome),
                Effect::GatherFacts(_) => ("facts", facts(self.instance)),
                Effect::EnsureKey(spec) => {
                    self.proofs.push((world.mono, spec.proof));
                    ("key", Event::Key(Box::new(world.report())))
                }
                Effect::Persist(record) => {
                    self.disk = Some(*record);
                    ("persist", Event::Persisted)
                }
                Effect::Call(request) => ("call", self.call(&request, world, core)),
                Effect::WaitUntil(until) => {
                    assert!(until > world.mono);
                    self.said.push(core.status(world.now()).doing);
                    world.mono = until;
                    ("wait", Event::Woke)
                }
                Effect::Hold(_) => ("hold", Event::Held),
                Effect::Release(_) => ("release", Event::Released),
                Effect::Install(_) => {
                    let phase = &self.disk.as_ref().unwrap().phase;
                    assert!(matches!(phase, Phase::Installing { .. }), "{phase:?}");
                    ("install", Event::Installed(vec![Installed::new(Item::Key, "/s/k")]))
                }
                Effect::Sign(signing) => {
                    let Signing { key, bytes } = *signing;
                    let key = match key {
                        SigningKeyPlace::Node(spec, _) => spec.at.path,
                        SigningKeyPlace::Secret(_, setting) => setting.to_owned(),
                    };
                    self.signed.push((key, bytes.clone()));
                    let signature = b"signed".to_vec();
                    ("sign", Event::Signed(Signature { bytes, signature }))
                }
                Effect::Keep(_) => ("keep", Event::Kept),
                Effect::SetAside(_) => {
                    self.disk = None;
                    ("aside", Event::IsAside)
                }
                other => panic!("{other:?} in a join of a Puppet server"),
            };
            self.effects.push(done);
            core.handle(world.now(), event);
        }
        None
    }

    /// The scripted answer to a call.
    fn call(&mut self, request: &Request, world: &World, core: &Bootstrap) -> Event {
        // Write-ahead: the phase is on disk before the call.
        if is_call(request, "AssociateNode") {
            assert_eq!(self.disk.as_ref().unwrap().phase, Phase::Creating);
        }
        self.asked.push(request.call().action().into());
        self.asked_at.push(world.mono);
        self.phases.push(core.status(world.now()).phase);
        assert!(!self.answers.is_empty(), "more calls than scripted answers: {:?}", self.asked);
        match self.answers.remove(0) {
            Ok(answer) => Event::Answered(answer),
            Err(fault) => Event::Failed(fault),
        }
    }
}

pub fn passing() -> Fault {
    Fault::new(Kind::Transient, "no network", "x", "wait")
}

/// Drives the core, and fails every call until this moment.
pub fn fail_until(
    end: Duration,
    world: &mut World,
    script: &mut Script,
    core: &mut Bootstrap,
    fault: impl Fn() -> Fault,
) {
    while world.mono < end {
        let now = world.now();
        match core.poll() {
            Effect::GatherFacts(_) => core.handle(now, facts("i-1")),
            Effect::Persist(record) => {
                script.disk = Some(*record);
                core.handle(now, Event::Persisted);
            }
            Effect::WaitUntil(until) => {
                world.mono = until;
                core.handle(world.now(), Event::Woke);
            }
            Effect::Call(_) => core.handle(now, Event::Failed(fault())),
            other => panic!("{other:?}"),
        }
    }
}

pub fn failed(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}
