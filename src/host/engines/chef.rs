//! Chef on this machine: the files that chef-client reads after `client.rb`.

use std::io::ErrorKind;

use crate::engines::chef::client_rb::{self as settings, Source};
use crate::engines::chef::{ChefWanted, Product};
use crate::host::files;
use crate::host::program;
use crate::host::root::Root;
use crate::pki::certificate;

/// The product that is wanted, or else installed. None: it was not looked for, or neither is installed.
#[must_use]
pub fn product(root: &Root, wanted: ChefWanted) -> Option<Product> {
    let is_installed = |product: &Product| {
        program::find(root, &[product.program()], None).is_ok_and(|found| found.is_some())
    };
    match wanted {
        ChefWanted::No => None,
        ChefWanted::Known(product) => Some(product),
        ChefWanted::Find => [Product::Chef, Product::Cinc].into_iter().find(is_installed),
    }
}

/// What keeps Chef from using enlist's settings: file, line and setting. `file` has them: `client_rb`, or one
/// that is read after it.
#[must_use]
pub fn problems(root: &Root, client_rb: &str, file: &str, content: &str) -> Vec<String> {
    let mut found = match read_files(root, client_rb, file) {
        Ok(Files { earlier, ours, later }) => {
            let trusted = settings::trusted(content);
            let exists = |path: &str| {
                let ours = trusted.as_deref().and_then(|directory| path.strip_prefix(directory));
                ours.is_some_and(|name| name == "/enlist-ca.pem") || files::exists(root, path)
            };
            settings::conflicts(&earlier, &ours, &later, content, &exists)
        }
        Err(problem) => return vec![problem],
    };
    let trusted = settings::trusted(content);
    found.extend(trusted.iter().flat_map(|directory| no_certificates(root, directory)));
    found
}

/// Chef's files, in the order in which they are read.
struct Files {
    earlier: Vec<Source>,
    ours: Source,
    later: Vec<Source>,
}

/// # Errors
/// The file that can't be read, or the line because of which ours is not.
fn read_files(root: &Root, client_rb: &str, file: &str) -> Result<Files, String> {
    let read = |path: &str| match files::read_bounded(root, path, files::LARGEST) {
        Ok(content) => Ok(Some(Source::new(path, &content))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: it can't be read: {error}", root.shown(path))),
    };
    let has_own = file != client_rb;
    let first = match read(client_rb)? {
        Some(first) => first,
        None if has_own => {
            let why = "it does not exist, and chef-client looks for client.d beside it";
            return Err(format!("{}: {why}", root.shown(client_rb)));
        }
        None => Source::new(client_rb, b""),
    };
    let directory = settings::directory(&first)?;
    let own_directory = file.rsplit_once('/').map(|(directory, _)| directory);
    if has_own && directory.as_deref() != own_directory {
        let place = directory.map_or_else(|| "none".to_owned(), |path| root.shown(&path));
        return Err(format!(
            "{}: chef-client reads another client.d ({place}) than the one of enlist's file",
            root.shown(client_rb)
        ));
    }
    let mut later = Vec::new();
    if let Some(directory) = directory {
        let names = files::names(root, &directory).unwrap_or_default();
        for name in settings::read_in_order(names) {
            let path = format!("{directory}/{name}");
            // Chef leaves out what is not a file.
            if !files::is_directory(root, &path) {
                later.extend(read(&path)?);
            }
        }
    }
    if !has_own {
        return Ok(Files { earlier: Vec::new(), ours: first, later });
    }
    let ours = later.iter().position(|source| source.path == file).map(|at| later.remove(at));
    let ours = ours.unwrap_or_else(|| Source::new(file, b""));
    let after = later.iter().position(|source| source.path.as_str() > file);
    let after = later.split_off(after.unwrap_or(later.len()));
    let earlier = std::iter::once(first).chain(later).collect();
    Ok(Files { earlier, ours, later: after })
}

/// The files in this directory that Chef would read as certificates, and can't. It makes no request then
/// (its source, `http/ssl_policies.rb`).
fn no_certificates(root: &Root, directory: &str) -> Vec<String> {
    let mut names = files::names(root, directory).unwrap_or_default();
    names.retain(|name| {
        // As Ruby's `Dir` does: case-sensitive.
        [".pem", ".crt"].iter().any(|ending| name.strip_suffix(ending).is_some())
            && !name.starts_with('.')
            // These are written anew, and checked otherwise.
            && !name.starts_with("enlist-ca")
    });
    let problem = |name: String| {
        let path = format!("{directory}/{name}");
        let content = files::read_bounded(root, &path, files::LARGEST);
        let is_certificate = content.is_ok_and(|content| certificate::is_certificate(&content));
        let why = "Chef can't read a certificate from this file, and then trusts no server";
        (!is_certificate).then(|| format!("{}: {why}", root.shown(&path)))
    };
    names.into_iter().filter_map(problem).collect()
}
