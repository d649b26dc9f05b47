//! The node's host name and fully qualified name.

use sysinfo::System;

use super::root::Root;
use crate::facts::host_name::{is_host_name, is_of_image};

/// Reads the host name and the fully qualified name. If the host has no name of its own yet, these
/// are its placeholder, such as `localhost`.
#[must_use]
pub fn read(root: &Root) -> (String, String) {
    let full = host_name(root);
    // An address has no first label.
    let is_address = full.parse::<std::net::IpAddr>().is_ok();
    let first = if is_address { None } else { full.split('.').next() };
    let hostname = first.unwrap_or(&full).to_owned();
    let fqdn = if is_host_name(&full) { fqdn(root, &full) } else { full };
    (hostname, fqdn)
}

/// The kernel's name or the configured one, whichever is first a usable name. With `--root`, the
/// name that is configured there, or the kernel's if there is no such file.
fn host_name(root: &Root) -> String {
    let file = root.text("/etc/hostname");
    let configured = file.as_deref().and_then(first_word);
    let running = System::host_name().ok().and_then(|name| first_word(&name));
    // The name that systemd gives a system that has none (os-release(5)).
    let release = super::facts::os_release(root);
    let fallback =
        release.as_deref().and_then(|text| super::facts::os_value(text, "DEFAULT_HOSTNAME"));
    let is_fallback = |name: &String| {
        configured.is_none() && fallback.as_ref().is_some_and(|known| known == name)
    };
    let running = running.filter(|name| !is_fallback(name));
    let known: Vec<&String> = if root.is_running_system() {
        running.iter().chain(&configured).collect()
    } else if file.is_some() {
        configured.iter().collect()
    } else {
        running.iter().collect()
    };
    let os = release.as_deref().and_then(|text| super::facts::os_value(text, "ID"));
    let os = os.unwrap_or_default();
    let usable = known.iter().find(|name| is_host_name(name) && !is_of_image(name, &os));
    usable.or_else(|| known.first()).map(|name| (*name).clone()).unwrap_or_default()
}

/// The name in /etc/hostname: comments, blank lines and a final dot are skipped (hostname(5)).
fn first_word(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let name = line.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

/// The name that the resolver would return, without DNS, which may not be up yet and would be slow
/// to fail: the name itself, the canonical name in /etc/hosts, or the domain of resolv.conf.
fn fqdn(root: &Root, name: &str) -> String {
    // `web1.localdomain` is a name without a domain.
    let (name, is_full) = match name.split_once('.') {
        Some((first, domain)) if !is_domain(domain) => (first, false),
        Some(_) => (name, true),
        None => (name, false),
    };
    if is_full {
        return name.to_owned();
    }
    from_hosts(root, name)
        .or_else(|| from_resolv_conf(root, name))
        .unwrap_or_else(|| name.to_owned())
}

fn from_hosts(root: &Root, name: &str) -> Option<String> {
    let text = root.text("/etc/hosts")?;
    let begin = format!("{}.", name.to_lowercase());
    text.lines().find_map(|line| {
        let names: Vec<&str> = line.split('#').next()?.split_whitespace().skip(1).collect();
        let is_ours = names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let longer = names.iter().map(|known| known.trim_end_matches('.')).find(|known| {
            let domain = known.to_lowercase();
            domain.strip_prefix(&begin).is_some_and(is_domain)
        });
        longer.filter(|_| is_ours).map(str::to_owned)
    })
}

fn from_resolv_conf(root: &Root, name: &str) -> Option<String> {
    let text = root.text("/etc/resolv.conf")?;
    // The last of `domain` and `search` wins (resolv.conf(5)). `search .` sets no domain.
    let domain = text.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("domain" | "search")).then(|| words.next())?
    })?;
    let domain = domain.trim_matches('.');
    is_domain(domain).then(|| format!("{name}.{domain}"))
}

/// Whether it is a domain, and not a placeholder such as `localdomain`.
fn is_domain(domain: &str) -> bool {
    !domain.is_empty() && is_host_name(domain)
}

#[cfg(test)]
mod tests {
    use super::{first_word, fqdn, from_hosts, from_resolv_conf};
    use crate::host::{Root, files};

    fn machine(path: &str, text: &str) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        files::make_directory(&root, "/etc", 0o755, None).unwrap();
        files::replace(&root, path, text.as_bytes(), 0o644, None).unwrap();
        (directory, root)
    }

    #[test]
    fn comments_blank_lines_and_a_final_dot_are_skipped() {
        assert_eq!(first_word("# set by hand\n\n web1. \n").as_deref(), Some("web1"));
        assert_eq!(first_word("# nothing\n.\n"), None);
        assert_eq!(first_word("\u{feff}web1\r\n").as_deref(), Some("web1"));
    }

    #[test]
    fn the_hosts_file_has_the_name_with_a_domain() {
        for (line, found) in [
            ("127.0.1.1 web1.example.org web1", Some("web1.example.org")),
            ("127.0.1.1 Web1.example.org WEB1", Some("Web1.example.org")),
            ("10.0.0.1 web1.example.org", None),
            ("127.0.1.1 web1.localdomain web1", None),
            ("127.0.1.1 web10.example.org web1", None),
            ("# 127.0.1.1 web1.example.org web1", None),
        ] {
            let (_directory, root) = machine("/etc/hosts", line);
            assert_eq!(from_hosts(&root, "web1").as_deref(), found, "{line}");
        }
    }

    #[test]
    fn a_placeholder_is_no_domain() {
        for (name, hosts, found) in [
            ("web1.localdomain", "", "web1"),
            ("web1.localdomain", "10.0.0.1 web1.example.org web1", "web1.example.org"),
            ("web1.localdomain4", "127.0.1.1 web1.localdomain web1", "web1"),
            ("web1.example.org", "10.0.0.1 web1.other.org web1", "web1.example.org"),
            ("web1", "", "web1"),
        ] {
            let (_directory, root) = machine("/etc/hosts", hosts);
            assert_eq!(fqdn(&root, name), found, "{name}, {hosts}");
        }
    }

    #[test]
    fn the_last_line_of_resolv_conf_wins() {
        for (text, found) in [
            ("domain a.example\nsearch b.example c.example\n", Some("web1.b.example")),
            ("search b.example\ndomain a.example.\n", Some("web1.a.example")),
            ("search .\n", None),
            ("nameserver 192.0.2.1\n", None),
        ] {
            let (_directory, root) = machine("/etc/resolv.conf", text);
            assert_eq!(from_resolv_conf(&root, "web1").as_deref(), found, "{text}");
        }
    }
}
