//! The engines on this machine, a module each: what is installed of them, whether they will use what
//! enlist installs, and how one registers itself.

mod chef;
mod opsworks_agent;
mod puppet;
mod ssm_agent;

use super::install;
use super::root::Root;
use super::sanitize::clean;
use super::store::Store;
use crate::engines::{EngineId, HandOver, Observed, RequiredSettings, Wanted};
use crate::fault::{Fault, Kind};

pub use puppet::Asked as EngineAnswers;

/// Looks for what is wanted of the engines.
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
    };
    if let Some(site) = &mut observed.opsworks_agent {
        clean([&mut site.instance, &mut site.fingerprint]);
    }
    if let Some(site) = &mut observed.ssm_agent {
        clean([&mut site.agent, &mut site.instance, &mut site.handed_over]);
    }
    Ok(observed)
}

/// What will most likely be found, by the settings and the packages' layouts. No engine is run.
#[must_use]
pub fn expect(root: &Root, wanted: Wanted) -> Observed {
    let puppet = wanted.puppet.map(|wanted| puppet::likely_site(root, wanted));
    Observed { puppet, ..Observed::default() }
}

/// Brings to an end what an interrupted start left of an engine's registration.
///
/// # Errors
/// `Transient` while the engine is still registering, `Host` where its files can't be put back.
pub async fn settle_hand_over(root: &Root) -> Result<(), Fault> {
    ssm_agent::settle(root).await
}

/// Has an engine register itself, in this region; the id that it got.
///
/// # Errors
/// `Rejected` or `Transient` where it did not register; its files are as they were.
pub async fn hand_over(
    root: &Root,
    store: &Store,
    wanted: &HandOver,
    region: Option<String>,
) -> Result<String, Fault> {
    ssm_agent::perform(root, store, wanted, region).await
}

/// Before the authority is asked: whether the engine will use what is going to be installed.
///
/// # Errors
/// `Host`, with the file and the line.
pub fn check_settings(root: &Root, required: &RequiredSettings) -> Result<(), Fault> {
    let problems = match required {
        RequiredSettings::Puppet(expected) => puppet::foresee(root, expected)?,
        RequiredSettings::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    };
    judge(required, problems, "the authority was not asked, and nothing was written")
}

/// After everything is installed: sets what is ours to set, and checks what the engine uses.
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
        RequiredSettings::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    };
    judge(required, problems, "what was installed stands, and the next join goes on from there")
}

/// What leads the engine of a member elsewhere.
pub async fn diversions(
    root: &Root,
    store: &Store,
    required: &RequiredSettings,
    answers: &mut EngineAnswers,
) -> Vec<String> {
    match required {
        RequiredSettings::Puppet(expected) => puppet::look(root, store, expected, answers).await,
        RequiredSettings::Chef { content, .. } if content.is_empty() => {
            vec!["our settings are gone from it".to_owned()]
        }
        RequiredSettings::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    }
}

fn judge(required: &RequiredSettings, problems: Vec<String>, state: &str) -> Result<(), Fault> {
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else { return Ok(()) };
    let what = match required.engine() {
        EngineId::Chef => "Chef would not use what enlist installs for it",
        _ => "Puppet would not use what enlist installs for it",
    };
    let todo = "correct or remove what is named there, then `enlist join`";
    let fault = Fault::new(Kind::Host, what, first, todo);
    Err(problems.fold(fault, Fault::cause).cause(state))
}
