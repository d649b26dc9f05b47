//! The service of Puppet's agent: the options and the environment that it gives it.

use std::collections::BTreeMap;

use crate::engines::puppet::service::{OPTIONS_FILES, OptionsFile, ServiceOption, service_options};
use crate::engines::puppet::unit::{self, Unit, Variables};
use crate::host::files;
use crate::host::root::Root;

/// The options: by the unit, or where there is none by the packages'.
pub fn options(root: &Root) -> Vec<ServiceOption> {
    match unit(root) {
        Some((unit, read)) => unit.options(&read),
        None => service_options(&packaged(root)),
    }
}

/// The environment variables, likewise.
pub fn variables(root: &Root) -> Variables {
    let (unit, read) = unit(root).unwrap_or_else(|| {
        // systemd reads the first one last.
        (Unit::default(), packaged(root).into_iter().rev().collect())
    });
    unit.variables(&read)
}

fn packaged(root: &Root) -> Vec<OptionsFile> {
    OPTIONS_FILES.into_iter().filter_map(|path| file(root, path)).collect()
}

/// The unit with its drop-ins, and its environment files.
fn unit(root: &Root) -> Option<(Unit, Vec<OptionsFile>)> {
    let mut directories = unit::DIRECTORIES.iter();
    let main =
        directories.find_map(|directory| file(root, &format!("{directory}/{}", unit::NAME)))?;
    // Of drop-ins with the same name, that of the first directory counts.
    let mut drop_ins = BTreeMap::new();
    for directory in unit::DIRECTORIES.map(|directory| format!("{directory}/{}.d", unit::NAME)) {
        for name in files::names(root, &directory).unwrap_or_default() {
            if name.strip_suffix(".conf").is_some() {
                drop_ins.entry(name).or_insert_with_key(|name| format!("{directory}/{name}"));
            }
        }
    }
    let drop_ins = drop_ins.values().filter_map(|path| file(root, path));
    let files: Vec<OptionsFile> = std::iter::once(main).chain(drop_ins).collect();
    let unit = Unit::parse(&files);
    let read = unit.environment_files.iter().filter_map(|path| file(root, path)).collect();
    Some((unit, read))
}

fn file(root: &Root, path: &str) -> Option<OptionsFile> {
    Some(OptionsFile { text: root.text(path)?, path: path.to_owned() })
}
