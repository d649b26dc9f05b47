//! Chef on this machine: the files that chef-client reads after `client.rb`.

use crate::engines::chef::client_rb::{self as settings, Source};
use crate::engines::chef::{ChefWanted, Product};
use crate::host::files;
use crate::host::program;
use crate::host::root::Root;

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

/// The lines that override enlist's settings: file, line and setting.
#[must_use]
pub fn problems(root: &Root, client_rb: &str, content: &str) -> Vec<String> {
    let text = root.text(client_rb).unwrap_or_default();
    let client_rb = Source { path: client_rb.to_owned(), text };
    let directory = settings::directory(&client_rb);
    let names = settings::read_in_order(files::names(root, &directory).unwrap_or_default());
    let later: Vec<Source> = names
        .into_iter()
        .filter_map(|name| {
            let path = format!("{directory}/{name}");
            Some(Source { text: root.text(&path)?, path })
        })
        .collect();
    settings::conflicts(&client_rb, &later, content)
}
