//! `enlist facts`: what this node would tell an authority about itself.

use clap::Args;
use serde::Serialize;

use super::{Global, printer, rehearsal, runtime};
use crate::daemon;
use crate::engines::{Engines, FactsWanted, Observed, Proof};
use crate::facts::{Ec2, Facts};
use crate::fault::Fault;
use crate::host::{AwsSettings, Environment, Host, HttpClients};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist facts
  enlist facts --json")]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the node knows about itself and about the engines on it.
#[derive(Serialize)]
struct All<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    #[serde(flatten)]
    observed: &'a Observed,
    /// What a certificate request would prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

/// Works without settings. If there are any, they say where Puppet's directories are.
pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let (engines, proof, environment) = match global.settings(&root) {
        Ok(settings) => {
            let environment = daemon::environment(&settings)?;
            let proofs = settings.targets().into_iter().map(|target| target.additions().proof);
            let proof = proofs.into_iter().find(|proof| *proof != Proof::None);
            (settings.engines, proof.unwrap_or_default(), environment)
        }
        Err(fault) => {
            tracing::debug!("facts without settings: {fault}");
            let environment = Environment::read(&AwsSettings::default())?;
            (Engines::default(), Proof::None, environment)
        }
    };
    let wanted = FactsWanted { engine: engines.wanted(), early_key: None };
    let http = HttpClients::new(&environment);
    let mut host = Host::new(root, "facts", environment, http);
    let (facts, observed, proof) = runtime()?.block_on(async {
        let (facts, observed) = host.gather(wanted).await?;
        let proof = proven(&mut host, proof, &facts).await;
        Ok::<_, Fault>((facts, observed, proof))
    })?;
    if options.json {
        printer::json(&All { facts: &facts, observed: &observed, proof })?;
    } else {
        printer::out(&text(&facts, &observed, proof.as_deref()))?;
    }
    Ok(0)
}

/// What a certificate request would prove, or why it can't.
async fn proven(host: &mut Host, proof: Proof, facts: &Facts) -> Option<String> {
    let possible = rehearsal::proof(host, proof, facts).await.transpose()?;
    Some(possible.unwrap_or_else(|fault| format!("{proof}: not possible: {}", fault.line())))
}

fn text(facts: &Facts, observed: &Observed, proof: Option<&str>) -> String {
    let mut rows = Rows::default();
    rows.add("hostname", Some(&facts.hostname));
    rows.add("fqdn", Some(&facts.fqdn));
    rows.add("machine-id", facts.machine_id.as_deref());
    let platform = &facts.platform;
    rows.say(
        "platform",
        format!(
            "{} {}, {}, Linux {}",
            platform.os, platform.version, platform.architecture, platform.kernel
        ),
    );
    for known in &facts.addresses {
        rows.say("address", format!("{} {}", known.interface, known.address));
    }
    if let Some(ec2) = &facts.ec2 {
        rows.instance(ec2);
    } else {
        rows.add("private IP", facts.private_ip.map(|address| address.to_string()).as_deref());
        rows.add("public IP", facts.public_ip.map(|address| address.to_string()).as_deref());
        rows.add("EC2", Some("no"));
    }
    if let Some(site) = &observed.puppet {
        rows.say(
            "Puppet",
            format!(
                "confdir {}, ssldir {}, statedir {} ({})",
                site.confdir, site.ssldir, site.statedir, site.said_by
            ),
        );
    }
    if let Some(site) = observed.ssm_agent.as_ref().filter(|site| site.agent.is_some()) {
        rows.add("SSM Agent", Some(site.instance.as_deref().unwrap_or("not registered")));
    }
    rows.add("proof", proof);
    printer::columns(&rows.0)
}

/// Rows of label and value, without the values that are not known.
#[derive(Default)]
struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.say(label, value.to_owned());
        }
    }

    fn say(&mut self, label: &str, value: String) {
        self.0.push((label.to_owned(), value));
    }

    fn instance(&mut self, ec2: &Ec2) {
        self.add("instance", Some(&ec2.instance_id));
        self.add("image", ec2.image_id.as_deref());
        self.add("region", ec2.region.as_deref());
        self.add("zone", ec2.zone.as_deref());
        self.add("account", ec2.account.as_deref());
        self.add("private IP", ec2.private_ip.as_deref());
        self.add("public IP", ec2.public_ip.as_deref());
        for (name, value) in &ec2.tags {
            self.add(&format!("tag {name}"), Some(value));
        }
        for name in ec2.secret_tags.keys() {
            self.add(&format!("tag {name}"), Some("(secret)"));
        }
        let is_signed = ec2.identity.signature.is_some();
        let signed = if is_signed { "signed" } else { "without signature" };
        self.say(
            "identity",
            format!("document of {} bytes, {signed}", ec2.identity.document.len()),
        );
    }
}
