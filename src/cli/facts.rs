//! `enlist facts`: what this node would say of itself.

use clap::Args;

use super::{Global, printer, runtime};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::host::{AwsSettings, Environment, Host, Net};
use crate::target::{Inquiry, SiteInquiry};

#[derive(Debug, Args)]
pub struct Options {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Needs no settings: it is what one asks before there are any. Those there are say where
/// Puppet's directories are.
pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let site = match global.settings(&root) {
        Ok(settings) => settings.targets().iter().find_map(|target| target.inquiry().puppet),
        Err(fault) => {
            tracing::debug!("facts without settings: {fault}");
            None
        }
    };
    let inquiry = Inquiry {
        puppet: Some(site.unwrap_or_else(SiteInquiry::default)),
        ssm: true,
        opsworks: true,
        ..Inquiry::default()
    };
    let environment = Environment::read(&AwsSettings::default())?;
    let net = Net::new(&environment);
    let mut host = Host::new(root, "facts", environment, net);
    let facts = runtime()?.block_on(host.gather(inquiry))?;
    if options.json {
        printer::json(&facts);
    } else {
        printer::out(&text(&facts));
    }
    Ok(0)
}

fn text(facts: &Facts) -> String {
    let mut rows = Vec::new();
    let mut add = |label: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push((label.to_owned(), value.to_owned()));
        }
    };
    add("hostname", Some(&facts.hostname));
    add("fqdn", Some(&facts.fqdn));
    add("machine-id", facts.machine_id.as_deref());
    let platform = &facts.platform;
    add(
        "platform",
        Some(&format!(
            "{} {}, {}, Linux {}",
            platform.os, platform.version, platform.architecture, platform.kernel
        )),
    );
    for known in &facts.addresses {
        add("address", Some(&format!("{} {}", known.interface, known.address)));
    }
    match &facts.ec2 {
        None => {
            add("private IP", facts.private_ip.map(|address| address.to_string()).as_deref());
            add("public IP", facts.public_ip.map(|address| address.to_string()).as_deref());
            add("EC2", Some("no"));
        }
        Some(ec2) => {
            add("instance", Some(&ec2.instance_id));
            add("image", ec2.image_id.as_deref());
            add("region", ec2.region.as_deref());
            add("zone", ec2.zone.as_deref());
            add("account", ec2.account.as_deref());
            add("private IP", ec2.private_ip.as_deref());
            add("public IP", ec2.public_ip.as_deref());
            for (name, value) in &ec2.tags {
                add(&format!("tag {name}"), Some(value));
            }
            for name in ec2.secret_tags.keys() {
                add(&format!("tag {name}"), Some("(secret)"));
            }
            let signed =
                if ec2.identity.signature.is_some() { "signed" } else { "without signature" };
            add(
                "identity",
                Some(&format!("document of {} bytes, {signed}", ec2.identity.document.len())),
            );
        }
    }
    if let Some(site) = &facts.puppet {
        add(
            "Puppet",
            Some(&format!(
                "confdir {}, ssldir {}, statedir {} ({})",
                site.confdir, site.ssldir, site.statedir, site.said_by
            )),
        );
    }
    if let Some(site) = facts.ssm.as_ref().filter(|site| site.agent.is_some()) {
        add("SSM Agent", Some(site.instance.as_deref().unwrap_or("not registered")));
    }
    printer::columns(&rows)
}
