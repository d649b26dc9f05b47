//! Where credentials can come from, decided once from what was parsed. Nothing is requested yet.

use super::known_variables::Variables;
use super::profiles::{ProfileValue, Profiles};
use super::value_rules::{Rule, seconds};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// Long-term keys, or temporary ones that something else renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub id: String,
    pub secret: Secret,
    pub token: Option<Secret>,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    pub session: Option<String>,
    pub external_id: Option<String>,
    pub seconds: Option<i32>,
}

/// What authorizes a request to a container's credentials service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    None,
    /// Read for each request: the file is replaced from time to time.
    File(String),
    Token(Secret),
}

/// A source of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Keys(Keys),
    /// A program that prints them (`credential_process`), and where that is set.
    Process {
        command: Secret,
        on: String,
    },
    /// A role for the token in a file, as Kubernetes provides one.
    WebIdentity {
        file: String,
        role: Role,
    },
    Assumed {
        role: Role,
        with: Box<Source>,
    },
    Container {
        url: String,
        authorization: Authorization,
    },
    /// The role of the EC2 instance.
    Metadata,
}

impl Source {
    /// A description for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Keys(_) => "an access key".to_owned(),
            Self::Process { .. } => "credential_process".to_owned(),
            Self::WebIdentity { role, .. } => format!("role {} by web identity token", role.arn),
            Self::Assumed { role, with } => format!("role {}, with {}", role.arn, with.describe()),
            Self::Container { url, .. } => format!("container credentials from {url}"),
            Self::Metadata => "the role of this EC2 instance".to_owned(),
        }
    }
}

/// A source, and the setting that names it.
pub type NamedSource = (Source, String);

/// Every source, in the order in which the AWS tools try them.
///
/// # Errors
/// `Config` if a source is incomplete, or if a profile needs a person.
pub fn find(
    variables: &Variables,
    profiles: &Profiles,
    is_profile_asked: bool,
) -> Result<Vec<NamedSource>, Fault> {
    let mut found = Vec::new();
    // A profile that the settings name comes before the keys of the environment.
    if !is_profile_asked {
        found.extend(keys_of_environment(variables)?.map(named("AWS_ACCESS_KEY_ID")));
    }
    // Keys in the environment win. Then the profile is not read at all.
    if found.is_empty() {
        let selected = profiles.selected();
        let mut chain = ProfileChain { variables, profiles, visited: Vec::new() };
        let by = format!("profile {selected:?}");
        found.extend(chain.of_profile(selected)?.map(|source| (source, by)));
    }
    found.extend(web_identity(variables)?.map(named("AWS_WEB_IDENTITY_TOKEN_FILE")));
    found.extend(container(variables));
    found.push((Source::Metadata, "instance metadata".to_owned()));
    Ok(found)
}

fn named(name: &str) -> impl FnOnce(Source) -> NamedSource {
    let name = format!("environment, {name}");
    move |source| (source, name)
}

fn keys_of_environment(variables: &Variables) -> Result<Option<Source>, Fault> {
    let Some(id) = variables.get("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let secret = variables.get("AWS_SECRET_ACCESS_KEY").ok_or_else(|| {
        incomplete("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "environment, AWS_ACCESS_KEY_ID")
    })?;
    let token = variables.get("AWS_SESSION_TOKEN").map(secret_of);
    Ok(Some(Source::Keys(Keys { id: id.to_owned(), secret: secret_of(secret), token })))
}

fn web_identity(variables: &Variables) -> Result<Option<Source>, Fault> {
    const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    let Some(file) = variables.get(FILE) else { return Ok(None) };
    let arn = variables
        .get("AWS_ROLE_ARN")
        .ok_or_else(|| incomplete(FILE, "AWS_ROLE_ARN", &format!("environment, {FILE}")))?;
    let session = variables.get("AWS_ROLE_SESSION_NAME").map(str::to_owned);
    let role = Role { arn: arn.to_owned(), session, external_id: None, seconds: None };
    Ok(Some(Source::WebIdentity { file: file.to_owned(), role }))
}

fn container(variables: &Variables) -> Option<NamedSource> {
    let relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    let (name, url) = if let Some(path) = variables.get(relative) {
        // The fixed address of the service (Amazon ECS Developer Guide, "Task IAM role").
        (relative, format!("http://169.254.170.2{path}"))
    } else {
        let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        (full, variables.get(full)?.to_owned())
    };
    let file = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let token = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    let authorization = match (file, token) {
        (Some(file), _) => Authorization::File(file.to_owned()),
        (None, Some(token)) => Authorization::Token(secret_of(token)),
        (None, None) => Authorization::None,
    };
    Some((Source::Container { url, authorization }, format!("environment, {name}")))
}

/// A walk from profile to profile along `source_profile`.
struct ProfileChain<'a> {
    variables: &'a Variables,
    profiles: &'a Profiles,
    visited: Vec<String>,
}

impl ProfileChain<'_> {
    /// The source that a profile names; none if it names no credentials.
    fn of_profile(&mut self, profile: &str) -> Result<Option<Source>, Fault> {
        let is_first = self.visited.is_empty();
        self.visited.push(profile.to_owned());
        // A role may be assumed with keys in the same profile.
        if !is_first && let Some(keys) = self.keys(profile)? {
            return Ok(Some(keys));
        }
        if let Some(arn) = self.get(profile, "role_arn", Rule::Arn)? {
            return self.role(profile, arn).map(Some);
        }
        self.needs_no_person(profile)?;
        if let Some(keys) = self.keys(profile)? {
            return Ok(Some(keys));
        }
        let process = self.get(profile, "credential_process", Rule::Command)?;
        Ok(process.map(|set| Source::Process { command: Secret::new(set.value), on: set.on }))
    }

    fn role(&mut self, profile: &str, arn: ProfileValue) -> Result<Source, Fault> {
        let role = Role {
            arn: arn.value,
            session: self.text(profile, "role_session_name", Rule::Session)?,
            external_id: self.text(profile, "external_id", Rule::Line)?,
            seconds: self
                .text(profile, "duration_seconds", Rule::Seconds)?
                .and_then(|text| seconds(&text)),
        };
        if let Some(file) = self.text(profile, "web_identity_token_file", Rule::Path)? {
            return Ok(Source::WebIdentity { file, role });
        }
        if let Some(mfa) = self.get(profile, "mfa_serial", Rule::Line)? {
            let what = "this AWS profile needs a code from an MFA device, which needs a person";
            return Err(person(what, &mfa.on));
        }
        let with = match self.text(profile, "source_profile", Rule::Line)? {
            Some(source) => self.source_profile(profile, &arn.on, &source)?,
            None => self.credential_source(profile, &arn.on)?,
        };
        Ok(Source::Assumed { role, with: Box::new(with) })
    }

    fn source_profile(&mut self, profile: &str, on: &str, source: &str) -> Result<Source, Fault> {
        if !self.profiles.has(source) {
            return Err(self.profiles.missing(source, &format!("source_profile of {profile:?}")));
        }
        let is_own = source == profile;
        if !is_own && self.visited.iter().any(|visited| visited == source) {
            let what = format!("source_profile {source:?} leads back to itself");
            let todo = "give the last profile keys or a credential_process, and no role_arn";
            return Err(Fault::new(Kind::Config, what, on, todo));
        }
        let found = if is_own { self.keys(profile)? } else { self.of_profile(source)? };
        found.ok_or_else(|| {
            let what = format!("source_profile {source:?} has no credentials");
            let todo = "give that profile keys, a credential_process or a role_arn";
            Fault::new(Kind::Config, what, on, todo)
        })
    }

    fn credential_source(&self, profile: &str, on: &str) -> Result<Source, Fault> {
        let set = self.get(profile, "credential_source", Rule::Line)?;
        let invalid = |what: String| {
            let todo = "set source_profile, or credential_source to Environment, Ec2InstanceMetadata or EcsContainer";
            Fault::new(Kind::Config, what, on, todo)
        };
        let Some(set) = set else {
            return Err(invalid(
                "role_arn is set without source_profile, credential_source or web_identity_token_file".to_owned(),
            ));
        };
        let nothing =
            || invalid(format!("credential_source is {}, and nothing is set there", set.value));
        match set.value.as_str() {
            "Environment" => keys_of_environment(self.variables)?.ok_or_else(nothing),
            "Ec2InstanceMetadata" => Ok(Source::Metadata),
            "EcsContainer" => {
                container(self.variables).map(|(source, _)| source).ok_or_else(nothing)
            }
            other => {
                Err(invalid(format!("credential_source can't be {:?}", Rule::Line.shown(other))))
            }
        }
    }

    fn needs_no_person(&self, profile: &str) -> Result<(), Fault> {
        let keys = ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"];
        for key in keys {
            if let Some(set) = self.get(profile, key, Rule::Line)? {
                let what = "this AWS profile logs in through a browser (sso), which needs a person";
                return Err(person(what, &set.on));
            }
        }
        if let Some(set) = self.get(profile, "login_session", Rule::Line)? {
            let what = "this AWS profile logs in through a browser (login), which needs a person";
            return Err(person(what, &set.on));
        }
        Ok(())
    }

    fn keys(&self, profile: &str) -> Result<Option<Source>, Fault> {
        let Some(id) = self.get(profile, "aws_access_key_id", Rule::Secret)? else {
            return Ok(None);
        };
        let secret = self
            .text(profile, "aws_secret_access_key", Rule::Secret)?
            .ok_or_else(|| incomplete("aws_access_key_id", "aws_secret_access_key", &id.on))?;
        let token = self.text(profile, "aws_session_token", Rule::Secret)?.map(Secret::new);
        Ok(Some(Source::Keys(Keys { id: id.value, secret: Secret::new(secret), token })))
    }

    fn get(&self, profile: &str, key: &str, rule: Rule) -> Result<Option<ProfileValue>, Fault> {
        self.profiles.get(profile, key, rule)
    }

    fn text(&self, profile: &str, key: &str, rule: Rule) -> Result<Option<String>, Fault> {
        Ok(self.get(profile, key, rule)?.map(|set| set.value))
    }
}

fn secret_of(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn incomplete(is_set: &str, is_missing: &str, on: &str) -> Fault {
    let what = format!("{is_set} is set, and {is_missing} is not");
    Fault::new(Kind::Config, what, on, format!("set {is_missing} too, or remove {is_set}"))
}

fn person(what: &str, on: &str) -> Fault {
    let todo = "use the instance's role, keys, or a credential_process (for machines outside of AWS: IAM Roles Anywhere)";
    Fault::new(Kind::Config, what, on, todo)
}
