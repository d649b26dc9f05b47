//! Checks of the engine: its program, its lock, the files and settings that it will use, and what is
//! installed for it.

use super::super::rehearsal::Rehearsal;
use super::super::report;
use super::{Checks, Found};
use crate::bootstrap::{MembershipName, Phase};
use crate::config::Settings;
use crate::daemon::memberships::Known;
use crate::engines::{EngineId, Engines, RequiredSettings};
use crate::fault::Fault;
use crate::host::preflight::{self, Mounts};
use crate::host::{Root, Store, clock, disk, engines, key, lock};
use crate::targets::Target;

/// Returns the paths that a join or a repair writes.
pub async fn all(
    root: &Root,
    known: &Known,
    (mut node, name): (Rehearsal, &str),
    checks: &mut Checks,
) -> Vec<String> {
    let Ok((target, settings)) = known.target() else { return Vec::new() };
    if let Ok(Some(record)) = Store::new(root.clone(), known.id).load()
        && let Some(authority) = record.membership().authority
    {
        node.authority = authority.clone();
        node.is_known = true;
    }
    let began = clock::instant();
    let id = node.authority.engine();
    let version = engines::version(root, id, program(&settings.engines, id)).await;
    let found = version.map(|found| match found {
        Some(found) => Found::Good(format!("{id}, {found}")),
        None => Found::Skipped(format!("{id} is not installed yet")),
    });
    checks.note("engine", began, found);
    let planned = node.planned(&*target, settings, name);
    if let Some(pid_lock) = &planned.lock {
        checks.run("engine lock", || {
            lock::check_engine_lock(root, pid_lock)?;
            Ok(Found::Good(format!("{} is free", root.shown(&pid_lock.at.path))))
        });
    }
    let (written, required) = node.checks(&*target, settings, name);
    let paths: Vec<String> = written.iter().map(|one| one.path.clone()).collect();
    checks.run("files", || {
        let mounts = Mounts::default();
        for one in &written {
            preflight::check(root, &mounts, one)?;
        }
        Ok(match written.len() {
            0 => Found::Skipped("nothing is written for it".to_owned()),
            1 => Found::Good("its path can be written".to_owned()),
            count => Found::Good(format!("all {count} paths can be written")),
        })
    });
    checks.run("engine disk", || match paths.last() {
        Some(path) => disk::check(root, path).map(Found::Good),
        None => Ok(Found::Skipped("nothing is written for it".to_owned())),
    });
    if !is_member(root, known.id) {
        key(root, &node, &*target, settings, name, checks);
        engine_settings(root, node.is_known, &required, checks);
    }
    member(root, known, &*target, checks).await;
    paths
}

/// Whether the engine will use what a join installs, as far as it is known.
fn engine_settings(
    root: &Root,
    is_known: bool,
    required: &[RequiredSettings],
    checks: &mut Checks,
) {
    checks.run("engine settings", || {
        for one in required {
            if is_known {
                engines::check_settings(root, one)?;
            } else {
                engines::check_readable(root, one)?;
            }
        }
        let checked = format!("{} of its settings files are checked", required.len());
        Ok(if required.is_empty() { Found::Skipped(checked) } else { Found::Good(checked) })
    });
}

/// What a join makes its certificate request of, and the key that it would use.
fn key(
    root: &Root,
    node: &Rehearsal,
    target: &dyn Target,
    settings: &Settings,
    name: &str,
    checks: &mut Checks,
) {
    let began = clock::instant();
    let spec = match node.key(target, settings, name) {
        Ok(Some(spec)) => spec,
        Ok(None) => return,
        Err(fault) => {
            checks.note("request", began, Err(fault));
            return;
        }
    };
    checks.run("key", || {
        let found = key::check(root, &spec)?;
        let missing = || Found::Skipped("there is none yet; a join makes it".to_owned());
        Ok(found.map_or_else(missing, |path| Found::Good(format!("{path} can be used"))))
    });
}

fn program(engines: &Engines, id: EngineId) -> Option<&str> {
    match id {
        EngineId::Puppet => engines.puppet.program.as_deref(),
        EngineId::Chef => engines.chef.program.as_deref(),
        EngineId::SsmAgent => engines.ssm_agent.program.as_deref(),
        EngineId::OpsworksAgent => None,
    }
}

pub fn is_member(root: &Root, id: &str) -> bool {
    let record = Store::new(root.clone(), id).load();
    record.is_ok_and(|record| record.is_some_and(|record| record.is_member()))
}

/// Whether a person carries this node's messages.
pub fn is_carried(root: &Root, id: &str) -> bool {
    let record = Store::new(root.clone(), id).load();
    record.is_ok_and(|record| record.is_some_and(|record| record.phase == Phase::Requested))
}

/// What `status` says of the membership.
async fn member(root: &Root, known: &Known, target: &dyn Target, checks: &mut Checks) {
    let began = clock::instant();
    let reports = report::read(root, std::slice::from_ref(known)).await;
    let Some(report) = reports.into_iter().next() else { return };
    let result = if let Some(problem) = report.problems.first() {
        let fault = Fault::new(problem.kind, &problem.what, &problem.on, &problem.todo);
        Err(problem.causes.iter().fold(fault, Fault::cause))
    } else if report.joined {
        Ok(Found::Good(format!("joined {}, healthy", report.authority)))
    } else if let Some(machine) = report.other_machine {
        Ok(Found::Skipped(machine))
    } else if let Some(fault) = report.fault.filter(|fault| fault.is_final) {
        let what = match report.membership {
            MembershipName::Leaving => "this node has begun to leave, and could not finish",
            _ => "the last join failed",
        };
        let what = format!("{what}: {}", fault.what);
        let fault_of = Fault::new(fault.kind, what, &fault.on, &fault.todo);
        Err(fault.causes.iter().fold(fault_of, Fault::cause))
    } else {
        Ok(Found::Skipped(format!("not joined {}; {}", target.authority_name(), report.next)))
    };
    checks.note("membership", began, result);
}
