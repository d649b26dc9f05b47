//! What a join would do on this node, as far as it can be known without asking the authority. For
//! `enlist doctor` and `enlist join --plan`.

use crate::config::Settings;
use crate::engines::puppet::csr::check_identity;
use crate::engines::{
    Action, Authority, Bundle, EngineId, FactsWanted, KeySpec, NodeContext, Observed, Proof,
    RequiredSettings, Written,
};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::host::Host;
use crate::targets::name::default_name;
use crate::targets::{Target, state_dir};

/// Stands for what only the authority can tell.
pub const UNKNOWN: &str = "(as the authority says)";

/// The node as the target sees it.
pub struct Rehearsal {
    pub facts: Facts,
    pub observed: Observed,
    pub authority: Authority,
    /// Whether the authority was found out. Else it is a stand-in.
    pub is_known: bool,
}

/// Gathers the facts.
///
/// # Errors
/// As for a join.
pub async fn gather(
    host: &mut Host,
    target: &dyn Target,
    settings: &Settings,
) -> Result<Rehearsal, Fault> {
    let engine =
        settings.engines.get(target.engine()).wanted(&crate::engines::EngineRecord::default());
    let (facts, observed) = host.gather(FactsWanted { engine, early_key: None }).await?;
    Ok(Rehearsal { facts, observed, authority: stand_in(target), is_known: false })
}

/// What a certificate request would prove, for people; none if it proves nothing.
///
/// # Errors
/// Why it could prove nothing.
pub async fn proof(host: &mut Host, proof: Proof, facts: &Facts) -> Result<Option<String>, Fault> {
    let shown = match proof {
        Proof::None => return Ok(None),
        Proof::Iam => host.caller().await?.describe(),
        Proof::InstanceIdentity => {
            check_identity(facts)?;
            let Some(ec2) = &facts.ec2 else { return Ok(None) };
            let [account, region] = [&ec2.account, &ec2.region];
            format!(
                "{} of account {} in {}",
                ec2.instance_id,
                account.as_deref().unwrap_or("?"),
                region.as_deref().unwrap_or("?")
            )
        }
    };
    Ok(Some(format!("{proof}: {shown}")))
}

/// An authority of the engine that the target expects, with nothing in it that only the authority knows.
fn stand_in(target: &dyn Target) -> Authority {
    let endpoint = UNKNOWN.to_owned();
    match target.engine() {
        EngineId::Puppet => Authority::Puppet { endpoint, ca: String::new(), crl: None },
        EngineId::Chef => Authority::Chef { endpoint, ca: None },
        EngineId::SsmAgent => Authority::Service,
        EngineId::OpsworksAgent => Authority::Stack { name: endpoint, region: None },
    }
}

impl Rehearsal {
    /// The name that this node would join under, checked by the target.
    ///
    /// # Errors
    /// `Config` with the rule that is broken.
    pub fn name(&self, target: &dyn Target, settings: &Settings) -> Result<String, Fault> {
        let name = match &settings.name {
            Some(template) => template.render(&self.facts)?,
            None => default_name(&self.facts)?,
        };
        target.check(&self.facts, &name)?;
        Ok(name)
    }

    /// Whether the engine can manage this node under this name.
    ///
    /// # Errors
    /// `Config` with the rule that is broken, `Host` where it must be installed and is not.
    pub fn check_engine(&self, settings: &Settings, name: &str) -> Result<(), Fault> {
        settings.engines.get(self.authority.engine()).check(&self.observed, name)
    }

    /// The node as an engine takes it.
    pub fn node<'a>(
        &'a self,
        target: &'a dyn Target,
        name: &'a str,
        directory: &'a str,
    ) -> NodeContext<'a> {
        NodeContext {
            facts: &self.facts,
            observed: &self.observed,
            name,
            authority: &self.authority,
            additions: target.additions(),
            key: None,
            former: None,
            former_key: None,
            will_renew: false,
            state_dir: directory,
        }
    }

    /// What would be checked before the authority is asked: files, and the engine's settings.
    pub fn checks(
        &self,
        target: &dyn Target,
        settings: &Settings,
        name: &str,
    ) -> (Vec<Written>, Vec<RequiredSettings>) {
        let directory = state_dir(target.id());
        let node = self.node(target, name, &directory);
        let engine = settings.engines.get(self.authority.engine());
        let hold = engine.hold(&node).unwrap_or_default();
        let planned = engine.planned(&node).unwrap_or_default();
        let (mut written, mut required) = (Vec::new(), Vec::new());
        for action in hold.actions {
            match action {
                Action::CheckWritable(one) => written.push(one),
                // What Chef must use can't be told before the authority is known.
                Action::CheckSettings(one) if self.is_known || one.engine() == EngineId::Puppet => {
                    required.push(one);
                }
                _ => {}
            }
        }
        if written.is_empty() {
            let files = planned.installed_files().into_iter();
            written.extend(files.map(|file| Written { path: file.path, is_directory: false }));
        }
        (written, required)
    }

    /// The key and the certificate request of a join; none where the engine makes its own.
    ///
    /// # Errors
    /// As for a join.
    pub fn key(
        &self,
        target: &dyn Target,
        settings: &Settings,
        name: &str,
    ) -> Result<Option<KeySpec>, Fault> {
        let directory = state_dir(target.id());
        let engine = settings.engines.get(self.authority.engine());
        engine.key(&self.node(target, name, &directory))
    }

    /// What would be installed.
    pub fn planned(&self, target: &dyn Target, settings: &Settings, name: &str) -> Bundle {
        let directory = state_dir(target.id());
        let node = self.node(target, name, &directory);
        settings.engines.get(self.authority.engine()).planned(&node).unwrap_or_default()
    }
}
