//! What services and this machine say, cleaned once, where it enters: see [`crate::text`].

use std::collections::BTreeMap;

use crate::facts::Facts;
use crate::pki::oid;
use crate::secret::Secret;
use crate::targets::Answer;
use crate::text;

/// An answer whose texts can be shown. What is parsed and checked whole (engine attributes, with
/// certificates in them) and what is a secret stay as they came.
#[must_use]
pub fn answer(mut answer: Answer) -> Answer {
    match &mut answer {
        Answer::Servers(servers) => {
            for server in servers {
                clean([
                    &mut server.name,
                    &mut server.status,
                    &mut server.status_reason,
                    &mut server.endpoint,
                    &mut server.engine,
                ]);
            }
        }
        Answer::Associated { token } => clean([token]),
        Answer::AssociationStatus { status, .. } => clean([status]),
        Answer::Stacks(stacks) => {
            for stack in stacks {
                clean([&mut stack.id, &mut stack.name, &mut stack.region]);
            }
        }
        Answer::Registered { instance } => clean([instance]),
        Answer::Instances(instances) => {
            for instance in instances {
                clean([
                    &mut instance.id,
                    &mut instance.ec2_instance_id,
                    &mut instance.hostname,
                    &mut instance.private_ip,
                    &mut instance.infrastructure,
                ]);
            }
        }
        Answer::Activation { id, .. } => clean([id]),
        Answer::Activations { list, next } => {
            for activation in list {
                clean([&mut activation.id, &mut activation.description]);
            }
            clean([next]);
        }
        Answer::Managed(ids) => ids.iter_mut().for_each(|id| *id = text::line(id)),
        Answer::NotFound(message) => *message = text::line(message),
        Answer::Done => {}
    }
    answer
}

/// Facts that can be shown. The identity document stays: its signature is over these very bytes.
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
        // Tags go into a request byte for byte, and are cleaned where they are shown.
        let (secret, shown) = std::mem::take(&mut ec2.tags)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(name, _)| oid::is_secret(name));
        ec2.tags = shown;
        ec2.secret_tags =
            secret.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    }
    if let Some(site) = &mut facts.opsworks {
        clean([&mut site.instance, &mut site.fingerprint]);
    }
    if let Some(ssm) = &mut facts.ssm {
        clean([&mut ssm.agent, &mut ssm.instance, &mut ssm.handed_over]);
    }
    facts
}

fn clean<const N: usize>(texts: [&mut Option<String>; N]) {
    for text in texts.into_iter().flatten() {
        *text = text::line(text);
    }
}
