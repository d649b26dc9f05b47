//! The configuration management servers of the account.

pub mod spec;
pub mod status;
pub mod window;
pub mod work;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use spec::{Engine, Place, ServerSpec};
use status::HEALTHY;
use window::Window;
use work::{Progress, Work};

use super::event::Events;
use crate::control::span::{Due, Point};
use crate::control::table::Word;
use crate::control::tag::Tag;
use crate::control::timestamp;
use crate::hex;
use crate::now::Now;

/// What a server was created with, and a backup keeps of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    /// `Engine`, in the edition of the reference that was asked for.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub engine_name: Word,
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub engine_model: Word,
    pub engine_version: String,
    pub associate_public_ip_address: bool,
    pub backup_retention_count: u32,
    pub disable_automated_backup: bool,
    pub instance_profile_arn: String,
    pub instance_type: String,
    pub key_pair: Option<String>,
    pub backup_window: Window,
    pub maintenance_window: Window,
    pub security_group_ids: Vec<String>,
    pub service_role_arn: String,
    pub subnet_ids: Vec<String>,
    pub custom_domain: Option<String>,
}

/// A server that exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// `ServerName`.
    pub name: String,
    /// Its engine.
    pub engine: Engine,
    /// `Endpoint`.
    pub endpoint: String,
    /// Chef organizations beside `default`.
    pub organizations: Vec<String>,
    /// The public key of the Chef server's administrator (SubjectPublicKeyInfo in DER); Chef only.
    #[serde(with = "crate::control::table::bytes::optional")]
    pub pivotal_key: Option<Vec<u8>>,
    pub(super) arn: String,
    pub(super) stack_arn: Option<String>,
    pub(super) settings: Settings,
    pub(super) events: Events,
    pub(super) tags: Vec<Tag>,
    pub(super) reason: Option<String>,
    #[serde(deserialize_with = "crate::control::table::word::optional::deserialize")]
    pub(super) maintenance_status: Option<Word>,
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub(super) status: Word,
    pub(super) progress: Option<Progress>,
    pub(super) next_backup: Now,
    pub(super) next_maintenance: Now,
    created_at: Now,
}

/// A new server, before it has been started.
pub(super) struct NewServer<'a> {
    pub name: &'a str,
    pub engine: Engine,
    pub endpoint: String,
    pub settings: Settings,
    /// What tells its ARN from that of an earlier server of this name: a UUID.
    pub id: String,
}

impl Server {
    pub(super) fn new(new: NewServer<'_>, place: &Place, now: Now) -> Self {
        let Place { region, account } = place;
        let NewServer { name, engine, endpoint, settings, id } = new;
        Self {
            name: name.to_owned(),
            engine,
            endpoint,
            organizations: Vec::new(),
            pivotal_key: None,
            arn: format!("arn:aws:opsworks-cm:{region}:{account}:server/{name}/{id}"),
            stack_arn: None,
            next_backup: settings.backup_window.next_after(now),
            next_maintenance: settings.maintenance_window.next_after(now),
            settings,
            events: Events::default(),
            tags: Vec::new(),
            reason: None,
            maintenance_status: None,
            status: HEALTHY,
            progress: None,
            created_at: now,
        }
    }

    /// A server that was there before the emulator started.
    pub(super) fn of_spec(spec: &ServerSpec, place: &Place, now: Now) -> Self {
        let account = &place.account;
        let (model, version) = spec.engine.model();
        let default = Window::parse("02:00").zip(Window::parse("Mon:03:00"));
        let (backup_window, maintenance_window) = default.unwrap_or_else(|| {
            let mut random = crate::random::Random::new(0);
            (Window::random_daily(&mut random), Window::random_weekly(&mut random))
        });
        let settings = Settings {
            engine_name: spec.engine.name(),
            engine_model: model,
            engine_version: version.to_owned(),
            associate_public_ip_address: true,
            backup_retention_count: 10,
            disable_automated_backup: false,
            instance_profile_arn: format!(
                "arn:aws:iam::{account}:instance-profile/aws-opsworks-cm-ec2-role"
            ),
            instance_type: "m5.xlarge".to_owned(),
            key_pair: None,
            backup_window,
            maintenance_window,
            security_group_ids: Vec::new(),
            service_role_arn: format!(
                "arn:aws:iam::{account}:role/service-role/aws-opsworks-cm-service-role"
            ),
            subnet_ids: Vec::new(),
            custom_domain: None,
        };
        let endpoint = spec.endpoint.clone().unwrap_or_else(|| format!("{}.example", spec.name));
        let new = NewServer {
            name: &spec.name,
            engine: spec.engine,
            endpoint,
            settings,
            id: hex::uuid_of(&spec.name),
        };
        let heal =
            |after| Progress { work: Work::Heal, fails: false, due: Due::At(now.plus(after)) };
        Self {
            organizations: spec.organizations.clone(),
            maintenance_status: Some("SUCCESS"),
            status: spec.status,
            progress: spec.healthy_after.map(heal),
            ..Self::new(new, place, now)
        }
    }

    /// `Status` at `now`, when nothing but time passes.
    #[must_use]
    pub fn status(&self, now: Now) -> &'static str {
        match &self.progress {
            Some(Progress { work: Work::Heal, due, .. })
                if due.over(Point { now, call: 0 }).is_some() =>
            {
                HEALTHY
            }
            _ => self.status,
        }
    }

    /// Begins something that ends by itself.
    pub(super) fn begin(&mut self, status: &'static str, progress: Progress) {
        self.status = status;
        self.reason = None;
        self.progress = Some(progress);
    }

    /// The `Server` structure, with `attributes` as its engine attributes.
    pub(super) fn describe_with(&self, attributes: Value) -> Value {
        let Settings { engine_name, engine_model, engine_version, .. } = &self.settings;
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        put("AssociatePublicIpAddress", json!(self.settings.associate_public_ip_address));
        put("BackupRetentionCount", json!(self.settings.backup_retention_count));
        put("CloudFormationStackArn", json!(self.stack_arn));
        put("CreatedAt", timestamp(self.created_at));
        put("CustomDomain", json!(self.settings.custom_domain));
        put("DisableAutomatedBackup", json!(self.settings.disable_automated_backup));
        put("Endpoint", json!(self.endpoint));
        put("Engine", json!(engine_name));
        put("EngineAttributes", attributes);
        put("EngineModel", json!(engine_model));
        put("EngineVersion", json!(engine_version));
        put("InstanceProfileArn", json!(self.settings.instance_profile_arn));
        put("InstanceType", json!(self.settings.instance_type));
        put("KeyPair", json!(self.settings.key_pair));
        put("MaintenanceStatus", json!(self.maintenance_status));
        put("PreferredBackupWindow", json!(self.settings.backup_window.to_string()));
        put("PreferredMaintenanceWindow", json!(self.settings.maintenance_window.to_string()));
        put("SecurityGroupIds", json!(self.settings.security_group_ids));
        put("ServerArn", json!(self.arn));
        put("ServerName", json!(self.name));
        put("ServiceRoleArn", json!(self.settings.service_role_arn));
        put("Status", json!(self.status));
        put("StatusReason", json!(self.reason));
        put("SubnetIds", json!(self.settings.subnet_ids));
        Value::Object(members)
    }

    /// The `Server` structure, as `DescribeServers` lists it. For Puppet, `EngineAttributes`
    /// "contains `PUPPET_API_CA_CERT`".
    pub(super) fn describe(&self, ca_bundle: &str) -> Value {
        self.describe_with(match self.engine {
            Engine::Puppet => json!([{ "Name": "PUPPET_API_CA_CERT", "Value": ca_bundle }]),
            Engine::Chef => json!([]),
        })
    }
}
