//! The authority's side: judges a certificate request, for a Puppet Server's `autosign` setting. Pure: the
//! time, the settings and what was read come in as arguments; `cli::autosign` does the I/O.
//!
//! ```text
//! begin    reads the request, and checks all that needs nothing else
//! needs    what has to be read: passwords, certificates of regions; then what STS has to be asked
//! decide   checks every rule; the first one whose checks all pass signs
//! ```
//!
//! A join does not use this module (decision 0017). Both share `pki::proof`, the form of the proofs.

mod audit;
mod check;
mod iam;
mod identity;
mod json;
mod pattern;
mod places;
mod region_keys;
pub mod regions;
mod request;
mod rules;
pub mod settings;
mod strict_pem;
mod sts;
mod time;

use std::collections::{BTreeMap, BTreeSet};

pub use check::{Check, Checks, Refusal};
pub use iam::StsRequest;
pub use pattern::Pattern;
pub use request::{Csr, LARGEST, read};
pub use settings::{Policy, SettingsError};
pub use sts::{NotIdentified, StsAnswer, meaning};

use crate::fault::Kind;
use crate::pki::{oid, proof};
use crate::secret::Secret;
use settings::Proof;

/// What a proof has shown for certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    pub account: Option<String>,
    pub partition: Option<String>,
    pub role: Option<String>,
    /// The name of the role's session. For a role that other than EC2 may assume, whoever assumes it
    /// chooses this name.
    pub session: Option<String>,
    pub instance_id: Option<String>,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub image: Option<String>,
    /// When the instance began, Unix seconds.
    pub began: Option<i64>,
    /// The region whose STS was asked: the asker's choice.
    pub asked_region: Option<String>,
}

impl Proven {
    /// What the proof tells of this extension of Puppet's.
    fn tells(&self, name: &str) -> Option<&str> {
        match name {
            "pp_instance_id" => self.instance_id.as_deref(),
            "pp_region" => self.region.as_deref(),
            "pp_zone" => self.zone.as_deref(),
            "pp_image_name" => self.image.as_deref(),
            "pp_cloudplatform" => self.instance_id.as_ref().map(|_| "aws"),
            _ => None,
        }
    }
}

/// What has to be read before the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files with passwords.
    pub passwords: BTreeSet<String>,
    /// A file with the certificate of a region. It may be missing.
    pub certificate: Option<String>,
}

/// What was read and asked.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub passwords: BTreeMap<String, Result<Secret, Refusal>>,
    /// None: there is no such file.
    pub certificate: Option<Result<String, Refusal>>,
    pub sts: Option<Result<Proven, Refusal>>,
}

/// A request that is being judged.
#[derive(Debug)]
pub struct Judge<'a> {
    policy: &'a Policy,
    certname: &'a str,
    now: i64,
    csr: Result<Csr, Refusal>,
    /// None: there is no such proof, or no rule for one.
    sts: Option<Result<StsRequest, Refusal>>,
    checks: Checks,
}

/// The decision, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub certname: String,
    /// SHA-256 of the request's public key; none if the request can't be read.
    pub key: Option<String>,
    pub now: i64,
    /// The number of the rule that signs, or why nothing is signed.
    pub verdict: Result<usize, Refusal>,
    /// The proof of the rule that signs or came closest.
    pub proof: Option<&'static str>,
    pub proven: Proven,
    /// Checks of the request and its proofs.
    pub checks: Checks,
    /// The checks of each rule: its number, its proof, and the checks.
    pub rules: Vec<(usize, &'static str, Checks)>,
}

impl<'a> Judge<'a> {
    /// Reads the request, PEM, for this certname. `now` is the time in Unix seconds.
    #[must_use]
    pub fn begin(policy: &'a Policy, certname: &'a str, csr: &[u8], now: i64) -> Self {
        let mut checks = Checks::default();
        let csr = request::read(csr, certname, &mut checks);
        let text = csr.as_ref().ok().and_then(|csr| Some((csr, csr.attribute(proof::IAM)?)));
        let sts = text
            .filter(|_| policy.has(settings::IAM))
            .map(|(csr, text)| iam::request(text, csr, &policy.regions(), now, &mut checks));
        Self { policy, certname, now, csr, sts, checks }
    }

    /// What has to be read or asked.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let Ok(csr) = &self.csr else { return Needs::default() };
        let has_password = csr.attribute(oid::CHALLENGE_PASSWORD).is_some();
        let passwords = self.policy.rules.iter().filter(|_| has_password);
        let passwords = passwords.filter_map(|rule| match &rule.proof {
            Proof::ChallengePassword { file } => Some(file.clone()),
            _ => None,
        });
        let region =
            csr.attribute(proof::IDENTITY_DOCUMENT).filter(|_| self.policy.has(settings::IDENTITY));
        let region = region.and_then(|document| identity::region_of(document).ok());
        // The name of a file: only what is the name of a region.
        let region = region.filter(|region| proof::sts_host(region).is_some());
        let directory = self.policy.certificates.as_ref();
        Needs {
            passwords: passwords.collect(),
            certificate: directory.zip(region).map(|(path, region)| format!("{path}/{region}.pem")),
        }
    }

    /// What STS has to be asked, with what [`Self::needs`] asked for: nothing where a rule before the
    /// first one for `iam` signs.
    #[must_use]
    pub fn needs_sts(&self, found: &Found) -> Option<StsRequest> {
        let request = self.sts.as_ref()?.as_ref().ok()?;
        let is_before = |rule: &&settings::Rule| rule.proof.id() != settings::IAM;
        let before = self.policy.rules.iter().take_while(is_before).cloned().collect();
        let policy = Policy { rules: before, ..self.policy.clone() };
        let judge = Judge {
            policy: &policy,
            sts: None,
            checks: Checks::default(),
            csr: self.csr.clone(),
            ..*self
        };
        judge.decide(found).verdict.is_err().then(|| request.clone())
    }

    /// Decides, with what [`Self::needs`] and [`Self::needs_sts`] asked for.
    #[must_use]
    pub fn decide(mut self, found: &Found) -> Decision {
        let mut rules = Vec::new();
        let mut best: Option<Standing> = None;
        if let Ok(csr) = self.csr.clone() {
            let proofs = self.proofs(&csr, found);
            for rule in &self.policy.rules {
                let proof = proofs.get(rule.proof.id());
                let standing = match proof {
                    Some(Ok(proven)) => {
                        let case = rules::Case { csr: &csr, proven, found, now: self.now };
                        let checks = rules::check(rule, case);
                        let standing = Standing::of(rule, proven, &checks);
                        rules.push((rule.number, rule.proof.id(), checks));
                        standing
                    }
                    Some(Err(refusal)) => Standing::without_proof(rule, refusal),
                    None => continue,
                };
                if best.as_ref().is_none_or(|best| standing.rank > best.rank) {
                    best = Some(standing);
                }
            }
        }
        let key = self.csr.as_ref().ok().map(Csr::key_sha256);
        let (proof, proven, verdict) = match (self.csr, best) {
            (Err(refusal), _) => (None, Proven::default(), Err(refusal)),
            (Ok(_), None) => (None, Proven::default(), Err(self.policy.no_proof())),
            (Ok(_), Some(best)) => (Some(best.proof), best.proven, best.verdict),
        };
        let certname = self.certname.to_owned();
        Decision {
            certname,
            key,
            now: self.now,
            verdict,
            proof,
            proven,
            checks: self.checks,
            rules,
        }
    }

    /// What each proof of the request shows, if there is a rule for it.
    fn proofs(
        &mut self,
        csr: &Csr,
        found: &Found,
    ) -> BTreeMap<&'static str, Result<Proven, Refusal>> {
        let mut proofs = BTreeMap::new();
        match self.sts.take() {
            Some(Ok(request)) => {
                let not_asked =
                    || Err(Refusal::rejected("STS was not asked, since an earlier rule signs"));
                let answer = found.sts.clone().unwrap_or_else(not_asked);
                let caller = answer.and_then(|proven| iam_caller(proven, &request));
                let shown = |it: &Proven| it.session.clone().unwrap_or_default();
                proofs.insert(settings::IAM, self.checks.take("iam: caller", caller, shown));
            }
            Some(Err(refusal)) => {
                proofs.insert(settings::IAM, Err(refusal));
            }
            None => {}
        }
        let document = csr.attribute(proof::IDENTITY_DOCUMENT);
        if let Some(document) = document.filter(|_| self.policy.has(settings::IDENTITY)) {
            let proven = match &found.certificate {
                Some(Err(refusal)) => Err(refusal.clone()),
                added => {
                    let added = added.as_ref().and_then(|it| it.as_deref().ok());
                    let signature = csr.attribute(proof::IDENTITY_SIGNATURE);
                    identity::verify(document, signature, added, &mut self.checks)
                }
            };
            proofs.insert(settings::IDENTITY, proven);
        }
        if csr.attribute(oid::CHALLENGE_PASSWORD).is_some() {
            proofs.insert(settings::PASSWORD, Ok(Proven::default()));
        }
        proofs
    }
}

/// Stops a caller of another partition than that of the region that was asked.
fn iam_caller(proven: Proven, request: &StsRequest) -> Result<Proven, Refusal> {
    if proven.partition.as_deref() == Some(regions::partition_of(&request.region)) {
        return Ok(Proven { asked_region: Some(request.region.clone()), ..proven });
    }
    Err(Refusal::new(Kind::Protocol, "the answer of STS is of another partition of AWS"))
}

/// How far a rule got.
struct Standing {
    /// The higher, the closer to a signature; the first of several rules counts.
    rank: usize,
    proof: &'static str,
    proven: Proven,
    verdict: Result<usize, Refusal>,
}

impl Standing {
    fn of(rule: &settings::Rule, proven: &Proven, checks: &Checks) -> Self {
        let (rank, verdict) = match checks.failed() {
            None => (usize::MAX, Ok(rule.number)),
            Some(refusal) => (checks.passed() + 1, Err(of_rule(rule, refusal))),
        };
        Self { rank, proof: rule.proof.id(), proven: proven.clone(), verdict }
    }

    fn without_proof(rule: &settings::Rule, refusal: &Refusal) -> Self {
        let verdict = Err(of_rule(rule, refusal));
        Self { rank: 0, proof: rule.proof.id(), proven: Proven::default(), verdict }
    }
}

fn of_rule(rule: &settings::Rule, refusal: &Refusal) -> Refusal {
    let why = format!("rule {} ({}): {}", rule.number, rule.proof.id(), refusal.why);
    Refusal::new(refusal.kind, why)
}

impl Policy {
    /// Whether there is a rule for this proof.
    fn has(&self, proof: &str) -> bool {
        self.rules.iter().any(|rule| rule.proof.id() == proof)
    }

    /// The regions of each rule for `iam`.
    fn regions(&self) -> Vec<&[Pattern]> {
        let regions = self.rules.iter().filter_map(|rule| match &rule.proof {
            Proof::Iam { regions, .. } => Some(regions.as_slice()),
            _ => None,
        });
        regions.collect()
    }

    fn no_proof(&self) -> Refusal {
        let ids: BTreeSet<&str> = self.rules.iter().map(|rule| rule.proof.id()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let keys = match ids.as_slice() {
            [settings::PASSWORD] => "challenge_password",
            ids if ids.contains(&settings::PASSWORD) => "proof or challenge_password",
            _ => "proof",
        };
        Refusal::rejected(format!(
            "the request has no proof of the kind {}: set {keys} in [puppet-server] on the node",
            ids.join(" or ")
        ))
    }
}
