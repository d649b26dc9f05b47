//! The checks of one rule. The first rule whose checks all pass signs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest, Sha256};

use super::check::{Checks, Refusal};
use super::regions::any_allows;
use super::request::{Csr, named, text_of};
use super::settings::{Allowed, Proof, Rule};
use super::time::apart;
use super::{Found, Proven};
use crate::fault::Kind;
use crate::pki::der::{self, Reader};
use crate::pki::oid;
use crate::text;

/// How far a start of an instance may be ahead of this machine's clock, in seconds.
const AHEAD: i64 = 5 * 60;

/// What a rule is checked against.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub csr: &'a Csr,
    pub proven: &'a Proven,
    pub found: &'a Found,
    pub now: i64,
}

/// Makes every check of a rule, also after one has failed: `--explain` shows them all.
#[must_use]
pub fn check(rule: &Rule, case: Case<'_>) -> Checks {
    let mut checks = Checks::default();
    let results = match &rule.proof {
        Proof::Iam { accounts, roles, regions } => vec![
            ("account", check_account(accounts, case.proven)),
            ("role", check_role(roles, case.proven)),
            ("region", check_region(regions, case.proven)),
        ],
        Proof::InstanceIdentity { accounts, regions, max_age } => vec![
            ("account", check_account(accounts, case.proven)),
            ("region", check_region(regions, case.proven)),
            ("age", check_age(max_age.as_secs(), case.proven, case.now)),
        ],
        Proof::ChallengePassword { file } => vec![("password", check_password(file, case))],
    };
    for (name, result) in results {
        let _ = checks.add(name, result);
    }
    let _ = checks.add("name", check_name(rule, case));
    for (dotted, content) in &case.csr.extensions {
        let _ = checks.add("extension", check_extension(rule, dotted, content, case.proven));
    }
    checks
}

/// Stops machines of another account.
fn check_account(accounts: &[String], proven: &Proven) -> Result<String, Refusal> {
    let account = proven.account.as_deref().unwrap_or("unknown");
    if accounts.iter().any(|known| known == account) {
        return Ok(account.to_owned());
    }
    Err(Refusal::rejected(format!("the account is {account}, not {}", accounts.join(" or "))))
}

/// Stops other roles of the account.
fn check_role(roles: &[super::Pattern], proven: &Proven) -> Result<String, Refusal> {
    let role = proven.role.as_deref().unwrap_or("unknown");
    if roles.iter().any(|pattern| pattern.matches(role, proven) == Ok(true)) {
        return Ok(role.to_owned());
    }
    let known: Vec<String> = roles.iter().map(|role| format!("{:?}", role.text())).collect();
    Err(Refusal::rejected(format!("the role is {role:?}, not {}", known.join(" or "))))
}

/// Stops other regions, and other partitions of AWS: there, the same account number may be somebody
/// else's.
fn check_region(regions: &[super::Pattern], proven: &Proven) -> Result<String, Refusal> {
    let region = proven.region.as_deref().or(proven.asked_region.as_deref());
    if let Some(region) = region.filter(|region| any_allows(regions, region)) {
        return Ok(region.to_owned());
    }
    let region = region.unwrap_or("unknown");
    let known: Vec<&str> = regions.iter().map(super::Pattern::text).collect();
    let known = match known.as_slice() {
        [] => "one of the partition aws: name it in regions".to_owned(),
        known => known.join(" or "),
    };
    Err(Refusal::rejected(format!("the region is {region}, not {known}")))
}

/// Stops a document that was read off an instance long after it began, by a process on it or by whoever
/// has got hold of the document.
fn check_age(max_age: u64, proven: &Proven, now: i64) -> Result<String, Refusal> {
    let began = proven.began.unwrap_or_default();
    let shown = format!("the instance began {} by this machine's clock", apart(began, now));
    if began > now.saturating_add(AHEAD) {
        let why = format!("{shown} ({}): this machine's clock is behind", text::time(now));
        return Err(Refusal::rejected(why));
    }
    let limit = i64::try_from(max_age).unwrap_or(i64::MAX);
    if now.saturating_sub(began) <= limit {
        return Ok(shown);
    }
    Err(Refusal::rejected(format!("{shown} ({}), and max_age is {max_age} s", text::time(now))))
}

/// Compares in constant time, so that how long it takes tells nothing about the password. The digests
/// are compared: they have one length.
fn check_password(file: &str, case: Case<'_>) -> Result<String, Refusal> {
    let shown = case
        .csr
        .attribute(oid::CHALLENGE_PASSWORD)
        .ok_or_else(|| Refusal::rejected("the request has no challenge password"))?;
    let known = match case.found.passwords.get(file) {
        Some(Ok(known)) => known,
        Some(Err(refusal)) => return Err(refusal.clone()),
        None => return Err(Refusal::new(Kind::Invariant, "the password was not read")),
    };
    let known = known.expose().trim_end_matches(['\r', '\n']);
    if known.trim().is_empty() {
        return Err(Refusal::new(
            Kind::Config,
            format!("the password in {file} is empty, or blanks"),
        ));
    }
    let [known, shown] = [known, shown].map(|text| Sha256::digest(text.as_bytes()));
    match verify_slices_are_equal(&known, &shown) {
        Ok(()) => Ok("equal".to_owned()),
        Err(_) => Err(Refusal::rejected("the challenge password is wrong")),
    }
}

/// Stops a machine that proves who it is and asks for the name of another one.
fn check_name(rule: &Rule, case: Case<'_>) -> Result<String, Refusal> {
    let name = &case.csr.name;
    match rule.name.matches(name, case.proven) {
        Ok(true) => Ok(name.clone()),
        Ok(false) => Err(Refusal::rejected(format!(
            "the name is {name:?}, not {:?}{}",
            rule.name.text(),
            case.proven.instance_id.as_ref().map(|id| format!(" of {id}")).unwrap_or_default()
        ))),
        Err(missing) => Err(Refusal::rejected(format!(
            "the name must have {{{missing}}}, and the proof does not tell it{}",
            case.proven.session.as_ref().map(|it| format!(" (session {it:?})")).unwrap_or_default()
        ))),
    }
}

/// Stops extensions that the rule does not name: they end up in the certificate, and Puppet code and
/// the server's own rules trust them. Without being named, only what the proof itself tells is allowed.
/// An extension below Puppet's authorization arc is never that. A value that the proof contradicts is
/// refused, also where the rule names the extension.
fn check_extension(
    rule: &Rule,
    dotted: &str,
    content: &[u8],
    proven: &Proven,
) -> Result<String, Refusal> {
    let name = named(dotted);
    // With them, a node could pass for the server.
    if dotted == oid::ALTERNATIVE_NAMES {
        return Err(Refusal::rejected(
            "the request has alternative names, which only a person may sign: a proof tells nothing of them",
        ));
    }
    let value = check_value(&name, content)?;
    let shown = format!("{name} = {value:?}");
    let allowed = rule.extensions.iter().find(|it| it.oid == dotted);
    match proven.tells(&name) {
        Some(told) if value == told => return Ok(format!("{shown}, as proven")),
        // Which word a site uses for the platform is not for the proof to say.
        Some(told) if allowed.is_none() || name != "pp_cloudplatform" => {
            return Err(Refusal::rejected(format!(
                "the extension {shown} is not {told:?}, as proven"
            )));
        }
        _ => {}
    }
    let Some(Allowed { value: pattern, .. }) = allowed else {
        return Err(Refusal::rejected(format!(
            "the extension {shown} is not allowed: name it in extensions of the rule"
        )));
    };
    let Some(pattern) = pattern else { return Ok(shown) };
    match pattern.matches(&value, proven) {
        Ok(true) => Ok(shown),
        Ok(false) => {
            Err(Refusal::rejected(format!("the extension {shown} is not {:?}", pattern.text())))
        }
        Err(missing) => Err(Refusal::rejected(format!(
            "the extension {name} must have {{{missing}}}, and the proof does not tell it"
        ))),
    }
}

/// Stops a value that the server would sign as another one: it decodes UTF8String only, and takes the
/// bytes of any other type, tag and length included, as the text.
fn check_value(name: &str, content: &[u8]) -> Result<String, Refusal> {
    let mut reader = Reader::new(content);
    let value = reader.any().and_then(|value| reader.finish().map(|()| value));
    let text = value.ok().filter(|value| value.tag == der::UTF8_STRING).and_then(text_of);
    let text = text.ok_or_else(|| {
        Refusal::data(format!("the value of the extension {name} is not one UTF8String"))
    })?;
    if text.chars().any(char::is_control) {
        return Err(Refusal::data(format!(
            "the value of the extension {name} has control characters"
        )));
    }
    Ok(text)
}
