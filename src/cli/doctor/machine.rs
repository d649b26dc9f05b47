//! Checks of the machine: the state directory, locks, disks, what identifies the node, the unit.

use super::super::rehearsal::{self, Rehearsal};
use super::{Checks, Found};
use crate::config::Settings;
use crate::facts::MachineIdentity;
use crate::fault::{Fault, Kind};
use crate::host::{Host, Root, Store, clock, disk, facts, files, lock, unit};
use crate::targets::{STATE_DIR, Target};

/// Whether the state directory can be written, and has room.
pub fn state(root: &Root, checks: &mut Checks) {
    checks.run("disk", || disk::check(root, STATE_DIR).map(Found::Good));
    checks.run("state", || {
        files::check_directory(root, STATE_DIR)?;
        files::check_writable(root, &format!("{STATE_DIR}/lock"))?;
        Ok(Found::Good(format!("{} can be written", root.shown(STATE_DIR))))
    });
}

/// Who holds enlist's own lock. A lock that enlist holds is no fault: it works.
pub fn locks(root: &Root, checks: &mut Checks) {
    checks.run("lock", || {
        if !lock::is_held(root)? {
            let daemon = lock::is_daemon_running(root)?;
            let daemon = if daemon { "the service runs; " } else { "" };
            return Ok(Found::Good(format!("{daemon}no join or leave is under way")));
        }
        let on = root.shown(&format!("{STATE_DIR}/lock"));
        let Some((pid, command)) = lock::holder_of(root, "lock") else {
            return Ok(Found::Good("another enlist is at work".to_owned()));
        };
        let is_enlist =
            command.split(' ').next().is_some_and(|program| program.ends_with("enlist"));
        if is_enlist {
            return Ok(Found::Good(format!("process {pid} is at work: {command}")));
        }
        let todo = format!("see what it is: `ps -fp {pid}`; every join waits until it ends");
        let what = format!("another program holds enlist's lock: process {pid}");
        Err(Fault::new(Kind::Host, what, on, todo).cause(command))
    });
}

/// The record, what identifies the node, and its name.
pub async fn node(
    root: &Root,
    host: &mut Host,
    target: &dyn Target,
    settings: &Settings,
    checks: &mut Checks,
) -> Option<(Rehearsal, String)> {
    let here = facts::machine(root);
    checks.run("record", || record(root, target.id(), &here));
    let began = clock::instant();
    let gathered = rehearsal::gather(host, target, settings).await;
    let (found, gathered) = match gathered {
        Err(fault) => (Err(fault), None),
        Ok(gathered) => {
            let found = match &gathered.facts.ec2 {
                Some(ec2) => format!("EC2 instance {}", ec2.instance_id),
                None => format!("not an EC2 instance; host {}", gathered.facts.fqdn),
            };
            (Ok(Found::Good(found)), Some(gathered))
        }
    };
    checks.note("metadata", began, found);
    let gathered = gathered?;
    let began = clock::instant();
    let proven = rehearsal::proof(host, target.additions().proof, &gathered.facts).await;
    if let Some(proven) = proven.transpose() {
        checks.note("proof", began, proven.map(Found::Good));
    }
    // The metadata service may know more of this machine than the firmware.
    if let Err(fault) = record(root, target.id(), &gathered.facts.machine())
        && record(root, target.id(), &here).is_ok()
    {
        checks.note("record", began, Err(fault));
    }
    let began = clock::instant();
    let name = gathered.name(target, settings);
    let checked = name.as_ref().ok().map(|name| gathered.check_engine(settings, name));
    match (name, checked) {
        (Ok(_), Some(Err(fault))) if fault.kind == Kind::Host => {
            checks.note("engine", began, Err(fault));
            None
        }
        (Err(fault), _) | (_, Some(Err(fault))) => {
            checks.note("name", began, Err(fault));
            None
        }
        (Ok(name), _) => {
            checks.note("name", began, Ok(Found::Good(name.clone())));
            Some((gathered, name))
        }
    }
}

fn record(root: &Root, id: &'static str, here: &MachineIdentity) -> Result<Found, Fault> {
    let store = Store::new(root.clone(), id);
    let Some(record) = store.load()? else {
        return Ok(Found::Skipped("this node has not begun to join".to_owned()));
    };
    if let Some(difference) = record.other_machine(here) {
        let todo = format!(
            "run `enlist join --target {id}`, which moves that record and its key to the backups and joins this machine"
        );
        let what = "the record belongs to another machine: this disk was copied";
        return Err(Fault::new(Kind::Transient, what, store.record_path(), todo)
            .cause(difference.to_string()));
    }
    let phase = record.phase.name().id();
    Ok(Found::Good(format!("{}: {phase}", store.record_path())))
}

/// The units of systemd, and whether their sandbox fits what would be written.
pub async fn unit(root: &Root, paths: &[String], checks: &mut Checks) {
    let began = clock::instant();
    let units = unit::installed(root).await;
    if units.is_empty() {
        let why = "enlist.service is not installed, or there is no systemd".to_owned();
        checks.note("unit", began, Ok(Found::Skipped(why)));
        return;
    }
    for (name, unit) in &units {
        let began = clock::instant();
        let result = unit::check_sandbox(name, unit, paths).map(Found::Good);
        checks.note("sandbox", began, result);
    }
    checks.note("unit", began, unit::check(&units).map(Found::Good));
}
