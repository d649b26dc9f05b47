//! The crates that are linked into the program, their licences, and the texts of these.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Outcome;

/// The platform of the packages. The dependencies on the other platform are the same.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A crate that is linked in.
pub struct Linked {
    name: String,
    version: String,
    licence: String,
    authors: String,
    /// The directory of its sources.
    directory: String,
}

/// All crates that the program depends on at run time, directly or indirectly.
pub fn linked() -> Outcome<Vec<Linked>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET];
    let output = Command::new(cargo).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let ours = packages.values().find(|package| package["name"] == "enlist");
    let ours = ours.and_then(|package| package["id"].as_str()).ok_or("no package enlist")?;
    let mut seen = BTreeSet::new();
    let mut open = vec![ours];
    while let Some(id) = open.pop() {
        if is_macro(packages.get(id)) || !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).and_then(|node| node["deps"].as_array());
        let linked = dependencies.into_iter().flatten().filter(|dependency| {
            let kinds = dependency["dep_kinds"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        });
        open.extend(linked.filter_map(|dependency| dependency["pkg"].as_str()));
    }
    seen.remove(ours);
    let mut crates: Vec<Linked> = seen
        .into_iter()
        .filter_map(|id| packages.get(id))
        .map(|package| linked_of(package))
        .collect();
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(crates)
}

/// The copyright file, in the format of Debian.
pub fn copyright(crates: &[Linked]) -> String {
    let mut text = String::from(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: enlist\n\
         Comment: The program is linked with the crates below. The texts of their licences are in\n \
         /usr/share/doc/enlist/third-party-licences.gz.\n\n\
         Files: *\nCopyright: 2026 the authors of enlist\nLicense: Apache-2.0\n",
    );
    let mut by_terms: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for one in crates {
        let files = by_terms.entry((&one.licence, &one.authors)).or_default();
        files.push(format!("{}-{}/*", one.name, one.version));
    }
    let mut short = BTreeSet::new();
    for ((licence, authors), files) in by_terms {
        let terms = terms(licence);
        let files = files.join("\n ");
        let _ = write!(text, "\nFiles: {files}\nCopyright: {authors}\nLicense: {terms}\n");
        short.insert(terms);
    }
    for terms in short.iter().filter(|terms| *terms != "Apache-2.0") {
        let _ = write!(
            text,
            "\nLicense: {terms}\n Each under the name that SPDX gives it; whole in\n /usr/share/doc/enlist/third-party-licences.gz\n"
        );
    }
    text.push_str(
        "\nLicense: Apache-2.0\n On Debian systems, the text is in\n /usr/share/common-licenses/Apache-2.0.\n",
    );
    text
}

/// Every text once, with the crates that contain it.
pub fn texts(crates: &[Linked]) -> Outcome<String> {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates {
        let found = licence_files(Path::new(&one.directory))?;
        if found.is_empty() {
            let none = format!("(The crate comes without a text; it is under {}.)\n", one.licence);
            owners.entry(none).or_default().push(format!("{} {}", one.name, one.version));
        }
        for file in found {
            let text = String::from_utf8_lossy(&fs::read(file)?).replace("\r\n", "\n");
            owners.entry(text).or_default().push(format!("{} {}", one.name, one.version));
        }
    }
    // In the order of the crates, so that one can be found.
    let mut sections: Vec<(String, String)> =
        owners.into_iter().map(|(text, owners)| (owners.join(", "), text)).collect();
    sections.sort();
    let line = "=".repeat(80);
    Ok(sections
        .iter()
        .map(|(owners, text)| format!("{line}\n{owners}\n{line}\n{}\n\n", text.trim_end()))
        .collect())
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| Some((entry["id"].as_str()?, entry))).collect()
}

/// Whether it is a macro, which runs in the compiler and is not linked into the program.
fn is_macro(package: Option<&&Value>) -> bool {
    let targets = package.and_then(|package| package["targets"].as_array());
    targets.into_iter().flatten().any(|target| target["kind"][0] == "proc-macro")
}

fn linked_of(package: &Value) -> Linked {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = text(&package["manifest_path"]);
    let authors: Vec<String> =
        package["authors"].as_array().into_iter().flatten().map(text).collect();
    let name = text(&package["name"]);
    Linked {
        authors: if authors.is_empty() {
            format!("the authors of {name}")
        } else {
            authors.join(", ")
        },
        version: text(&package["version"]),
        licence: text(&package["license"]),
        directory: manifest.trim_end_matches("/Cargo.toml").to_owned(),
        name,
    }
}

/// An SPDX expression as Debian's format writes it.
fn terms(licence: &str) -> String {
    licence.replace('/', " or ").replace(" OR ", " or ").replace(" AND ", " and ")
}

fn licence_files(directory: &Path) -> Outcome<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_text = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"]
            .iter()
            .any(|word| name.starts_with(word));
        if is_text && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
