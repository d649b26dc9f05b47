//! The master credentials of servers: "These credentials are not stored by AWS OpsWorks CM; they are
//! returned only as part of the result of `createServer()`."

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::engine_attributes::only;
use super::kit;
use super::server::Server;
use super::server::spec::Engine;
use crate::ca::MadeKey;
use crate::control::validate::Attribute;
use crate::control::{Context, public_key};
use crate::error::ApiError;
use crate::random::Random;

/// The administrator's key and password of a Chef server: the reference's names first, then those
/// of its later editions.
const PIVOTAL_KEYS: [&str; 2] = ["CHEF_PIVOTAL_KEY", "CHEF_AUTOMATE_PIVOTAL_KEY"];
const CHEF_PASSWORDS: [&str; 2] = ["CHEF_DELIVERY_ADMIN_PASSWORD", "CHEF_AUTOMATE_ADMIN_PASSWORD"];
const CHEF_STARTER_KIT: &str = "CHEF_STARTER_KIT";
const PUPPET_PASSWORD: &str = "PUPPET_ADMIN_PASSWORD";
const PUPPET_R10K_REMOTE: &str = "PUPPET_R10K_REMOTE";
const PUPPET_R10K_PRIVATE_KEY: &str = "PUPPET_R10K_PRIVATE_KEY";
const PUPPET_STARTER_KIT: &str = "PUPPET_STARTER_KIT";
/// Of later editions, for `StartMaintenance`.
const CHEF_MAJOR_UPGRADE: &str = "CHEF_MAJOR_UPGRADE";

/// "The password can contain letters, numbers, and special characters."
const SPECIAL: &str = "!/@#$%^&+=_";

/// The engine attributes of `CreateServer`, checked.
pub(super) struct Asked<'a> {
    engine: Engine,
    pivotal_key: Option<Vec<u8>>,
    password: Option<&'a str>,
}

/// A new server's credentials.
pub(super) struct Master {
    /// Chef only.
    pub pivotal_key: Option<Vec<u8>>,
    /// What the response tells, once.
    pub attributes: Value,
}

/// What `UpdateServerEngineAttributes` changes.
pub(super) struct Changed {
    pub pivotal_key: Option<Vec<u8>>,
    /// What the response tells, once: what was made, or a public key; never a password that was given.
    pub shown: Value,
}

impl<'a> Asked<'a> {
    /// Reads the attributes of `CreateServer`.
    pub fn of(engine: Engine, attributes: &[Attribute<'a>]) -> Result<Self, ApiError> {
        let [key, later_key] = PIVOTAL_KEYS;
        let [password, later_password] = CHEF_PASSWORDS;
        let value = |name: &str| {
            let found = attributes.iter().find(|attribute| attribute.name == name);
            found.map(|attribute| attribute.value)
        };
        match engine {
            Engine::Chef => {
                only(attributes, &[key, later_key, password, later_password])?;
                let named = |names: [&'static str; 2]| {
                    names.into_iter().find_map(|name| value(name).map(|value| (name, value)))
                };
                let pivotal_key = named(PIVOTAL_KEYS);
                let pivotal_key =
                    pivotal_key.map(|(name, value)| read_pivotal_key(name, value)).transpose()?;
                let password = named(CHEF_PASSWORDS);
                if let Some((name, password)) = password {
                    check_chef_password(name, password)?;
                }
                Ok(Self { engine, pivotal_key, password: password.map(|(_, password)| password) })
            }
            Engine::Puppet => {
                let known = [PUPPET_PASSWORD, PUPPET_R10K_REMOTE, PUPPET_R10K_PRIVATE_KEY];
                only(attributes, &known)?;
                let password = value(PUPPET_PASSWORD);
                if let Some(password) = password {
                    check_puppet_password(password)?;
                }
                if value(PUPPET_R10K_REMOTE).is_some_and(|remote| !is_git_url(remote)) {
                    return Err(invalid(PUPPET_R10K_REMOTE, "it is not the URL of a repository"));
                }
                if value(PUPPET_R10K_PRIVATE_KEY).is_some_and(|key| !is_private_key(key)) {
                    return Err(invalid(PUPPET_R10K_PRIVATE_KEY, "it is not a private key in PEM"));
                }
                Ok(Self { engine, pivotal_key: None, password })
            }
        }
    }

    /// Makes what was not given, and the starter kit.
    pub fn make(self, server: &Server, context: &mut Context<'_>) -> Result<Master, ApiError> {
        match self.engine {
            Engine::Chef => self.make_chef(server, context),
            Engine::Puppet => {
                let password = self.password.map(str::to_owned);
                let password = password.unwrap_or_else(|| new_password(context.random));
                let kit = kit::puppet(server, context)?;
                let attributes = json!([
                    { "Name": PUPPET_STARTER_KIT, "Value": BASE64_STANDARD.encode(kit) },
                    { "Name": PUPPET_PASSWORD, "Value": password },
                ]);
                Ok(Master { pivotal_key: None, attributes })
            }
        }
    }

    fn make_chef(self, server: &Server, context: &mut Context<'_>) -> Result<Master, ApiError> {
        // Each edition answers in its own names.
        let edition = usize::from(server.settings.engine_name != Engine::Chef.name());
        let name = |names: [&'static str; 2]| names.get(edition).copied().unwrap_or_default();
        let made = match self.pivotal_key {
            Some(_) => None,
            None => Some(new_key(context)?),
        };
        let private = made.as_ref().map(|made| made.private_pem.as_str());
        let kit = kit::chef(server, private, context.authority.bundle());
        let mut attributes = Vec::new();
        let mut put = |name: &str, value: String| {
            attributes.push(json!({ "Name": name, "Value": value }));
        };
        if let Some(private) = private {
            put(name(PIVOTAL_KEYS), BASE64_STANDARD.encode(private));
        }
        put(CHEF_STARTER_KIT, BASE64_STANDARD.encode(kit));
        if self.password.is_none() {
            put(name(CHEF_PASSWORDS), new_password(context.random));
        }
        let pivotal_key = self.pivotal_key.or(made.map(|made| made.public_der));
        Ok(Master { pivotal_key, attributes: Value::Array(attributes) })
    }
}

/// "You can use this command to reset a Chef server's public key (`CHEF_PIVOTAL_KEY`) or a Puppet
/// server's admin password (`PUPPET_ADMIN_PASSWORD`)." Without a value, one is made and told.
pub(super) fn change(
    engine: Engine,
    name: &str,
    value: Option<&str>,
    context: &mut Context<'_>,
) -> Result<Changed, ApiError> {
    let told = |value: &str| json!([{ "Name": name, "Value": value }]);
    match (engine, value) {
        (Engine::Chef, Some(value)) if PIVOTAL_KEYS.contains(&name) => {
            let key = read_pivotal_key(name, value)?;
            Ok(Changed { pivotal_key: Some(key), shown: told(value) })
        }
        (Engine::Chef, None) if PIVOTAL_KEYS.contains(&name) => {
            let made = new_key(context)?;
            let shown = told(&BASE64_STANDARD.encode(made.private_pem));
            Ok(Changed { pivotal_key: Some(made.public_der), shown })
        }
        (Engine::Puppet, Some(value)) if name == PUPPET_PASSWORD => {
            check_puppet_password(value)?;
            Ok(Changed { pivotal_key: None, shown: json!([]) })
        }
        (Engine::Puppet, None) if name == PUPPET_PASSWORD => {
            let shown = told(&new_password(context.random));
            Ok(Changed { pivotal_key: None, shown })
        }
        _ => Err(ApiError::Validation(format!(
            "The engine attribute '{name}' of a {} server cannot be changed.",
            engine.name()
        ))),
    }
}

/// The engine attributes of `StartMaintenance`: the reference names none, its later editions one.
pub(super) fn check_maintenance(
    engine: Engine,
    attributes: &[Attribute<'_>],
) -> Result<(), ApiError> {
    match engine {
        Engine::Puppet => only(attributes, &[]),
        Engine::Chef => {
            only(attributes, &[CHEF_MAJOR_UPGRADE])?;
            let is_truth = |value: &str| ["true", "false"].contains(&value);
            match attributes.first().filter(|attribute| !is_truth(attribute.value)) {
                Some(_) => Err(invalid(CHEF_MAJOR_UPGRADE, "it is neither true nor false")),
                None => Ok(()),
            }
        }
    }
}

fn new_key(context: &mut Context<'_>) -> Result<MadeKey, ApiError> {
    let made = context.authority.make_key();
    made.map_err(|refusal| ApiError::InternalFailure(refusal.to_string()))
}

/// "A base64-encoded RSA public key": of a PEM or a DER form; PEM as it is will do as well.
fn read_pivotal_key(name: &str, value: &str) -> Result<Vec<u8>, ApiError> {
    if value.contains("-----BEGIN ") {
        return public_key::rsa_from_pem(value).map_err(|reason| invalid(name, reason));
    }
    let letters: String = value.split_ascii_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(letters).map_err(|_| invalid(name, "it is not base64"))?;
    match String::from_utf8(bytes) {
        Ok(text) => public_key::rsa_from_pem(&text).map_err(|reason| invalid(name, reason)),
        Err(error) if public_key::is_rsa(error.as_bytes()) => Ok(error.into_bytes()),
        Err(_) => Err(invalid(name, "it does not hold an RSA public key")),
    }
}

/// "A minimum of eight characters, and a maximum of 32", of the documented ones, "at least one lower
/// case letter, one upper case letter, one number, and one special character".
fn check_chef_password(name: &str, password: &str) -> Result<(), ApiError> {
    if !(8..=32).contains(&password.chars().count()) {
        return Err(invalid(name, "it has not 8 to 32 characters"));
    }
    let known = |letter: char| letter.is_ascii_alphanumeric() || SPECIAL.contains(letter);
    if !password.chars().all(known) {
        let reason = format!("it has other characters than letters, numbers and {SPECIAL}");
        return Err(invalid(name, &reason));
    }
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let all = has(|letter| letter.is_ascii_lowercase())
        && has(|letter| letter.is_ascii_uppercase())
        && has(|letter| letter.is_ascii_digit())
        && has(|letter| SPECIAL.contains(letter));
    if all {
        return Ok(());
    }
    Err(invalid(name, "it lacks a lower case letter, an upper case letter, a number or a special"))
}

/// "A password must use ASCII characters."
fn check_puppet_password(password: &str) -> Result<(), ApiError> {
    let fits = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    match password {
        "" => Err(invalid(PUPPET_PASSWORD, "it is empty")),
        password if password.chars().all(fits) => Ok(()),
        _ => Err(invalid(PUPPET_PASSWORD, "it has other characters than printable ASCII")),
    }
}

/// A password that both engines take.
fn new_password(random: &mut Random) -> String {
    const KINDS: [&str; 4] =
        ["abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", SPECIAL];
    let pick = |letters: &str| {
        let count = u64::try_from(letters.len()).unwrap_or(1);
        let index = usize::try_from(random.next_u64() % count).unwrap_or(0);
        letters.chars().nth(index).unwrap_or('x')
    };
    (0..4).flat_map(|_| KINDS).map(pick).collect()
}

/// `ssh://git@host/path`, `https://host/path`, or `git@host:path`.
fn is_git_url(text: &str) -> bool {
    let plain = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    let schemes = ["ssh", "https", "http", "git"];
    let is_url = text
        .split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty());
    let is_scp = text
        .split_once(':')
        .is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty());
    plain && (is_url || is_scp)
}

fn is_private_key(text: &str) -> bool {
    pem::parse(text).is_ok_and(|block| block.tag().ends_with("PRIVATE KEY"))
}

fn invalid(name: &str, reason: &str) -> ApiError {
    ApiError::Validation(format!("Invalid value of engine attribute '{name}': {reason}."))
}
