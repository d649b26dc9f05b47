//! What `aws opsworks register` asks for before it installs an agent, and the installer it is led
//! to.

use serde_json::{Value, json};

use super::OpsWorks;
use crate::control::Context;
use crate::control::validate::{Members, Text};
use crate::error::ApiError;
use crate::tar;

/// Where the installer is, at the API's own address.
pub const INSTALLER_PATH: &str = "/_emulator/opsworks-agent-installer.tgz";

/// AWS's installer is gone with its service. This one stands in its place in the archive; it joins
/// by `enlist`, which the machine has. `ROOT` and `ENLIST` are for trying it out.
const BOOT_REGISTRATION: &str = r#"#!/bin/sh
set -eu
umask 077
preconfig=$(dirname "$0")/preconfig
# The parameters: lines such as :stack_id: "2f18b4cb-...".
value() { sed -n "s/^:$1: \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$preconfig" | head -n 1; }
setting() { if [ -n "$2" ]; then printf '%s = "%s"\n' "$1" "$2"; fi; }
infrastructure=on-premises
if [ "$(value import)" = true ]; then infrastructure=ec2; fi
mkdir -p "${ROOT:-}/etc/enlist"
{
    echo "[aws]"
    setting region "$(value instance_service_region)"
    setting endpoint_url "$(value instance_service_endpoint)"
    echo "[opsworks]"
    setting stack_id "$(value stack_id)"
    setting infrastructure "$infrastructure"
    setting hostname "$(value hostname)"
    setting private_ip "$(value private_ip)"
    setting public_ip "$(value public_ip)"
} >"${ROOT:-}/etc/enlist/enlist.toml"
if [ -n "$(value access_key_id)" ]; then
    AWS_ACCESS_KEY_ID=$(value access_key_id)
    AWS_SECRET_ACCESS_KEY=$(value secret_access_key)
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fi
exec "${ENLIST:-enlist}" join --root "${ROOT:-/}"
"#;

/// The installer: a tar archive in the form of gzip.
#[must_use]
pub fn installer() -> Vec<u8> {
    let name = "opsworks-agent-installer/boot-registration";
    tar::gzip(&tar::archive(&[(name, BOOT_REGISTRATION, 0o755)]))
}

impl OpsWorks {
    /// "Requests a description of a stack's provisioning parameters."
    pub(super) fn describe_stack_provisioning_parameters(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("StackId", &Text::UNBOUNDED)?;
        members.finish()?;

        let region = &self.stack(id)?.region;
        // Whoever asks here reaches the emulator at this address, and so will the instance.
        let here = format!("http://{}", context.host.unwrap_or("localhost"));
        Ok(json!({
            "AgentInstallerUrl": format!("{here}{INSTALLER_PATH}"),
            "Parameters": {
                "agent_installer_base_url": format!("{here}/_emulator"),
                "agent_installer_tgz": "opsworks-agent-installer.tgz",
                "assets_download_bucket":
                    format!("opsworks-instance-assets-{region}.s3.amazonaws.com"),
                "instance_service_endpoint": here,
                "instance_service_port": "443",
                "instance_service_region": region,
                "instance_service_ssl_verify_peer": "true",
                "wait_between_runs": "60",
            },
        }))
    }
}
