//! The settings, `/etc/enlist/autosign.toml`.

use std::time::Duration;

use serde::Deserialize;

use super::pattern::{Pattern, Placeholder};
use super::places;
use super::regions;
use super::sts::is_account;
use crate::pki::oid;

/// The default of `max_age`, and of `timeout` in `[sts]`.
const MAX_AGE: Duration = Duration::from_mins(15);
const TIMEOUT: Duration = Duration::from_secs(5);

/// The validated settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the file. At least one.
    pub rules: Vec<Rule>,
    pub sts: Sts,
    /// The file of audit lines. None: the journal.
    pub audit: Option<String>,
    /// A directory with certificates of regions, `REGION.pem`.
    pub certificates: Option<String>,
}

/// One `[[allow]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// From 1 on.
    pub number: usize,
    pub proof: Proof,
    /// What the certname must be.
    pub name: Pattern,
    pub extensions: Vec<Allowed>,
}

/// What a rule demands of its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Iam { accounts: Vec<String>, roles: Vec<Pattern>, regions: Vec<Pattern> },
    InstanceIdentity { accounts: Vec<String>, regions: Vec<Pattern>, max_age: Duration },
    ChallengePassword { file: String },
}

impl Proof {
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Iam { .. } => IAM,
            Self::InstanceIdentity { .. } => IDENTITY,
            Self::ChallengePassword { .. } => PASSWORD,
        }
    }
}

/// An extension that a request may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Dotted.
    pub oid: String,
    /// None: any value.
    pub value: Option<Pattern>,
}

/// How STS is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sts {
    /// From the start to the answer, repetitions included.
    pub timeout: Duration,
    /// `https://HOST[:PORT]`: a VPC endpoint, to connect to instead of the public one.
    pub endpoint: Option<String>,
    /// The CA of that server, PEM. None: the CAs that this system trusts.
    pub ca_file: Option<String>,
    /// The URL of a proxy. None: that of the environment.
    pub proxy: Option<String>,
}

pub const IAM: &str = "iam";
pub const IDENTITY: &str = "instance-identity";
pub const PASSWORD: &str = "challenge-password";

/// Why the settings can't be used, in one line. It contains no value, which may be a secret in the wrong
/// place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    allow: Vec<RuleTable>,
    #[serde(default)]
    sts: StsTable,
    #[serde(default)]
    audit: AuditTable,
    #[serde(default)]
    identity: IdentityTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    proof: toml::Value,
    account: Option<toml::Value>,
    role: Option<toml::Value>,
    regions: Option<toml::Value>,
    max_age: Option<toml::Value>,
    password: Option<toml::Value>,
    name: Option<toml::Value>,
    extensions: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StsTable {
    timeout: Option<toml::Value>,
    endpoint: Option<toml::Value>,
    ca_file: Option<toml::Value>,
    proxy: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditTable {
    file: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityTable {
    certificates: Option<toml::Value>,
}

impl Policy {
    /// Parses the settings.
    ///
    /// # Errors
    /// The first value that can't be used, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            SettingsError(format!("line {line}: {}", error.message()))
        })?;
        if file.allow.is_empty() {
            return Err(SettingsError("there is no rule: no [[allow]]".to_owned()));
        }
        let rules = file.allow.into_iter().enumerate();
        let rules: Result<Vec<_>, _> = rules.map(|(index, table)| rule(index + 1, table)).collect();
        let File { sts, audit, identity, .. } = file;
        Ok(Self {
            rules: rules?,
            sts: Sts {
                timeout: duration(sts.timeout, "timeout in [sts]", TIMEOUT, "60s")?,
                endpoint: places::endpoint(sts.endpoint)?,
                ca_file: path(sts.ca_file, "ca_file in [sts]")?,
                proxy: places::proxy(sts.proxy)?,
            },
            audit: path(audit.file, "file in [audit]")?,
            certificates: path(identity.certificates, "certificates in [identity]")?,
        })
    }
}

pub(super) fn invalid<T>(what: &str, allowed: &str) -> Result<T, SettingsError> {
    Err(SettingsError(format!("the value of {what} is not allowed; it must be {allowed}")))
}

fn unfit(what: &str) -> SettingsError {
    SettingsError(format!("a rule of this proof has no such setting: {what}"))
}

fn rule(number: usize, table: RuleTable) -> Result<Rule, SettingsError> {
    let of = |key: &str| format!("{key} of rule {number}");
    let RuleTable { proof: id, account, role, regions, max_age, password, name, extensions } =
        table;
    let unfit = |key: &str, is_set| if is_set { Err(unfit(&of(key))) } else { Ok(()) };
    let proven = [Placeholder::InstanceId, Placeholder::Account];
    let (proof, default, placeholders) = match id.as_str() {
        Some(IAM) => {
            unfit("max_age", max_age.is_some())?;
            unfit("password", password.is_some())?;
            let roles = patterns(role, &of("role"), &[])?;
            if roles.is_empty() || !roles.iter().all(|role| is_role(role.text())) {
                return invalid(
                    &of("role"),
                    "the name of a role alone, without a path or ARN, a pattern such as \"web-*\", or a list",
                );
            }
            let accounts = accounts(account, &of("account"))?;
            let regions = regions_of(regions, &of("regions"))?;
            // STS is asked in a region that AWS has, or that is named whole.
            if !regions.iter().all(|region| region.is_named() || regions::any_is(region)) {
                return invalid(&of("regions"), REGIONS);
            }
            let proof = Proof::Iam { accounts, roles, regions };
            (proof, "{instance_id}", [&proven[..], &[Placeholder::Role]].concat())
        }
        Some(IDENTITY) => {
            unfit("role", role.is_some())?;
            unfit("password", password.is_some())?;
            let accounts = accounts(account, &of("account"))?;
            let regions = regions_of(regions, &of("regions"))?;
            let max_age = duration(max_age, &of("max_age"), MAX_AGE, "31d")?;
            let proof = Proof::InstanceIdentity { accounts, regions, max_age };
            (proof, "{instance_id}", [&proven[..], &[Placeholder::Region]].concat())
        }
        Some(PASSWORD) => {
            let others = [("account", &account), ("role", &role), ("regions", &regions)];
            for (key, value) in others.into_iter().chain([("max_age", &max_age)]) {
                unfit(key, value.is_some())?;
            }
            let file = password_file(password, &of("password"))?;
            (Proof::ChallengePassword { file }, "*", Vec::new())
        }
        _ => {
            return invalid(
                &of("proof"),
                "\"iam\", \"instance-identity\" or \"challenge-password\"",
            );
        }
    };
    let name = text(name, &of("name"))?.unwrap_or_else(|| default.to_owned());
    Ok(Rule {
        number,
        name: pattern(&name, &of("name"), &placeholders)?,
        extensions: allowed(extensions, &of("extensions"), &placeholders)?,
        proof,
    })
}

pub(super) fn text(
    value: Option<toml::Value>,
    what: &str,
) -> Result<Option<String>, SettingsError> {
    match value {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(_) => invalid(what, "a text"),
    }
}

/// A text, or a list of texts.
fn texts(value: Option<toml::Value>, what: &str) -> Result<Vec<String>, SettingsError> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(toml::Value::String(text)) => return Ok(vec![text]),
        Some(toml::Value::Array(list)) => list,
        Some(_) => return invalid(what, "a text, or a list of texts"),
    };
    let texts: Option<Vec<String>> =
        list.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    texts.map_or_else(|| invalid(what, "a text, or a list of texts"), Ok)
}

fn accounts(value: Option<toml::Value>, what: &str) -> Result<Vec<String>, SettingsError> {
    let accounts = texts(value, what)?;
    if accounts.is_empty() || !accounts.iter().all(|account| is_account(account)) {
        return invalid(what, "an account number of twelve digits in quotes, or a list");
    }
    Ok(accounts)
}

fn pattern(text: &str, what: &str, allowed: &[Placeholder]) -> Result<Pattern, SettingsError> {
    Pattern::parse(text, allowed).map_err(|why| SettingsError(format!("{what}: {why}")))
}

fn patterns(
    value: Option<toml::Value>,
    what: &str,
    placeholders: &[Placeholder],
) -> Result<Vec<Pattern>, SettingsError> {
    texts(value, what)?.iter().map(|text| pattern(text, what, placeholders)).collect()
}

/// A list of names, a table of names and values, or a list of both.
fn allowed(
    value: Option<toml::Value>,
    what: &str,
    placeholders: &[Placeholder],
) -> Result<Vec<Allowed>, SettingsError> {
    const FORM: &str = "a list of names, or a table of names and values";
    let entries = match value {
        None => return Ok(Vec::new()),
        Some(toml::Value::Array(list)) => list,
        Some(table @ toml::Value::Table(_)) => vec![table],
        Some(_) => return invalid(what, FORM),
    };
    let mut found: Vec<Allowed> = Vec::new();
    for entry in entries {
        let pairs: Vec<(String, Option<String>)> = match entry {
            toml::Value::String(name) => vec![(name, None)],
            toml::Value::Table(table) => {
                let pair = |(name, value): (String, toml::Value)| match value {
                    toml::Value::String(text) => Ok((name, Some(text))),
                    _ => invalid(what, FORM),
                };
                table.into_iter().map(pair).collect::<Result<_, _>>()?
            }
            _ => return invalid(what, FORM),
        };
        for (name, value) in pairs {
            let oid = extension(&name, what)?;
            if found.iter().any(|seen| seen.oid == oid) {
                return Err(SettingsError(format!("{what} has {name} twice")));
            }
            let value = value.map(|text| pattern(&text, what, placeholders)).transpose()?;
            found.push(Allowed { oid, value });
        }
    }
    Ok(found)
}

/// The arc of all extensions that a Puppet CA signs, apart from alternative names.
const PUPPETS: &str = "1.3.6.1.4.1.34380.1";

/// `pp_cli_auth`: its holder administers the CA.
const ADMINISTRATOR: &str = "1.3.6.1.4.1.34380.1.3.39";

fn extension(name: &str, what: &str) -> Result<String, SettingsError> {
    let dotted = oid::resolve(name).filter(|dotted| oid::is_under(dotted, PUPPETS));
    match dotted {
        Some(dotted) if dotted == ADMINISTRATOR => {
            let why = format!("{what} has pp_cli_auth, which would let a node administer the CA");
            Err(SettingsError(why))
        }
        Some(dotted) => Ok(dotted),
        None => invalid(what, "names such as pp_role, or OIDs below 1.3.6.1.4.1.34380.1"),
    }
}

fn password_file(value: Option<toml::Value>, what: &str) -> Result<String, SettingsError> {
    const FORM: &str = "{ file = \"/PATH\" }, the file that has the password";
    let file = match value {
        Some(toml::Value::Table(mut table)) if table.len() == 1 => table.remove("file"),
        _ => None,
    };
    match path(file, what) {
        Ok(Some(file)) => Ok(file),
        _ => invalid(what, FORM),
    }
}

fn path(value: Option<toml::Value>, what: &str) -> Result<Option<String>, SettingsError> {
    match text(value, what)? {
        Some(path) if !path.starts_with('/') || path.contains('\0') => {
            invalid(what, "an absolute path")
        }
        path => Ok(path),
    }
}

fn duration(
    value: Option<toml::Value>,
    what: &str,
    default: Duration,
    most: &str,
) -> Result<Duration, SettingsError> {
    let Some(text) = text(value, what)? else { return Ok(default) };
    let [parsed, longest] = [&text, most].map(|text| humantime::parse_duration(text).ok());
    match parsed.filter(|time| *time >= Duration::from_secs(1) && Some(*time) <= longest) {
        Some(time) => Ok(time),
        None => invalid(what, &format!("a time such as \"10s\" or \"15m\", from 1s to {most}")),
    }
}

const REGIONS: &str = "regions of AWS such as \"eu-central-1\", or patterns such as \"eu-*\"; for China \"cn-*\", for GovCloud \"us-gov-*\"";

fn regions_of(value: Option<toml::Value>, what: &str) -> Result<Vec<Pattern>, SettingsError> {
    // An empty list would read as "none", and a missing one means all of the partition.
    let is_missing = value.is_none();
    let regions = patterns(value, what, &[])?;
    if regions.is_empty() != is_missing {
        return invalid(what, REGIONS);
    }
    if regions.iter().all(|region| !region.is_named() || regions::is_well_formed(region.text())) {
        return Ok(regions);
    }
    invalid(what, REGIONS)
}

/// What IAM accepts as the name of a role, with stars.
fn is_role(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-*".contains(c))
}
