//! The engines on this machine, one module each: what is installed, whether an engine will use what
//! enlist installs, and how an engine registers itself.

mod chef;
mod opsworks_agent;
mod puppet;
mod puppet_layout;
mod puppet_proxy;
mod puppet_service;
mod puppet_version;
mod ssm_agent;
mod version;

use super::install;
use super::root::Root;
use super::sanitize::clean;
use super::store::Store;
use crate::engines::inspection::Diversion;
use crate::engines::{EngineId, HandOver, Observed, RequiredSettings, Wanted};
use crate::fault::{Fault, Kind};

pub use puppet::SavedAnswer as EngineAnswers;
pub use puppet_proxy::{AgentServer, AgentWay};
pub use version::version;

/// Looks for the wanted engines on this node.
///
/// # Errors
/// `Config` where the settings name a program that others may write.
pub async fn observe(root: &Root, wanted: Wanted) -> Result<Observed, Fault> {
    let mut observed = Observed {
        puppet: puppet::site(root, wanted.puppet).await?,
        ssm_agent: match wanted.ssm_agent {
            Some(wanted) => Some(ssm_agent::site(root, wanted.program.as_deref())?),
            None => None,
        },
        opsworks_agent: if wanted.opsworks_agent { opsworks_agent::site(root) } else { None },
        chef: chef::product(root, wanted.chef),
    };
    if let Some(site) = &mut observed.opsworks_agent {
        clean([&mut site.instance, &mut site.fingerprint]);
    }
    if let Some(site) = &mut observed.ssm_agent {
        clean([&mut site.agent, &mut site.instance, &mut site.handed_over]);
    }
    Ok(observed)
}

/// What [`observe`] will most likely find, judged by the settings and the packages' layouts. Runs no
/// engine.
#[must_use]
pub fn expect(root: &Root, wanted: Wanted) -> Observed {
    let puppet = wanted.puppet.map(|wanted| puppet_layout::likely_site(root, wanted));
    Observed { puppet, chef: chef::product(root, wanted.chef), ..Observed::default() }
}

/// Finishes or undoes a hand-over that an earlier start did not complete.
///
/// # Errors
/// `Transient` while the engine is still registering, `Host` where its files can't be restored.
pub async fn settle_hand_over(root: &Root) -> Result<(), Fault> {
    ssm_agent::settle(root).await
}

/// Has an engine register itself in this region. Returns its new id.
///
/// # Errors
/// `Rejected` or `Transient` where it did not register. Its files are restored then.
pub async fn hand_over(
    root: &Root,
    store: &Store,
    wanted: &HandOver,
    region: Option<String>,
) -> Result<String, Fault> {
    ssm_agent::perform(root, store, wanted, region).await
}

/// Checks, before the authority is asked, that the engine will use what is going to be installed.
///
/// # Errors
/// `Host`, with the file and the line that prevent it.
pub fn check_settings(root: &Root, required: &RequiredSettings) -> Result<(), Fault> {
    let problems = match required {
        RequiredSettings::Puppet(expected) => puppet::foresee(root, expected)?,
        RequiredSettings::Chef { client_rb, file, content } => {
            chef::problems(root, client_rb, file, content)
        }
    };
    judge(required, problems, "the authority was not asked, and nothing was written")
}

/// Likewise, but only what does not depend on the authority: whether the engine can read its settings.
///
/// # Errors
/// As for [`check_settings`].
pub fn check_readable(root: &Root, required: &RequiredSettings) -> Result<(), Fault> {
    let RequiredSettings::Puppet(expected) = required else { return Ok(()) };
    judge(required, puppet::readable(root, expected)?, "nothing was written")
}

/// Checks, after the installation, which settings the engine uses, and corrects those that enlist may
/// set.
///
/// # Errors
/// As for [`check_settings`].
pub async fn confirm_settings(
    root: &Root,
    store: &Store,
    required: &RequiredSettings,
) -> Result<(), Fault> {
    let problems = match required {
        RequiredSettings::Puppet(expected) => {
            let edit =
                |values: &[(&str, &str)]| install::set(root, store, &expected.conf(), values);
            puppet::confirm(root, store, expected, edit).await?
        }
        RequiredSettings::Chef { client_rb, file, content } => {
            chef::problems(root, client_rb, file, content)
        }
    };
    judge(
        required,
        problems,
        "the files were installed; the next `enlist join` checks the settings again",
    )
}

/// What overrides the settings of a member's engine.
pub async fn diversions(
    root: &Root,
    store: &Store,
    required: &RequiredSettings,
    answers: &mut EngineAnswers,
) -> Vec<Diversion> {
    match required {
        RequiredSettings::Puppet(expected) => puppet::look(root, store, expected, answers).await,
        RequiredSettings::Chef { content, .. } if content.is_empty() => {
            let place = "the settings that enlist wrote are gone".to_owned();
            vec![Diversion { place, is_corrected: true }]
        }
        RequiredSettings::Chef { client_rb, file, content } => {
            let problems = chef::problems(root, client_rb, file, content).into_iter();
            problems.map(|place| Diversion { place, is_corrected: false }).collect()
        }
    }
}

/// The id in an engine's identity file. Empty where it has none.
#[must_use]
pub fn identity(text: &str) -> String {
    opsworks_agent::identity(text).unwrap_or_default()
}

fn judge(required: &RequiredSettings, problems: Vec<String>, state: &str) -> Result<(), Fault> {
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else { return Ok(()) };
    let what = match required.engine() {
        EngineId::Chef => "Chef would not use the settings that enlist installs",
        _ => "Puppet would not use the settings that enlist installs",
    };
    let todo = "correct or remove what is named here, then run `enlist join`";
    let fault = Fault::new(Kind::Host, what, first, todo);
    Err(problems.fold(fault, Fault::cause).cause(state))
}
