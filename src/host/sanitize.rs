//! Cleans texts of services and of this machine, once, where they enter: see [`crate::text`].

use std::collections::BTreeMap;

use crate::facts::Facts;
use crate::pki::oid;
use crate::secret::Secret;
use crate::text;

/// Cleans facts, so that they can be shown. The identity document stays as it is: its signature is
/// over exactly these bytes.
#[must_use]
pub fn facts(mut facts: Facts) -> Facts {
    let platform = &mut facts.platform;
    for text in [
        &mut facts.hostname,
        &mut facts.fqdn,
        &mut platform.os,
        &mut platform.version,
        &mut platform.architecture,
        &mut platform.kernel,
    ] {
        *text = text::line(text);
    }
    for known in &mut facts.addresses {
        known.interface = text::line(&known.interface);
    }
    clean([&mut facts.machine_id, &mut facts.product_uuid, &mut facts.firmware_instance_id]);
    if let Some(ec2) = &mut facts.ec2 {
        clean([
            &mut ec2.image_id,
            &mut ec2.region,
            &mut ec2.zone,
            &mut ec2.account,
            &mut ec2.private_ip,
            &mut ec2.public_ip,
        ]);
        // Tags are put into a request byte for byte. They are cleaned where they are shown.
        let (secret, shown) = std::mem::take(&mut ec2.tags)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(name, _)| oid::is_secret(name));
        ec2.tags = shown;
        ec2.secret_tags =
            secret.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    }
    facts
}

/// Makes texts of a service fit to be shown.
pub fn clean<const N: usize>(texts: [&mut Option<String>; N]) {
    for text in texts.into_iter().flatten() {
        *text = text::line(text);
    }
}
