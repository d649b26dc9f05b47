//! What the firmware says about EC2 (EC2 user guide, "Identify EC2 Linux instances").

use crate::facts::machine::is_ec2_uuid;
use crate::host::aws::environment::Metadata;
use crate::host::root::Root;
use crate::host::variables;

/// Whether to ask the metadata service. A machine whose firmware does not name EC2 loses no time on
/// it. An endpoint that is set is always asked, unless metadata is disabled.
#[must_use]
pub fn may_be_ec2(root: &Root, metadata: &Metadata) -> bool {
    !metadata.is_disabled && (metadata.endpoint.is_some() || names_ec2(root).is_some())
}

/// The instance's id from the firmware; Nitro instances have it there. None if an endpoint is set:
/// then the id comes from that endpoint.
#[must_use]
pub fn instance_id(root: &Root) -> Option<String> {
    if variables::text("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some() {
        return None;
    }
    let tag = dmi(root, "board_asset_tag").to_ascii_lowercase();
    let digits = tag.strip_prefix("i-")?;
    let is_id = matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then_some(tag)
}

/// The firmware value that says that this is an EC2 instance. Nitro instances have EC2 as vendor,
/// and their id as asset tag. Xen instances have a UUID that begins with ec2, in either byte order.
pub fn names_ec2(root: &Root) -> Option<String> {
    let vendor = dmi(root, "sys_vendor");
    let tag = dmi(root, "board_asset_tag");
    let shown = |name: &str, value: &str| Some(format!("{name} is {value:?}"));
    if vendor.eq_ignore_ascii_case("Amazon EC2") {
        return shown("sys_vendor", &vendor);
    }
    if tag.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("i-")) {
        return shown("board_asset_tag", &tag);
    }
    let places = [
        ("product_uuid", dmi(root, "product_uuid")),
        ("/sys/hypervisor/uuid", root.line("/sys/hypervisor/uuid").unwrap_or_default()),
    ];
    places.iter().find(|(_, uuid)| is_ec2_uuid(uuid)).and_then(|(name, uuid)| shown(name, uuid))
}

/// The instance's id for a command that a message shows, or a placeholder.
pub fn instance_for_commands(root: &Root) -> String {
    instance_id(root).unwrap_or_else(|| "INSTANCE-ID".to_owned())
}

fn dmi(root: &Root, name: &str) -> String {
    root.line(&format!("/sys/class/dmi/id/{name}")).unwrap_or_default()
}
