//! Performs a bundle. Whatever part of it is done already is left as it is.

use std::path::Path;
use std::time::Duration;

use super::clock::unix_now;
use super::files::{self, ids_of};
use super::lock::{EngineLock, take_pid_lock};
use super::process;
use super::root::Root;
use super::store::Store;
use super::{engines, held_unit, key, preflight, program};
use crate::engines::{Action, Bundle, Installed, Item, PidLock, Place, Run, block, ini};
use crate::fault::{Fault, Kind};
use crate::pki::{CaBundle, crl};

/// How long the engine's first run may take.
const RUN_LIMIT: Duration = Duration::from_mins(30);

/// Performs the actions of a bundle in their order, under the engine's lock.
///
/// # Errors
/// `Host`. The actions before the failed one stay done; performing the bundle again is safe.
pub async fn perform(root: &Root, store: &Store, bundle: &Bundle) -> Result<Vec<Installed>, Fault> {
    let lock = match &bundle.lock {
        Some(lock) => take_lock(root, bundle, lock).await?,
        None => None,
    };
    let (mut installed, mounts) = (Vec::new(), preflight::Mounts::default());
    for action in &bundle.actions {
        match action {
            Action::CheckWritable(written) => preflight::check(root, &mounts, written)?,
            Action::CheckSettings(required) => engines::check_settings(root, required)?,
            Action::ConfirmSettings(required) => {
                Box::pin(engines::confirm_settings(root, store, required)).await?;
            }
            _ => perform_action(root, store, action)?,
        }
        match action {
            Action::Hold { unit: Some(unit), .. } => held_unit::hold(root, store, unit).await?,
            Action::Release { .. } => held_unit::release(root, store).await?,
            _ => {}
        }
        if let Some((item, path)) = action.installed_file() {
            installed.push(Installed::new(item, path));
        }
    }
    drop(lock);
    if let Some(run) = &bundle.run {
        first_run(root, run).await;
    }
    Ok(installed)
}

/// Performs the bundle of a leave. Where files can't be removed, the engine is let run all the same: the
/// membership has ended, and no join will release it.
///
/// # Errors
/// As for [`perform`].
pub async fn clear(root: &Root, store: &Store, bundle: &Bundle) -> Result<(), Fault> {
    let cleared = Box::pin(perform(root, store, bundle)).await;
    if cleared.is_err()
        && let Err(fault) = Box::pin(perform(root, store, &bundle.releases())).await
    {
        tracing::warn!("the engine is still kept from running: {}", fault.line());
    }
    cleared.map(drop)
}

/// Takes the engine's lock. None where its directory does not exist, because no engine uses it then.
async fn take_lock(
    root: &Root,
    bundle: &Bundle,
    lock: &PidLock,
) -> Result<Option<EngineLock>, Fault> {
    if let Some(directory) = bundle.actions.iter().find_map(|action| parent_of(action, &lock.at)) {
        make(root, directory)?;
    }
    let parent = Path::new(&lock.at.path).parent().and_then(Path::to_str);
    if !parent.is_some_and(|directory| files::is_directory(root, directory)) {
        return Ok(None);
    }
    take_pid_lock(root, lock).await.map(Some)
}

/// The lock's directory, where this action makes it. It is made before the lock.
fn parent_of<'a>(action: &'a Action, lock: &Place) -> Option<&'a Place> {
    match action {
        Action::Directory(place)
            if Path::new(&lock.path).parent() == Some(Path::new(&place.path)) =>
        {
            Some(place)
        }
        _ => None,
    }
}

fn perform_action(root: &Root, store: &Store, action: &Action) -> Result<(), Fault> {
    match action {
        Action::Directory(place) => make(root, place),
        Action::File { item: Item::Crl, at, content, .. } if has_newer(root, at, content)? => {
            Ok(())
        }
        Action::File { item: Item::Ca, at, content, .. } if has_renewed(root, at, content)? => {
            Ok(())
        }
        Action::File { at, content, outdates, .. } => {
            place_file(root, store, at, content, outdates)
        }
        Action::Key { at, from, replaces } => place_key(root, store, at, from, replaces.as_deref()),
        Action::KeyMode { at } => files::tighten(root, &at.path, ids_of(root, at.owner)),
        Action::Settings { at, values, overriding } => {
            let (values, overriding) = (borrowed(values), borrowed(overriding));
            edit(root, store, at, |text| ini::correct(&ini::set(text, &values), &overriding))
        }
        Action::Block { at, content, .. } => {
            edit(root, store, at, |text| block::set(text, content))
        }
        Action::WithKey { at, content, marker, key, .. } => {
            with_key(root, at, content, marker, key)
        }
        Action::Secret { at, content, .. } => {
            let bytes = content.expose().as_bytes();
            files::replace(root, &at.path, bytes, at.mode, ids_of(root, at.owner))
        }
        Action::Hold { at, content, .. } => hold(root, at, content),
        Action::Release { path, content } => {
            release(root, path, content).and_then(|()| files::remove_temporaries(root, path))
        }
        Action::RemoveWithBackup { path } => {
            store.back_up(path, unix_now())?;
            files::remove(root, path).and_then(|()| files::remove_temporaries(root, path))
        }
        Action::RemoveSecret { path } => {
            files::remove_secret(root, path).and_then(|()| files::remove_temporaries(root, path))
        }
        Action::RemoveSettings { path, names } => {
            take_out(root, store, path, |text| ini::unset(text, names))
        }
        Action::RemoveBlock { path } => take_out(root, store, path, block::unset),
        // These are checks, and are handled in `perform`.
        Action::CheckWritable(_) | Action::CheckSettings(_) | Action::ConfirmSettings(_) => Ok(()),
    }
}

fn borrowed<'a>(values: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    values.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Sets settings in an INI file of the admin's.
///
/// # Errors
/// `Host` where it can't be read or written.
pub fn set(root: &Root, store: &Store, path: &str, values: &[(&str, &str)]) -> Result<(), Fault> {
    let at = Place { path: path.to_owned(), mode: 0o644, owner: None };
    edit(root, store, &at, |text| ini::set(text, values))
}

/// Whether these revocation lists are not installed: the file has them or newer ones, which the engine fetches by
/// itself, or there is none and these have expired.
fn has_newer(root: &Root, at: &Place, lists: &str) -> Result<bool, Fault> {
    let Some(found) = files::read_if_there(root, &at.path)? else {
        return Ok(!crl::are_current(lists, unix_now()));
    };
    let found = String::from_utf8(found).ok();
    Ok(found.is_some_and(|found| crl::is_as_new(&found, lists)))
}

/// Whether the file has this CA with certificates that were made anew or added: the engine fetches them by itself.
fn has_renewed(root: &Root, at: &Place, ca: &str) -> Result<bool, Fault> {
    let found = files::read_if_there(root, &at.path)?;
    let found = found.and_then(|found| String::from_utf8(found).ok());
    let bundles = found.map(|found| (CaBundle::from_pem(&found), CaBundle::from_pem(ca)));
    Ok(
        matches!(bundles, Some((Ok(found), Ok(ours))) if found != ours && found.is_renewal_of(&ours)),
    )
}

fn place_file(
    root: &Root,
    store: &Store,
    at: &Place,
    content: &str,
    outdates: &[String],
) -> Result<(), Fault> {
    let former = files::read_if_there(root, &at.path)?;
    if former.as_deref() == Some(content.as_bytes()) {
        return Ok(());
    }
    if let Some(former) = former {
        store.back_up_content(&at.path, &former, unix_now())?;
    }
    for other in outdates {
        store.back_up(other, unix_now())?;
        files::remove(root, other)?;
    }
    files::replace(root, &at.path, content.as_bytes(), at.mode, ids_of(root, at.owner))
}

/// Writes a file that contains the private key. The text in memory is wiped afterwards.
fn with_key(root: &Root, at: &Place, content: &str, marker: &str, key: &str) -> Result<(), Fault> {
    let pem = zeroize::Zeroizing::new(files::read(root, key)?);
    let pem = zeroize::Zeroizing::new(String::from_utf8_lossy(&pem).into_owned());
    let mut text = zeroize::Zeroizing::new(String::with_capacity(content.len() + 2 * pem.len()));
    for line in content.split_inclusive('\n') {
        match line.split_once(marker) {
            None => text.push_str(line),
            Some((indent, _)) => pem.lines().for_each(|part| {
                text.push_str(indent);
                text.push_str(part);
                text.push('\n');
            }),
        }
    }
    files::replace(root, &at.path, text.as_bytes(), at.mode, ids_of(root, at.owner))
}

/// Removes what enlist wrote from a file, if the file exists.
fn take_out(
    root: &Root,
    store: &Store,
    path: &str,
    change: impl FnOnce(&str) -> String,
) -> Result<(), Fault> {
    if files::try_exists(root, path)? {
        let at = Place { path: path.to_owned(), mode: 0o644, owner: None };
        edit(root, store, &at, change)?;
    }
    files::remove_temporaries(root, path)
}

fn make(root: &Root, place: &Place) -> Result<(), Fault> {
    files::make_directory(root, &place.path, place.mode, ids_of(root, place.owner))
}

/// Moves the staged key to its place. A key that is there already is not overwritten: it is the one that
/// `EnsureKey` used. `replaces` is the one that may be overwritten.
fn place_key(
    root: &Root,
    store: &Store,
    at: &Place,
    from: &str,
    replaces: Option<&str>,
) -> Result<(), Fault> {
    let is_there = match replaces {
        None => files::try_exists(root, &at.path)?,
        Some(former) => makes_room(root, store, &at.path, from, former)?,
    };
    if !is_there {
        let content = zeroize::Zeroizing::new(files::read(root, from)?);
        files::replace(root, &at.path, &content, at.mode, ids_of(root, at.owner))?;
    }
    files::tighten(root, &at.path, ids_of(root, at.owner))?;
    files::remove(root, from)
}

/// Backs up the former key. Whether the staged key is in its place already.
///
/// # Errors
/// `Data` where another key is there: the staged one is not lost.
fn makes_room(
    root: &Root,
    store: &Store,
    path: &str,
    staged: &str,
    former: &str,
) -> Result<bool, Fault> {
    let Some((installed, content)) = key::load(root, path)? else { return Ok(false) };
    let found = installed.public().fingerprint();
    if found == former {
        store.back_up_content(path, &content, unix_now())?;
        return Ok(false);
    }
    match key::load(root, staged)? {
        Some((new, _)) if new.public() != installed.public() => {
            Err(key::other(staged, &root.shown(path), &found, former))
        }
        _ => Ok(true),
    }
}

/// Changes a file of the admin's, after a backup.
fn edit(
    root: &Root,
    store: &Store,
    at: &Place,
    change: impl FnOnce(&str) -> String,
) -> Result<(), Fault> {
    let former = files::existing(root, &at.path)?;
    let bytes = former.as_ref().map(|former| former.content.as_slice()).unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let todo = "convert it to UTF-8; it was not touched";
        let what = "the engine's settings are not UTF-8";
        Fault::new(Kind::Host, what, root.shown(&at.path), todo).because(&error)
    })?;
    let edited = change(text);
    // An existing file keeps its mode and owner.
    let (mode, owner) = match &former {
        Some(_) if edited == text => return Ok(()),
        Some(former) => {
            store.back_up_content(&at.path, &former.content, unix_now())?;
            (former.mode, Some(former.owner))
        }
        None => (at.mode, ids_of(root, at.owner)),
    };
    files::replace(root, &at.path, edited.as_bytes(), mode, owner)
}

fn hold(root: &Root, at: &Place, content: &str) -> Result<(), Fault> {
    // The agent may be disabled by the admin already. That file stays, and holds the agent too.
    if files::try_exists(root, &at.path)? {
        return Ok(());
    }
    files::replace(root, &at.path, content.as_bytes(), at.mode, ids_of(root, at.owner))
}

fn release(root: &Root, path: &str, content: &str) -> Result<(), Fault> {
    match files::read_if_there(root, path)? {
        Some(found) if found == content.as_bytes() => files::remove(root, path),
        Some(_) => {
            let path = root.shown(path);
            tracing::warn!(
                path,
                "this file disables the agent and is not from enlist; it stays, and the agent does not run"
            );
            Ok(())
        }
        None => Ok(()),
    }
}

/// Runs the engine once. The node has joined already, so a failed run is only logged; the engine will
/// run again by itself.
async fn first_run(root: &Root, run: &Run) {
    if !root.is_running_system() {
        tracing::info!(program = run.program, "no first run: --root is not the running system");
        return;
    }
    let program = match program::find(root, &[run.program], run.path.as_deref()) {
        Ok(Some(program)) => program,
        Ok(None) => {
            let path = run.path.as_deref();
            tracing::warn!(program = run.program, path, "no first run: it is not installed");
            return;
        }
        Err(fault) => {
            tracing::warn!(program = run.program, "no first run: {}", fault.line());
            return;
        }
    };
    let arguments: Vec<&str> = run.arguments.iter().map(String::as_str).collect();
    match process::run_outside_sandbox(&program, &arguments, RUN_LIMIT).await {
        Ok(ended) if ended.code.is_some_and(|code| run.succeeds_with.contains(&code)) => {
            tracing::info!(program = run.program, "the first run succeeded");
        }
        Ok(ended) => {
            let known = run.failures.iter().find(|(code, _)| Some(*code) == ended.code);
            if let Some((code, todo)) = known {
                tracing::warn!(program = run.program, code, "the first run failed: {todo}");
                return;
            }
            let last =
                ended.stderr.lines().last().or(ended.stdout.lines().last()).unwrap_or_default();
            tracing::warn!(
                program = run.program,
                code = ended.code,
                last,
                "the first run failed; the engine will try again"
            );
        }
        Err(error) => {
            tracing::warn!(program = run.program, %error, "the first run could not be started");
        }
    }
}
