//! Fragments on disk: `*.toml`, read in the order of their weight.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::input::{Input, Origin};
use super::{ConfigError, schema, values};

/// Lightest first: the vendor's, this boot's, the admin's file, the admin's fragments.
const DIRECTORY_VENDOR: &str = "/usr/lib/enlist/config.d";
const DIRECTORY_BOOT: &str = "/run/enlist/config.d";
const MAIN_FILE: &str = "/etc/enlist/enlist.toml";
const DIRECTORY_ADMIN: &str = "/etc/enlist/config.d";

/// The largest fragment: every setting at its longest takes less than a tenth of it.
const LARGEST: u64 = 1024 * 1024;

/// Reads every fragment below the root.
///
/// # Errors
/// For what can't be read or is no such settings file.
pub fn read_all(at: impl Fn(&str) -> PathBuf) -> Result<Input, ConfigError> {
    let searched = [DIRECTORY_VENDOR, DIRECTORY_BOOT, MAIN_FILE, DIRECTORY_ADMIN]
        .map(|path| at(path).display().to_string());
    let mut input = Input::looked_for_in(searched.join(", "));
    let mut files = Vec::new();
    files.extend(in_directory(&at(DIRECTORY_VENDOR))?);
    files.extend(in_directory(&at(DIRECTORY_BOOT))?);
    files.extend(Some(at(MAIN_FILE)).filter(|path| path.exists()));
    files.extend(in_directory(&at(DIRECTORY_ADMIN))?);
    for file in files {
        read_one(&mut input, &file)?;
    }
    Ok(input)
}

/// Reads one file alone (`--config`).
///
/// # Errors
/// As [`read_all`]; that the file is missing is one too.
pub fn read_only(path: &Path) -> Result<Input, ConfigError> {
    let mut input = Input::looked_for_in(path.display().to_string());
    read_one(&mut input, path)?;
    Ok(input)
}

/// A directory's `*.toml`, by name; hidden files are editors'.
fn in_directory(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(directory, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_one(input: &mut Input, path: &Path) -> Result<(), ConfigError> {
    let text = read_text(path).map_err(|error| unreadable(path, &error))?;
    add_text(input, &text, &path.display().to_string())?;
    input.files.push(path.display().to_string());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "fragments on disk are what this room is for")]
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= LARGEST) {
        return Ok(text);
    }
    Err(io::Error::other(format!("it is larger than {} KiB", LARGEST / 1024)))
}

/// Adds one fragment's text.
///
/// # Errors
/// For bad TOML, unknown keys and values of the wrong form, with file and line.
pub fn add_text(input: &mut Input, text: &str, path: &str) -> Result<(), ConfigError> {
    let origin = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: text.get(..offset).unwrap_or(text).matches('\n').count() + 1,
    };
    let root = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        origin: origin(error.span().map_or(0, |span| span.start)),
        cause: error.message().to_owned(),
    })?;
    for (name, value) in root.get_ref() {
        let table = name.get_ref().as_ref();
        let here = origin(name.span().start);
        if !schema::KEYS.iter().any(|key| key.table == table) {
            return Err(unknown_table(table, here));
        }
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(ConfigError::Invalid {
                origin: here,
                key: table.to_owned(),
                found: format!("a value of type {}", value.get_ref().type_str()),
                allowed: format!("a table, [{table}]"),
            });
        };
        input.name_table(table, here);
        for (name, value) in entries {
            add_entry(input, table, name, value, &origin)?;
        }
    }
    Ok(())
}

fn add_entry(
    input: &mut Input,
    table: &str,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    origin: &impl Fn(usize) -> Origin,
) -> Result<(), ConfigError> {
    let here = origin(name.span().start);
    let dotted = format!("{table}.{}", name.get_ref());
    match schema::find(table, name.get_ref()) {
        Some(key) => {
            input.set(key, values::from_toml(key, value.get_ref(), &here)?, here);
            Ok(())
        }
        None => Err(ConfigError::UnknownKey {
            origin: here,
            nearest: schema::nearest(&dotted),
            key: dotted,
        }),
    }
}

fn unknown_table(table: &str, origin: Origin) -> ConfigError {
    let known = schema::KEYS.iter().map(|key| key.table);
    let nearest = known
        .map(|known| (strsim::jaro_winkler(table, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.7)
        .map(|(_, known)| format!("[{known}]"));
    ConfigError::UnknownKey { origin, key: table.to_owned(), nearest }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::Unreadable { path: path.display().to_string(), cause: error.to_string() }
}
