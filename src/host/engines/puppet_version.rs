//! Which version of Puppet is installed, by its files: asking it would start Ruby.

use crate::host::root::Root;

/// The file of the vendors' packages: the version, and nothing else.
const VENDOR: &str = "/opt/puppetlabs/puppet/VERSION";

/// Ruby's libraries of the distributions: Debian and Ubuntu, Fedora and EPEL.
const PACKAGED: [&str; 2] = [
    "/usr/lib/ruby/vendor_ruby/puppet/version.rb",
    "/usr/share/ruby/vendor_ruby/puppet/version.rb",
];

/// The version, such as `7.23.0`. None where no file says it.
pub fn installed(root: &Root) -> Option<String> {
    let vendor = root.line(VENDOR);
    vendor.or_else(|| PACKAGED.iter().find_map(|path| constant(&root.text(path)?)))
}

/// `PUPPETVERSION = '7.23.0'`.
fn constant(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("PUPPETVERSION"))?;
    let value = line.trim_start().strip_prefix('=')?.trim();
    let value = value.trim_matches(|c| c == '\'' || c == '"');
    Some(value.to_owned()).filter(|value| value.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::constant;

    #[test]
    fn the_constant_of_version_rb_is_read() {
        let text = "module Puppet\n  PUPPETVERSION = '5.5.22'\n\n  ##\n";
        assert_eq!(constant(text).as_deref(), Some("5.5.22"));
        assert_eq!(constant("  PUPPETVERSION = ENV['X']\n"), None);
        assert_eq!(constant(""), None);
    }
}
