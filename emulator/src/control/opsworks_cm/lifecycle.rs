//! Changing, maintaining, restoring and deleting servers.

use serde_json::{Value, json};

use super::OpsWorksCm;
use super::backup::{BACKUP_ID, OK};
use super::create::KEY_PAIR;
use super::credentials::{self, Changed};
use super::server::spec::{Engine, SERVER_NAME};
use super::server::status::{self, DELETING, MODIFYING, RESTORING};
use super::server::window::{TIME_WINDOW, Window};
use super::server::work::{Progress, Work};
use crate::control::Context;
use crate::control::fault::FaultKind;
use crate::control::span::Point;
use crate::control::validate::{Members, Pattern, Text};
use crate::error::ApiError;
use crate::now::Now;

/// `AttributeName`.
const ATTRIBUTE_NAME: Text = Text {
    min: 1,
    max: 64,
    pattern: Some(Pattern { text: "[A-Z][A-Z0-9_]*", fits: is_attribute_name }),
    sensitive: false,
};
const ATTRIBUTE_VALUE: Text = Text { sensitive: true, ..Text::ANY };

fn is_attribute_name(text: &str) -> bool {
    let rest =
        |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    text.starts_with(|letter: char| letter.is_ascii_uppercase()) && text.chars().all(rest)
}

/// `InstanceType` of `RestoreServer`: "Valid values must be specified in the following format:
/// `^([cm][34]|t2).*`".
const INSTANCE_TYPE: Text = Text {
    pattern: Some(Pattern { text: "^([cm][34]|t2).*", fits: is_instance_type }),
    ..Text::ANY
};

fn is_instance_type(text: &str) -> bool {
    let families = ["c3", "c4", "m3", "m4", "t2"];
    families.into_iter().any(|family| text.starts_with(family)) && !text.contains(['\n', '\r'])
}

impl OpsWorksCm {
    fn point(&self, context: &Context<'_>) -> Point {
        Point { now: context.now, call: self.call }
    }

    /// "This operation is synchronous."
    pub(super) fn update_server(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        let retention = members.optional_integer("BackupRetentionCount", 1)?;
        let disabled = members.boolean("DisableAutomatedBackup")?;
        let backup = members.optional_text("PreferredBackupWindow", &TIME_WINDOW)?;
        let maintenance = members.optional_text("PreferredMaintenanceWindow", &TIME_WINDOW)?;
        members.finish()?;

        let now = context.now;
        let server = self.server_mut(name)?;
        status::require_changeable(name, server.status)?;
        if let Some(count) = retention.and_then(|count| u32::try_from(count).ok()) {
            server.settings.backup_retention_count = count;
        }
        if let Some(disabled) = disabled {
            server.settings.disable_automated_backup = disabled;
        }
        if let Some(window) = backup.and_then(Window::parse) {
            server.settings.backup_window = window;
            server.next_backup = window.next_after(now);
        }
        if let Some(window) = maintenance.and_then(Window::parse) {
            server.settings.maintenance_window = window;
            server.next_maintenance = window.next_after(now);
        }
        server.events.add(now, "The server's settings have changed.");
        Ok(json!({ "Server": server.describe(context.authority.bundle()) }))
    }

    /// "The server enters the `MODIFYING` state when this operation is in progress."
    pub(super) fn update_server_engine_attributes(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        let attribute = members.text("AttributeName", &ATTRIBUTE_NAME)?;
        let value = members.optional_text("AttributeValue", &ATTRIBUTE_VALUE)?;
        members.finish()?;

        let due = self.settings.times.update.from(self.point(context));
        let server = self.server_mut(name)?;
        status::require(name, server.status, status::FOR_CHANGE)?;
        let Changed { pivotal_key, shown } =
            credentials::change(server.engine, attribute, value, context)?;
        let back_to = server.status;
        let work = Work::Modify { pivotal_key, attribute: attribute.to_owned(), back_to };
        let fails = context.fault == Some(FaultKind::Failed);
        server.begin(MODIFYING, Progress { work, fails, due });
        server.events.add(context.now, format!("The engine attribute {attribute} is being set."));
        Ok(json!({ "Server": server.describe_with(shown) }))
    }

    /// "The server is in an `UNDER_MAINTENANCE` state while maintenance is in progress."
    pub(super) fn start_maintenance(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        let attributes = members.attributes("EngineAttributes", false)?;
        members.finish()?;

        let due = self.settings.times.maintenance.from(self.point(context));
        let server = self.server_mut(name)?;
        status::require(name, server.status, status::FOR_CHANGE)?;
        credentials::check_maintenance(server.engine, &attributes)?;
        let fails = context.fault == Some(FaultKind::Failed);
        server.begin_maintenance(Progress { work: Work::Maintain, fails, due }, context.now);
        Ok(json!({ "Server": server.describe(context.authority.bundle()) }))
    }

    /// "`RestoreServer` maintains the existing server endpoint."
    pub(super) fn restore_server(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("BackupId", &BACKUP_ID)?;
        let name = members.text("ServerName", &SERVER_NAME)?;
        let instance_type = members.optional_text("InstanceType", &INSTANCE_TYPE)?;
        let key_pair = members.optional_text("KeyPair", &KEY_PAIR)?;
        members.finish()?;

        let due = self.settings.times.restore.from(self.point(context));
        let server = self.server(name)?;
        let backup = self.backup(id)?;
        status::require(name, server.status, status::FOR_RESTORE)?;
        if backup.status != OK {
            let found = backup.status;
            return Err(ApiError::InvalidState(format!("The backup '{id}' is {found}, not {OK}.")));
        }
        if backup.engine != server.engine {
            return Err(ApiError::Validation(format!(
                "The backup '{id}' is of another engine: {}.",
                backup.engine.name()
            )));
        }
        let of_backup = backup.settings.clone();
        let server = self.server_mut(name)?;
        server.settings.instance_type =
            instance_type.map_or(of_backup.instance_type, str::to_owned);
        server.settings.key_pair = key_pair.map(str::to_owned).or(of_backup.key_pair);
        let fails = context.fault == Some(FaultKind::Failed);
        server.begin(RESTORING, Progress { work: Work::Restore { id: id.to_owned() }, fails, due });
        server.events.add(context.now, format!("The backup {id} is being restored."));
        // "An HTTP 200 response with an empty HTTP body."
        Ok(Value::Null)
    }

    /// "When you run this command, the server state is updated to `DELETING`."
    pub(super) fn delete_server(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        members.finish()?;

        let due = self.settings.times.deletion.from(self.point(context));
        let server = self.server(name)?;
        if server.status == DELETING {
            return Err(ApiError::InvalidState(format!(
                "The deletion of the server '{name}' is already in progress."
            )));
        }
        self.interrupt(name, Some(context.now));
        let fails = context.fault == Some(FaultKind::Failed);
        let server = self.server_mut(name)?;
        server.begin(DELETING, Progress { work: Work::Delete, fails, due });
        server.events.add(context.now, "The server is being deleted.");
        // "An HTTP 200 response with an empty HTTP body."
        Ok(Value::Null)
    }

    /// Ends what a server is busy with; a backup that is being made fails. Its event has the moment
    /// `at`, or the backup's.
    pub(super) fn interrupt(&mut self, name: &str, at: Option<Now>) {
        let progress = self.servers.get_mut(name).and_then(|server| server.progress.take());
        if let Some(Progress { work: Work::Backup { id, .. }, .. }) = progress
            && let Some(at) = at.or(self.backups.get(&id).map(|backup| backup.created_at))
        {
            self.end_backup(&id, true, at);
        }
    }

    /// "Describes your OpsWorks-CM account attributes."
    pub(super) fn describe_account_attributes(
        &self,
        members: Members<'_>,
    ) -> Result<Value, ApiError> {
        members.finish()?;
        let row = |name: &str, maximum: usize, used: usize| json!({ "Name": name, "Maximum": maximum, "Used": used });
        Ok(json!({ "Attributes": [
            row("ServerLimit", self.settings.server_limit, self.servers.len()),
            row("ManualBackupLimit", self.settings.backup_limit, self.manual_backups()),
        ] }))
    }
}

/// The engine whose `EngineModel` this is.
pub(super) fn engine_of_model(model: &str) -> Option<Engine> {
    [Engine::Puppet, Engine::Chef].into_iter().find(|engine| engine.model().0 == model)
}
