//! Keeps an engine's systemd unit from running during a join, where the engine does not look at the file that
//! holds it: the unit is stopped and masked for this boot. A note beside the record says so first, so that the
//! next start lets it run again after a crash.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files;
use super::process::{self, Network};
use super::root::Root;
use super::store::Store;
use crate::fault::Fault;

/// A stop waits until the engine's run has ended.
const LIMIT: Duration = Duration::from_mins(2);

/// The file beside the record.
const NOTE: &str = "held-unit.json";

/// Where `systemctl mask --runtime` makes a link of the unit's name. It ends with the boot, also of a container.
const MASKS: &str = "/run/systemd/system";

/// A unit that this node's enlist has masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    unit: String,
    /// Whether it ran, or was about to.
    was_active: bool,
}

/// Stops and masks a unit, where systemd runs and has it. A unit that is masked already is left as it is.
///
/// # Errors
/// `Host` if the note can't be written. What systemd refuses is a warning: the join may succeed all the same.
pub async fn hold(root: &Root, store: &Store, unit: &str) -> Result<(), Fault> {
    if !is_systemd(root) {
        return Ok(());
    }
    let Some(found) = show(unit).await.filter(|found| found.is_loaded) else { return Ok(()) };
    let former = noted(root, store);
    let was_active = found.is_active || former.is_some_and(|held| held.was_active);
    let held = Held { unit: unit.to_owned(), was_active };
    store.keep_note(NOTE, &serde_json::to_string(&held).unwrap_or_default())?;
    tracing::info!(unit, "stopping and masking the unit until the files are installed");
    if let Err(why) = systemctl(&["mask", "--runtime", "--now", unit]).await {
        tracing::warn!(
            unit,
            "the unit could not be stopped ({why}), and this version of the engine ignores the file that holds it: run `systemctl stop {unit}`"
        );
    } else if show(unit).await.is_some_and(|found| found.is_loaded) {
        // systemd prefers a file in /etc to the mask in /run.
        tracing::warn!(
            unit,
            "the unit is stopped, and can't be masked, because its file is in /etc/systemd/system: do not start it before this node has joined"
        );
    }
    Ok(())
}

/// Lets a unit run again that was held, and starts it if it ran before.
///
/// # Errors
/// `Host` if the note can't be removed.
pub async fn release(root: &Root, store: &Store) -> Result<(), Fault> {
    let Some(Held { unit, was_active, .. }) = noted(root, store) else {
        // It was not masked, or in an earlier boot.
        return store.drop_note(NOTE);
    };
    let unmasked = systemctl(&["unmask", "--runtime", &unit]).await;
    // Its unit may be ordered after enlist's, which is still starting. So the start is only queued.
    let started = match (&unmasked, was_active) {
        (Ok(()), true) => systemctl(&["start", "--no-block", &unit]).await,
        _ => Ok(()),
    };
    if let Err(why) = unmasked.and(started) {
        tracing::warn!(
            unit,
            "the unit that was held could not be released ({why}): run `systemctl unmask --runtime {unit} && systemctl start {unit}`"
        );
        return Ok(());
    }
    tracing::info!(unit, started = was_active, "the unit is released");
    store.drop_note(NOTE)
}

/// The unit of the note, if it is still masked.
fn noted(root: &Root, store: &Store) -> Option<Held> {
    let held: Held = serde_json::from_slice(&store.note(NOTE)?).ok()?;
    let is_masked = || files::names(root, MASKS).is_ok_and(|names| names.contains(&held.unit));
    (is_systemd(root) && is_masked()).then_some(held)
}

fn is_systemd(root: &Root) -> bool {
    root.is_running_system() && files::is_directory(root, "/run/systemd/system")
}

/// What systemd knows of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    /// Not if it does not exist, or is masked.
    is_loaded: bool,
    is_active: bool,
}

async fn show(unit: &str) -> Option<Shown> {
    let arguments = ["show", unit, "--property=LoadState,ActiveState,Job"];
    let ended = process::run("systemctl", &arguments, LIMIT, Network::Unused).await.ok()?;
    Some(shown(&ended.stdout))
}

/// Lines of `NAME=VALUE` (systemctl(1), "show").
fn shown(text: &str) -> Shown {
    let value = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    };
    let is_active = matches!(value("ActiveState"), "active" | "activating" | "reloading");
    let is_queued = !matches!(value("Job"), "" | "0");
    Shown { is_loaded: value("LoadState") == "loaded", is_active: is_active || is_queued }
}

async fn systemctl(arguments: &[&str]) -> Result<(), String> {
    match process::run("systemctl", arguments, LIMIT, Network::Unused).await {
        Ok(ended) if ended.code == Some(0) => Ok(()),
        Ok(ended) => Err(ended.stderr.lines().last().unwrap_or("no reason given").to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, shown};

    #[test]
    fn a_unit_is_held_where_it_exists_and_was_active_if_it_ran_or_was_queued() {
        let of = |is_loaded, is_active| Shown { is_loaded, is_active };
        for (text, wanted) in [
            ("LoadState=loaded\nActiveState=active\nJob=0\n", of(true, true)),
            ("LoadState=loaded\nActiveState=inactive\nJob=\n", of(true, false)),
            ("Job=17\nLoadState=loaded\nActiveState=inactive\n", of(true, true)),
            ("LoadState=masked\nActiveState=inactive\n", of(false, false)),
            ("LoadState=not-found\nActiveState=inactive\n", of(false, false)),
            ("", of(false, false)),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }
}
