//! Creating servers.

use serde_json::{Value, json};

use super::OpsWorksCm;
use super::backup::{Backup, OK, no_backup};
use super::credentials::{self, Master};
use super::lifecycle::engine_of_model;
use super::server::spec::{Engine, SERVER_NAME};
use super::server::status::CREATING;
use super::server::window::{TIME_WINDOW, Window};
use super::server::work::{Progress, Work};
use super::server::{NewServer, Server, Settings};
use super::tags::{merged, read_tags};
use crate::control::Context;
use crate::control::fault::FaultKind;
use crate::control::span::Point;
use crate::control::tag::Tag;
use crate::control::validate::{Attribute, Members, Pattern, Text};
use crate::error::ApiError;
use crate::random::Random;

/// `BackupId` here: "A `ResourceNotFoundException` is thrown when you specify a backup ID that is not
/// valid", so its form is no matter of validation.
const BACKUP_ID: Text = Text { max: 79, ..Text::ANY };
const INSTANCE_PROFILE_ARN: Text = Text {
    pattern: Some(Pattern {
        text: "arn:aws:iam::[0-9]{12}:instance-profile/.*",
        fits: |text| is_iam_arn(text, "instance-profile/"),
    }),
    ..Text::ANY
};
const SERVICE_ROLE_ARN: Text = Text {
    pattern: Some(Pattern {
        text: "arn:aws:iam::[0-9]{12}:role/.*",
        fits: |text| is_iam_arn(text, "role/"),
    }),
    ..Text::ANY
};
/// `KeyPair`, of the model.
pub(super) const KEY_PAIR: Text = Text {
    pattern: Some(Pattern { text: ".*", fits: |text| !text.contains(['\n', '\r']) }),
    ..Text::ANY
};
const CUSTOM_DOMAIN: Text = Text {
    max: 253,
    pattern: Some(Pattern {
        text: r"^(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])$",
        fits: is_domain,
    }),
    ..Text::UNBOUNDED
};
const CUSTOM_CERTIFICATE: Text = Text {
    max: 2_097_152,
    pattern: Some(Pattern {
        text: r"(?s)\s*-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----\s*",
        fits: |text| is_pem(text, "CERTIFICATE"),
    }),
    sensitive: true,
    ..Text::UNBOUNDED
};
const CUSTOM_PRIVATE_KEY: Text = Text {
    max: 4096,
    pattern: Some(Pattern {
        text: r"(?ms)\s*^-----BEGIN (?-s:.*)PRIVATE KEY-----$.*?^-----END (?-s:.*)PRIVATE KEY-----$\s*",
        fits: |text| is_pem(text, "PRIVATE KEY"),
    }),
    sensitive: true,
    ..Text::UNBOUNDED
};

fn is_iam_arn(text: &str, kind: &str) -> bool {
    let rest = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(':'));
    rest.is_some_and(|(account, resource)| {
        account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && resource.starts_with(kind)
            && !resource.contains(['\n', '\r'])
    })
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.contains('.') && text.split('.').all(label) && last.len() >= 2
}

fn is_pem(text: &str, label: &str) -> bool {
    let text = text.trim();
    text.starts_with("-----BEGIN ")
        && text.contains(&format!("{label}-----"))
        && text.ends_with(&format!("{label}-----"))
        && text.contains("-----END ")
}

/// The members of a request.
struct Asked<'a> {
    name: &'a str,
    backup_id: Option<&'a str>,
    engine: Option<&'a str>,
    engine_model: Option<&'a str>,
    engine_version: Option<&'a str>,
    attributes: Vec<Attribute<'a>>,
    associate_public_ip_address: Option<bool>,
    retention: Option<i32>,
    disable_automated_backup: Option<bool>,
    instance_profile_arn: &'a str,
    instance_type: &'a str,
    key_pair: Option<&'a str>,
    backup_window: Option<Window>,
    maintenance_window: Option<&'a str>,
    security_group_ids: Option<Vec<&'a str>>,
    service_role_arn: &'a str,
    subnet_ids: Option<Vec<&'a str>>,
    custom: [Option<&'a str>; 3],
    tags: Vec<Tag>,
}

impl<'a> Asked<'a> {
    fn read(mut members: Members<'a>) -> Result<Self, ApiError> {
        let any = 0..=usize::MAX;
        let asked = Self {
            name: members.text("ServerName", &SERVER_NAME)?,
            backup_id: members.optional_text("BackupId", &BACKUP_ID)?,
            engine: members.optional_text("Engine", &Text::ANY)?,
            engine_model: members.optional_text("EngineModel", &Text::ANY)?,
            engine_version: members.optional_text("EngineVersion", &Text::ANY)?,
            attributes: members.attributes("EngineAttributes", false)?,
            associate_public_ip_address: members.boolean("AssociatePublicIpAddress")?,
            retention: members.optional_integer("BackupRetentionCount", 1)?,
            disable_automated_backup: members.boolean("DisableAutomatedBackup")?,
            instance_profile_arn: members.text("InstanceProfileArn", &INSTANCE_PROFILE_ARN)?,
            instance_type: members.text("InstanceType", &Text::ANY)?,
            key_pair: members.optional_text("KeyPair", &KEY_PAIR)?,
            backup_window: members
                .optional_text("PreferredBackupWindow", &TIME_WINDOW)?
                .and_then(Window::parse),
            maintenance_window: members
                .optional_text("PreferredMaintenanceWindow", &TIME_WINDOW)?,
            security_group_ids: members.texts("SecurityGroupIds", &any, &Text::ANY)?,
            service_role_arn: members.text("ServiceRoleArn", &SERVICE_ROLE_ARN)?,
            subnet_ids: members.texts("SubnetIds", &any, &Text::ANY)?,
            custom: [
                members.optional_text("CustomDomain", &CUSTOM_DOMAIN)?,
                members.optional_text("CustomCertificate", &CUSTOM_CERTIFICATE)?,
                members.optional_text("CustomPrivateKey", &CUSTOM_PRIVATE_KEY)?,
            ],
            tags: read_tags(&mut members, false)?,
        };
        members.finish()?;
        asked.check()?;
        Ok(asked)
    }

    /// What concerns more than one member, or what no pattern says.
    fn check(&self) -> Result<(), ApiError> {
        let refused = |what: &str| Err(ApiError::Validation(what.to_owned()));
        if self.instance_type.is_empty() {
            return refused("InstanceType cannot be empty.");
        }
        let given = self.custom.iter().flatten().count();
        if given != 0 && given != self.custom.len() {
            return refused(
                "CustomDomain, CustomCertificate and CustomPrivateKey go together: give all three.",
            );
        }
        // "Valid values must be specified in the following format: DDD:HH:MM."
        let weekly = |window: &str| Window::parse(window).is_some_and(Window::is_weekly);
        if self.maintenance_window.is_some_and(|window| !weekly(window)) {
            return refused("PreferredMaintenanceWindow must have the format DDD:HH:MM.");
        }
        Ok(())
    }

    fn settings(
        &self,
        edition: &Edition,
        backup: Option<&Backup>,
        random: &mut Random,
    ) -> Result<Settings, ApiError> {
        let of_backup = backup.map(|backup| &backup.settings);
        let owned = |list: &Vec<&str>| list.iter().map(|id| (*id).to_owned()).collect();
        let group = || vec![format!("sg-{}", &random_digits(random))];
        let security_group_ids = self.security_group_ids.as_ref().map(owned);
        let security_group_ids =
            security_group_ids.or_else(|| of_backup.map(|it| it.security_group_ids.clone()));
        let security_group_ids =
            security_group_ids.filter(|ids: &Vec<_>| !ids.is_empty()).unwrap_or_else(group);
        let subnet_ids = self.subnet_ids.as_ref().map(owned);
        let retention = self.retention.and_then(|count| u32::try_from(count).ok());
        let maintenance = self.maintenance_window.and_then(Window::parse);
        Ok(Settings {
            engine_name: edition.name,
            engine_model: edition.engine.model().0,
            engine_version: edition.version(self.engine_version)?.to_owned(),
            associate_public_ip_address: self.associate_public_ip_address.unwrap_or(true),
            // "The default value is 1."
            backup_retention_count: retention.unwrap_or(1),
            disable_automated_backup: self.disable_automated_backup.unwrap_or(false),
            instance_profile_arn: self.instance_profile_arn.to_owned(),
            instance_type: self.instance_type.to_owned(),
            key_pair: self
                .key_pair
                .map(str::to_owned)
                .or_else(|| of_backup.and_then(|it| it.key_pair.clone())),
            backup_window: self
                .backup_window
                .or(of_backup.map(|it| it.backup_window))
                .unwrap_or_else(|| Window::random_daily(random)),
            maintenance_window: maintenance
                .or(of_backup.map(|it| it.maintenance_window))
                .unwrap_or_else(|| Window::random_weekly(random)),
            security_group_ids,
            service_role_arn: self.service_role_arn.to_owned(),
            subnet_ids: subnet_ids
                .or_else(|| of_backup.map(|it| it.subnet_ids.clone()))
                .unwrap_or_default(),
            custom_domain: self.custom[0].map(str::to_owned),
        })
    }
}

fn random_digits(random: &mut Random) -> String {
    random.hex(2).chars().take(17).collect()
}

/// An engine, as an edition of the reference names it.
struct Edition {
    engine: Engine,
    name: &'static str,
    versions: &'static [&'static str],
}

/// `Chef` and `Puppet` are those of 2019, with the later versions of Puppet; `ChefAutomate` is the
/// name in later editions. The first version is the default.
const EDITIONS: [Edition; 3] = [
    Edition { engine: Engine::Chef, name: "Chef", versions: &["12"] },
    Edition { engine: Engine::Chef, name: "ChefAutomate", versions: &["2", "1"] },
    Edition { engine: Engine::Puppet, name: "Puppet", versions: &["2017", "2019"] },
];

impl Edition {
    /// The edition that a request is for. `Engine` is not required: without one it is the backup's,
    /// or the model's, or else Chef, the service's first.
    fn of(asked: &Asked<'_>, backup: Option<&Backup>) -> Result<&'static Self, ApiError> {
        let named = |name: &str| EDITIONS.iter().find(|known| known.name == name);
        let refused = |what: String| Err(ApiError::Validation(what));
        let [first, ..] = &EDITIONS;
        let edition = if let Some(name) = asked.engine {
            let unknown =
                || ApiError::Validation(format!("Invalid Engine '{name}': it is Chef or Puppet."));
            named(name).ok_or_else(unknown)?
        } else {
            let engine = asked.engine_model.and_then(engine_of_model);
            let of_backup = backup.and_then(|backup| named(backup.settings.engine_name));
            let of_model = engine.and_then(|engine| named(engine.name()));
            of_backup.or(of_model).unwrap_or(first)
        };
        let model = edition.engine.model().0;
        if let Some(other) = asked.engine_model.filter(|asked| *asked != model) {
            return refused(format!(
                "Invalid EngineModel '{other}': that of {} is {model}.",
                edition.name
            ));
        }
        match backup.filter(|backup| backup.engine != edition.engine) {
            Some(backup) => refused(format!(
                "The backup '{}' is of another engine: {}.",
                backup.id,
                backup.engine.name()
            )),
            None => Ok(edition),
        }
    }

    fn version(&self, asked: Option<&str>) -> Result<&'static str, ApiError> {
        let Some(asked) = asked else {
            return Ok(self.versions.first().copied().unwrap_or_default());
        };
        let found = self.versions.iter().find(|known| **known == asked).copied();
        found.ok_or_else(|| {
            ApiError::Validation(format!(
                "Invalid EngineVersion '{asked}': that of {} is {}.",
                self.name,
                self.versions.join(" or ")
            ))
        })
    }
}

impl OpsWorksCm {
    /// "Creates and immediately starts a new server."
    pub(super) fn create_server(
        &mut self,
        context: &mut Context<'_>,
        members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let asked = Asked::read(members)?;
        let backup = asked.backup_id.map(|id| self.usable_backup(id)).transpose()?;
        let edition = Edition::of(&asked, backup)?;
        let settings = asked.settings(edition, backup, context.random)?;
        let tags = merged(&[], asked.tags.clone())?;
        let asked_for = credentials::Asked::of(edition.engine, &asked.attributes)?;
        if self.servers.contains_key(asked.name) {
            return Err(ApiError::AlreadyExists(format!(
                "A server named '{}' already exists.",
                asked.name
            )));
        }
        let most = self.settings.server_limit;
        if self.servers.len() >= most {
            return Err(ApiError::LimitExceeded(format!(
                "The limit of {most} servers has been reached."
            )));
        }
        let nodes = backup.map(|backup| backup.nodes.clone());
        let mut server = self.new_server(context, asked.name, edition.engine, settings);
        let Master { pivotal_key, attributes } = asked_for.make(&server, context)?;
        server.pivotal_key = pivotal_key;
        server.tags = tags;
        let point = Point { now: context.now, call: self.call };
        let due = self.settings.times.creation.from(point);
        let fails = context.fault == Some(FaultKind::Failed);
        server.begin(CREATING, Progress { work: Work::Create, fails, due });
        server.events.add(context.now, "The server is being created.");
        let answer = json!({ "Server": server.describe_with(attributes) });
        self.servers.insert(server.name.clone(), server);
        if let Some(nodes) = nodes {
            self.replace_nodes(asked.name, &nodes);
        }
        Ok(answer)
    }

    fn new_server(
        &self,
        context: &mut Context<'_>,
        name: &str,
        engine: Engine,
        settings: Settings,
    ) -> Server {
        let place = &self.settings.place;
        let label = || {
            let letters: String = context.random.hex(1).chars().take(12).collect();
            format!("{}-{letters}.{}.opsworks-cm.io", name.to_ascii_lowercase(), place.region)
        };
        let endpoint = self.settings.endpoint.clone().unwrap_or_else(label);
        let id = context.random.uuid();
        let new = NewServer { name, engine, endpoint, settings, id };
        let mut server = Server::new(new, place, context.now);
        server.stack_arn = Some(format!(
            "arn:aws:cloudformation:{}:{}:stack/aws-opsworks-cm-instance-{name}-{}/{}",
            place.region,
            place.account,
            context.now.unix_ms(),
            context.random.uuid()
        ));
        server
    }

    /// A backup that is there and complete. Of another one `CreateServer` says that it does not
    /// exist: its reference has no `InvalidStateException`.
    fn usable_backup(&self, id: &str) -> Result<&Backup, ApiError> {
        let found = self.backup(id)?;
        if found.status == OK { Ok(found) } else { Err(no_backup(id)) }
    }
}
