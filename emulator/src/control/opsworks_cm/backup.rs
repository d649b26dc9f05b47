//! Backups: what is kept of a server, and of its nodes.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::macros::format_description;

use super::OpsWorksCm;
use super::association::Association;
use super::event::log_url;
use super::server::spec::{Engine, Place, SERVER_NAME};
use super::server::status::{self, BACKING_UP};
use super::server::work::{Progress, Work};
use super::server::{Server, Settings};
use super::tags::{merged, read_tags};
use crate::control::fault::FaultKind;
use crate::control::span::{Due, Point};
use crate::control::table::Word;
use crate::control::tag::Tag;
use crate::control::validate::{Members, Pattern, Text};
use crate::control::{Context, timestamp};
use crate::error::ApiError;
use crate::now::Now;

/// `BackupId`. The pattern is the model's; the reference has the length alone.
pub(super) const BACKUP_ID: Text = Text {
    max: 79,
    pattern: Some(Pattern { text: r"[a-zA-Z][a-zA-Z0-9\-\.\:]*", fits: is_backup_id }),
    ..Text::ANY
};

fn is_backup_id(text: &str) -> bool {
    let rest = |letter: char| letter.is_ascii_alphanumeric() || "-.:".contains(letter);
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.chars().all(rest)
}

pub(super) const OK: &str = "OK";
pub(super) const IN_PROGRESS: &str = "IN_PROGRESS";
pub(super) const FAILED: &str = "FAILED";
pub(super) const DELETING: &str = "DELETING";
/// The version that is told of the tools on a server.
const TOOLS_VERSION: &str = "2016-11-01";
/// The most automated backups of a server that are kept, whatever it asks for.
const MOST_AUTOMATED: u32 = 1000;

/// The nodes of a server when it was backed up.
pub(super) type Nodes = Arc<[(String, Arc<Association>)]>;

/// A backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backup {
    /// `BackupId`.
    pub id: String,
    /// `ServerName`.
    pub server: String,
    /// Whether somebody asked for it.
    pub manual: bool,
    /// `Status`: `IN_PROGRESS`, `OK`, `FAILED` or `DELETING`.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub status: Word,
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    pub(super) nodes: Nodes,
    pub(super) tags: Vec<Tag>,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) status_description: Option<String>,
    user_arn: Option<String>,
    log_url: String,
    pub(super) created_at: Now,
}

/// What a new backup is beside its server's.
pub(super) struct NewBackup {
    pub description: Option<String>,
    /// Who asked for it; none for an automated one.
    pub user_arn: Option<String>,
    pub tags: Vec<Tag>,
    pub fails: bool,
}

impl Backup {
    pub(super) fn describe(&self) -> Value {
        let Settings { engine_name, engine_model, engine_version, .. } = &self.settings;
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        put("BackupArn", json!(self.arn));
        put("BackupId", json!(self.id));
        put("BackupType", json!(if self.manual { "MANUAL" } else { "AUTOMATED" }));
        put("CreatedAt", timestamp(self.created_at));
        put("Description", json!(self.description));
        put("Engine", json!(engine_name));
        put("EngineModel", json!(engine_model));
        put("EngineVersion", json!(engine_version));
        put("InstanceProfileArn", json!(self.settings.instance_profile_arn));
        put("InstanceType", json!(self.settings.instance_type));
        put("KeyPair", json!(self.settings.key_pair));
        put("PreferredBackupWindow", json!(self.settings.backup_window.to_string()));
        put("PreferredMaintenanceWindow", json!(self.settings.maintenance_window.to_string()));
        put("S3LogUrl", json!(self.log_url));
        put("SecurityGroupIds", json!(self.settings.security_group_ids));
        put("ServerName", json!(self.server));
        put("ServiceRoleArn", json!(self.settings.service_role_arn));
        put("Status", json!(self.status));
        put("StatusDescription", json!(self.status_description));
        put("SubnetIds", json!(self.settings.subnet_ids));
        put("ToolsVersion", json!(TOOLS_VERSION));
        put("UserArn", json!(self.user_arn));
        Value::Object(members)
    }
}

impl OpsWorksCm {
    pub(super) fn create_backup(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        let description = members.optional_text("Description", &Text::ANY)?.map(str::to_owned);
        let tags = read_tags(&mut members, false)?;
        members.finish()?;
        let tags = merged(&[], tags)?;

        let server = self.server(name)?;
        status::require(name, server.status, status::FOR_BACKUP)?;
        let most = self.settings.backup_limit;
        if self.manual_backups() >= most {
            return Err(ApiError::LimitExceeded(format!(
                "The limit of {most} manual backups has been reached."
            )));
        }
        let account = &self.settings.place.account;
        let new = NewBackup {
            description,
            user_arn: Some(format!("arn:aws:iam::{account}:user/enlist")),
            tags,
            fails: context.fault == Some(FaultKind::Failed),
        };
        let point = Point { now: context.now, call: self.call };
        let id = self.begin_backup(name, new, point)?;
        let backup = self.backups.get(&id).map(Backup::describe);
        Ok(json!({ "Backup": backup }))
    }

    /// Starts a backup of a server that can be backed up; its identifier.
    pub(super) fn begin_backup(
        &mut self,
        name: &str,
        new: NewBackup,
        point: Point,
    ) -> Result<String, ApiError> {
        let (id, created_at) = self.free_backup_id(name, point.now);
        let nodes = self.nodes_of(name);
        let due = self.settings.times.backup.from(point);
        let place = self.settings.place.clone();
        let server = self.server_mut(name)?;
        let kind = if new.user_arn.is_some() { "Manual" } else { "Automated" };
        server.events.add(point.now, format!("{kind} backup {id} has started."));
        let back_to = server.status;
        let work = Work::Backup { id: id.clone(), back_to };
        server.begin(BACKING_UP, Progress { work, fails: new.fails, due });
        let backup = backup_of(server, &place, new, &id, created_at, nodes);
        self.backups.insert(id.clone(), backup);
        Ok(id)
    }

    /// "Backup IDs are in the format `ServerName-yyyyMMddHHmmssSSS`"; of two in one millisecond the
    /// second has the next one.
    fn free_backup_id(&self, server: &str, now: Now) -> (String, Now) {
        let mut moment = now;
        loop {
            let id = format!("{server}-{}", compact(moment));
            if !self.backups.contains_key(&id) {
                return (id, moment);
            }
            moment = Now::from_unix_ms(moment.unix_ms().saturating_add(1));
        }
    }

    /// A backup is over.
    pub(super) fn end_backup(&mut self, id: &str, fails: bool, at: Now) {
        let Some(backup) = self.backups.get_mut(id) else {
            return;
        };
        backup.status = if fails { FAILED } else { OK };
        backup.status_description = fails.then(|| "The backup failed on request.".to_owned());
        let (server, manual) = (backup.server.clone(), backup.manual);
        let url = backup.log_url.clone();
        let message = if fails { "has failed" } else { "is complete" };
        if let Some(server) = self.servers.get_mut(&server) {
            server.events.add_logged(at, format!("Backup {id} {message}."), url);
        }
        if !manual && !fails {
            self.drop_oldest_backups(&server);
        }
    }

    /// "Whenever a new backup is created, AWS OpsWorks CM deletes the oldest backups if this number
    /// is exceeded."
    fn drop_oldest_backups(&mut self, name: &str) {
        let Some(server) = self.servers.get(name) else {
            return;
        };
        let most = server.settings.backup_retention_count.min(MOST_AUTOMATED);
        let mine = |backup: &&Backup| backup.server == name && !backup.manual;
        let mut automated: Vec<_> = self.backups.values().filter(mine).collect();
        automated.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
        let beyond = automated.into_iter().skip(usize::try_from(most).unwrap_or(usize::MAX));
        for id in beyond.map(|backup| backup.id.clone()).collect::<Vec<_>>() {
            self.backups.remove(&id);
        }
    }

    /// "You can delete both manual and automated backups." That one cannot be deleted while it is
    /// being made is the emulator's choice.
    pub(super) fn delete_backup(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("BackupId", &BACKUP_ID)?;
        members.finish()?;

        let point = Point { now: context.now, call: self.call };
        let due = self.settings.times.backup_deletion.from(point);
        let backup = self.backups.get_mut(id).ok_or_else(|| no_backup(id))?;
        if matches!(backup.status, DELETING | IN_PROGRESS) {
            let status = backup.status;
            return Err(ApiError::InvalidState(format!("The backup '{id}' is {status}.")));
        }
        backup.status = DELETING;
        backup.status_description = None;
        let fails = context.fault == Some(FaultKind::Failed);
        self.deletions.insert(id.to_owned(), (due, fails));
        // "An HTTP 200 response with an empty HTTP body."
        Ok(Value::Null)
    }

    /// Ends the deletions that are due.
    pub(super) fn settle_deletions(&mut self, point: Point) {
        let over = |due: &Due| due.over(point).is_some();
        let due = self.deletions.iter().filter(|(_, (due, _))| over(due));
        let due: Vec<_> = due.map(|(id, (_, fails))| (id.clone(), *fails)).collect();
        for (id, fails) in due {
            self.deletions.remove(&id);
            match self.backups.get_mut(&id).filter(|_| fails) {
                Some(backup) => {
                    backup.status = FAILED;
                    backup.status_description = Some("The deletion failed on request.".to_owned());
                }
                None => drop(self.backups.remove(&id)),
            }
        }
    }

    /// "The results are ordered by time, with newest backups first. If you do not specify a BackupId
    /// or ServerName, the command returns all backups."
    pub(super) fn describe_backups(&self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let id = members.optional_text("BackupId", &BACKUP_ID)?;
        let server = members.optional_text("ServerName", &SERVER_NAME)?;
        let token = members.optional_text("NextToken", &Text::ANY)?;
        members.optional_integer("MaxResults", 1)?;
        members.finish()?;

        // Paging is "not currently implemented": no token was ever given out.
        if token.is_some() {
            return Err(super::page::invalid());
        }
        if let Some(id) = id.filter(|id| !self.backups.contains_key(*id)) {
            return Err(no_backup(id));
        }
        let mut found: Vec<_> = self.backups.values().collect();
        found.retain(|backup| {
            id.is_none_or(|id| backup.id == id) && server.is_none_or(|name| backup.server == name)
        });
        found.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
        Ok(json!({ "Backups": found.into_iter().map(Backup::describe).collect::<Vec<_>>() }))
    }

    /// How many manual backups count for the limit: those being deleted still do.
    pub(super) fn manual_backups(&self) -> usize {
        self.backups.values().filter(|backup| backup.manual).count()
    }

    /// A backup that a server can be made of, or restored from.
    pub(super) fn backup(&self, id: &str) -> Result<&Backup, ApiError> {
        self.backups.get(id).ok_or_else(|| no_backup(id))
    }

    /// The nodes of a server, as a backup keeps them.
    pub(super) fn nodes_of(&self, server: &str) -> Nodes {
        let from = (server.to_owned(), String::new());
        let all = self.associations.range(from..).take_while(|((name, _), _)| name == server);
        all.map(|((_, node), association)| (node.clone(), Arc::clone(association))).collect()
    }
}

fn backup_of(
    server: &Server,
    place: &Place,
    new: NewBackup,
    id: &str,
    created_at: Now,
    nodes: Nodes,
) -> Backup {
    let Place { region, account } = place;
    Backup {
        id: id.to_owned(),
        server: server.name.clone(),
        manual: new.user_arn.is_some(),
        status: IN_PROGRESS,
        engine: server.engine,
        settings: server.settings.clone(),
        nodes,
        tags: new.tags,
        arn: format!("arn:aws:opsworks-cm:{region}:{account}:backup/{id}"),
        description: new.description,
        status_description: None,
        user_arn: new.user_arn,
        log_url: log_url(region, &server.name, &format!("{id}.log")),
        created_at,
    }
}

pub(super) fn no_backup(id: &str) -> ApiError {
    ApiError::ResourceNotFound(format!("No backup with the ID '{id}' exists."))
}

/// `yyyyMMddHHmmssSSS`
fn compact(moment: Now) -> String {
    let format = format_description!("[year][month][day][hour][minute][second]");
    let seconds = moment.datetime().format(format).unwrap_or_default();
    format!("{seconds}{:03}", moment.unix_ms() % 1000)
}
