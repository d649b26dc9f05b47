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

#[cfg(test)]
mod tests {
    use super::{Metadata, may_be_ec2, names_ec2};
    use crate::host::{Root, files};

    fn machine(path: &str, value: &str) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let parent = path.rsplit_once('/').unwrap().0;
        files::make_directory(&root, parent, 0o755, None).unwrap();
        files::replace(&root, path, value.as_bytes(), 0o644, None).unwrap();
        (directory, root)
    }

    #[test]
    fn each_value_of_the_firmware_names_ec2() {
        for (path, value, is_ec2) in [
            ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n", true),
            ("/sys/class/dmi/id/sys_vendor", "Amazon\n", false),
            ("/sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n", true),
            ("/sys/class/dmi/id/board_asset_tag", "ip-1\n", false),
            ("/sys/class/dmi/id/product_uuid", "45e12aec-dcd1-b213-94ed-01234567890a", true),
            ("/sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef", true),
            ("/sys/hypervisor/uuid", "ec2", false),
        ] {
            let (_directory, root) = machine(path, value);
            assert_eq!(names_ec2(&root).is_some(), is_ec2, "{path} {value}");
            assert_eq!(may_be_ec2(&root, &Metadata::default()), is_ec2);
            let disabled = Metadata { is_disabled: true, ..Metadata::default() };
            assert!(!may_be_ec2(&root, &disabled));
        }
    }
}
