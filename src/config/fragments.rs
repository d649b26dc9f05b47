//! The files of settings: `enlist.toml`, and `*.toml` in three directories. Each overrides those that
//! are read before it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::input::{Input, Origin};
use super::{ConfigError, schema, values};

/// In the order in which they are read: settings of the distribution or the image, settings of this
/// boot, the admin's file, the admin's fragments.
const DIRECTORY_VENDOR: &str = "/usr/lib/enlist/config.d";
const DIRECTORY_BOOT: &str = "/run/enlist/config.d";
const MAIN_FILE: &str = "/etc/enlist/enlist.toml";
const DIRECTORY_ADMIN: &str = "/etc/enlist/config.d";

/// The largest file, in bytes. All settings at their longest take less than a tenth of it.
pub const LARGEST: u64 = 1024 * 1024;

/// What reads the files.
pub trait Source {
    /// The path as it is shown, with the prefix of `--root`.
    fn shown(&self, path: &str) -> String;
    /// The names in a directory, sorted; none if it does not exist.
    ///
    /// # Errors
    /// If it can't be read.
    fn names(&self, directory: &str) -> Result<Vec<String>, Unreadable>;
    /// The text of a file of at most [`LARGEST`] bytes; none if it does not exist.
    ///
    /// # Errors
    /// If it can't be read, or if somebody other than root and the user of this process can have
    /// written it.
    fn read(&self, path: &str) -> Result<Option<String>, Unreadable>;
}

/// Why a file can't be read, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub cause: String,
    pub todo: Option<String>,
}

/// Reads all files.
///
/// # Errors
/// For a file that can't be read or parsed.
pub fn read_all(source: &impl Source) -> Result<Input, ConfigError> {
    read_all_into(Input::looked_for_in(searched(source)), source)
}

fn searched(source: &impl Source) -> String {
    let searched = [DIRECTORY_VENDOR, DIRECTORY_BOOT, MAIN_FILE, DIRECTORY_ADMIN];
    searched.map(|path| source.shown(path)).join(", ")
}

/// Reads all files, and collects their errors.
///
/// # Errors
/// For a directory that can't be read.
pub fn collect_all(source: &impl Source) -> Result<Input, ConfigError> {
    read_all_into(Input::looked_for_in(searched(source)).collecting(), source)
}

fn read_all_into(mut input: Input, source: &impl Source) -> Result<Input, ConfigError> {
    for path in in_directory(source, DIRECTORY_VENDOR)?
        .into_iter()
        .chain(in_directory(source, DIRECTORY_BOOT)?)
        .chain([MAIN_FILE.to_owned()])
        .chain(in_directory(source, DIRECTORY_ADMIN)?)
    {
        let read = read_one(&mut input, source, &path).map(drop);
        input.tolerate(read)?;
    }
    Ok(input)
}

/// Reads one file only (`--config`).
///
/// # Errors
/// As [`read_all`]; also if the file does not exist.
pub fn read_only(source: &impl Source, path: &str) -> Result<Input, ConfigError> {
    let mut input = Input::looked_for_in(source.shown(path));
    if read_one(&mut input, source, path)? {
        return Ok(input);
    }
    let missing =
        Unreadable { cause: "No such file or directory (os error 2)".to_owned(), todo: None };
    Err(unreadable(source, path, missing))
}

/// The `*.toml` in a directory, by name. Hidden files are left out: editors make them.
fn in_directory(source: &impl Source, directory: &str) -> Result<Vec<String>, ConfigError> {
    let names = source.names(directory).map_err(|error| unreadable(source, directory, error))?;
    let is_fragment = |name: &String| {
        !name.starts_with('.')
            && std::path::Path::new(name).extension().is_some_and(|ending| ending == "toml")
    };
    Ok(names.into_iter().filter(is_fragment).map(|name| format!("{directory}/{name}")).collect())
}

/// Reads one file; false if it does not exist.
fn read_one(input: &mut Input, source: &impl Source, path: &str) -> Result<bool, ConfigError> {
    let text = source.read(path).map_err(|error| unreadable(source, path, error))?;
    let Some(text) = text else { return Ok(false) };
    add_text(input, &text, &source.shown(path))?;
    input.files.push(source.shown(path));
    Ok(true)
}

/// Adds the text of one file.
///
/// # Errors
/// For invalid TOML, unknown settings and values of the wrong form, with file and line.
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
        let added = add_table(input, table, value, here, &origin);
        input.tolerate(added)?;
    }
    Ok(())
}

fn add_table(
    input: &mut Input,
    table: &str,
    value: &Spanned<DeValue<'_>>,
    here: Origin,
    origin: &impl Fn(usize) -> Origin,
) -> Result<(), ConfigError> {
    if !schema::SETTINGS.iter().any(|key| key.table == table) {
        return Err(unknown_table(table, value, here));
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
        let added = add_entry(input, table, name, value, origin);
        input.tolerate(added)?;
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
        None if !schema::tables_of(name.get_ref()).is_empty() => Err(ConfigError::Misplaced {
            origin: here,
            tables: schema::tables_of(name.get_ref()),
            key: dotted,
        }),
        None => Err(ConfigError::UnknownKey {
            origin: here,
            nearest: schema::nearest(&dotted),
            key: dotted,
        }),
    }
}

fn unknown_table(table: &str, value: &Spanned<DeValue<'_>>, origin: Origin) -> ConfigError {
    let tables = schema::tables_of(table);
    if !tables.is_empty() && !matches!(value.get_ref(), DeValue::Table(_)) {
        return ConfigError::Misplaced { origin, key: table.to_owned(), tables };
    }
    let known = schema::SETTINGS.iter().map(|key| key.table);
    let nearest = known
        .map(|known| (strsim::jaro_winkler(table, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.7)
        .map(|(_, known)| format!("[{known}]"));
    ConfigError::UnknownKey { origin, key: table.to_owned(), nearest }
}

fn unreadable(source: &impl Source, path: &str, error: Unreadable) -> ConfigError {
    ConfigError::Unreadable { path: source.shown(path), error }
}
