//! Whether enlist's own lines in Chef's settings are still those that it wrote.

use super::statement::{self, Value};
use super::{License, block, check_organization, client_rb_of};
use crate::engines::Authority;

/// Settings that enlist always writes.
const ALWAYS: [&str; 4] = ["chef_server_url", "node_name", "client_key", "trusted_certs_dir"];

/// What a block was written for.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// The file with the block.
    pub path: &'a str,
    pub name: &'a str,
    pub authority: &'a Authority,
}

impl Written<'_> {
    /// The lines of the block that enlist did not write for this membership, and those that are missing,
    /// each with its file. Empty where there is no block.
    #[must_use]
    pub fn changed(&self, text: &str) -> Vec<String> {
        let Some(range) = block::range(text) else { return Vec::new() };
        let content = block::content(text).unwrap_or_default();
        let first = text.get(..range.start).unwrap_or_default().lines().count() + 2;
        let mut missing = ALWAYS.to_vec();
        let mut found = Vec::new();
        for (index, line) in content.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            match statement::of_line(line) {
                Some((name, value)) if self.is_own(name, &value) => {
                    missing.retain(|known| *known != name);
                }
                _ => found.push(format!(
                    "{}, line {}: {} is not what enlist wrote",
                    self.path,
                    first + index,
                    line.trim()
                )),
            }
        }
        if found.is_empty() {
            let place = |name| format!("{}: enlist's line with {name} is gone", self.path);
            found.extend(missing.into_iter().map(place));
        }
        found
    }

    fn is_own(&self, name: &str, value: &Value<'_>) -> bool {
        let text = match value {
            Value::Text(text) => text.as_str(),
            Value::Word(word) => return (name, *word) == ("use_policyfile", "true"),
            Value::Other => return false,
        };
        let client_rb = client_rb_of(self.path);
        let confdir = client_rb.rsplit_once('/').map_or("", |(confdir, _)| confdir);
        match name {
            "chef_server_url" => self.is_server(text),
            "node_name" => text == self.name,
            "client_key" => text == format!("{confdir}/client.pem"),
            "trusted_certs_dir" => text == format!("{confdir}/trusted_certs"),
            "chef_license" => text.parse::<License>().is_ok(),
            "policy_name" | "policy_group" | "environment" => true,
            _ => false,
        }
    }

    fn is_server(&self, found: &str) -> bool {
        match self.authority {
            Authority::ChefServer { url, .. } => found == url,
            Authority::Chef { endpoint, .. } => {
                let start = format!("https://{endpoint}/organizations/");
                found.strip_prefix(&start).is_some_and(|name| check_organization(name).is_ok())
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Written;
    use crate::engines::Authority;
    use crate::engines::chef::block;

    #[test]
    fn each_changed_line_is_found() {
        let authority = Authority::Chef { endpoint: "chef.example".to_owned(), ca: None };
        let written = Written { path: "/etc/chef/client.rb", name: "web1", authority: &authority };
        let lines = "chef_server_url 'https://chef.example/organizations/default'\nnode_name 'web1'\nclient_key '/etc/chef/client.pem'\ntrusted_certs_dir '/etc/chef/trusted_certs'\nchef_license 'accept'\n";
        let text = block::set("log_level :info\n", lines);
        assert_eq!(written.changed(&text), Vec::<String>::new());
        assert_eq!(written.changed("log_level :info\n"), Vec::<String>::new());
        for (before, after, word) in [
            ("chef.example", "other.example", "line 3"),
            ("'web1'", "'web2'", "line 4"),
            ("client.pem", "other.pem", "line 5"),
            ("'web1'", "ENV['NAME']", "line 4"),
            ("chef_license", "ssl_verify_mode", "line 7"),
            ("node_name 'web1'\n", "", "node_name is gone"),
        ] {
            let found = written.changed(&text.replace(before, after));
            assert!(found.len() == 1 && found[0].contains(word), "{after}: {found:?}");
        }
    }
}
