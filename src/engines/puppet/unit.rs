//! The agent's systemd unit with its drop-ins: which options it starts Puppet with, and from which files
//! it reads variables (systemd.unit(5), systemd.service(5), systemd.exec(5)).

use std::collections::BTreeMap;

use super::reading::unquoted;
use super::service::{OptionsFile, ServiceOption, options_in};

/// Where units are, the first one counts.
pub const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The unit of every package.
pub const NAME: &str = "puppet.service";

/// A value, and the file and the line that give it.
type Placed = (String, String);

/// Environment variables.
pub type Variables = BTreeMap<String, Placed>;

/// What decides the agent's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    commands: Vec<Placed>,
    environment: Variables,
    /// In the order in which they are read; a later one overrides.
    pub environment_files: Vec<String>,
}

impl Unit {
    /// Reads the unit's file, and then its drop-ins.
    #[must_use]
    pub fn parse(files: &[OptionsFile]) -> Self {
        let mut unit = Self::default();
        for file in files {
            let (mut is_service, mut joined, mut begun) = (false, String::new(), 0);
            for (index, line) in file.text.lines().enumerate() {
                if joined.is_empty() {
                    begun = index + 1;
                }
                // A comment between two parts of a line is left out.
                if line.trim_start().starts_with(['#', ';']) {
                    continue;
                }
                if let Some(part) = line.strip_suffix('\\') {
                    joined.extend([part, " "]);
                    continue;
                }
                let whole = std::mem::take(&mut joined) + line;
                if whole.starts_with('[') {
                    is_service = whole.trim() == "[Service]";
                } else if let Some((name, value)) = whole.split_once('=').filter(|_| is_service) {
                    let place = format!("{}, line {begun}", file.path);
                    unit.set(name.trim(), value.trim(), place);
                }
            }
        }
        unit
    }

    /// An empty value removes the earlier ones.
    fn set(&mut self, name: &str, value: &str, place: String) {
        match (name, value) {
            ("ExecStart", "") => self.commands.clear(),
            ("ExecStart", command) => self.commands.push((command.to_owned(), place)),
            ("Environment", "") => self.environment.clear(),
            ("Environment", value) => {
                for (name, value) in assignments(value) {
                    self.environment.insert(name, (value, place.clone()));
                }
            }
            ("EnvironmentFile", "") => self.environment_files.clear(),
            ("EnvironmentFile", path) => {
                self.environment_files.push(path.trim_start_matches('-').to_owned());
            }
            _ => {}
        }
    }

    /// The service's environment. `read` are the environment files that exist.
    #[must_use]
    pub fn variables(&self, read: &[OptionsFile]) -> Variables {
        let mut environment = self.environment.clone();
        for file in read {
            for (index, line) in file.text.lines().enumerate() {
                let line = line.trim();
                let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
                else {
                    continue;
                };
                let place = format!("{}, line {}", file.path, index + 1);
                let value = unquoted(value.trim()).to_owned();
                environment.insert(name.trim().to_owned(), (value, place));
            }
        }
        environment
    }

    /// The options of the agent that set compared settings. `read` are the environment files that exist.
    #[must_use]
    pub fn options(&self, read: &[OptionsFile]) -> Vec<ServiceOption> {
        let environment = self.variables(read);
        let agents = self.commands.iter().filter(|(command, _)| {
            let mut words = command.split_whitespace();
            words.next().is_some_and(|program| program.ends_with("puppet"))
                && words.next() == Some("agent")
        });
        let mut options = Vec::new();
        for (command, place) in agents {
            let mut own = Vec::new();
            for word in command.split_whitespace() {
                let name = word.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
                match name.and_then(|name| Some((name, environment.get(name)?))) {
                    Some((name, (value, place))) => {
                        let place = format!("{place}: {name}");
                        options.extend(options_in(value.split_whitespace(), &place));
                    }
                    None if name.is_none() => own.push(word),
                    None => {}
                }
            }
            let place = format!("{place}: ExecStart");
            options.extend(options_in(own.iter().map(|word| unquoted(word)), &place));
        }
        options
    }
}

/// `A=b "C=d e"`.
fn assignments(value: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), value.trim_start());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                inside.split_once(first).unwrap_or((inside, ""))
            }
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        let assigned = word.split_once('=');
        found.extend(assigned.map(|(name, value)| (name.to_owned(), unquoted(value).to_owned())));
        rest = after.trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{OptionsFile, Unit};

    const PACKAGED: &str = "[Unit]\nDescription=x\n[Service]\nEnvironmentFile=-/etc/sysconfig/puppet\nEnvironmentFile=-/etc/default/puppet\nExecStart=/usr/bin/puppet agent $PUPPET_EXTRA_OPTS --no-daemonize\n";

    fn options(drop_in: &str, environment: &str) -> Vec<String> {
        let file =
            |path: &str, text: &str| OptionsFile { path: path.to_owned(), text: text.to_owned() };
        let unit = Unit::parse(&[file("/u", PACKAGED), file("/d", drop_in)]);
        let options = unit.options(&[file("/e", environment)]);
        options.into_iter().map(|option| option.place).collect()
    }

    #[test]
    fn options_of_the_command_and_of_its_variables_are_found() {
        for (drop_in, environment, places) in [
            (
                "",
                "PUPPET_EXTRA_OPTS=\"--server q --verbose\"\n",
                &["/e, line 1: PUPPET_EXTRA_OPTS has --server q"][..],
            ),
            ("", "# PUPPET_EXTRA_OPTS=--server=q\nDAEMON_OPTS=--server=q\n", &[]),
            (
                "[Service]\nExecStart=\nExecStart=/opt/puppetlabs/bin/puppet agent --ssldir=/x \\\n  --config /y $DAEMON_OPTS\n",
                "\nDAEMON_OPTS=--server=q\n",
                &[
                    "/e, line 2: DAEMON_OPTS has --server q",
                    "/d, line 3: ExecStart has --ssldir /x",
                    "/d, line 3: ExecStart has --config /y",
                ],
            ),
            (
                "[Service]\nEnvironment=A=b \"PUPPET_EXTRA_OPTS=--server q\"\n",
                "",
                &["/d, line 2: PUPPET_EXTRA_OPTS has --server q"],
            ),
            // The file overrides the variable of the unit.
            ("[Service]\nEnvironment=PUPPET_EXTRA_OPTS=--server=q\n", "PUPPET_EXTRA_OPTS=\n", &[]),
            ("[Service]\nExecStart=\nExecStart=/usr/bin/other agent --server=q\n", "", &[]),
            ("[Unit]\nExecStart=/usr/bin/puppet agent --server=q\n", "", &[]),
            ("[Service]\n; ExecStart=/usr/bin/puppet agent --server=q\n\\\n", "", &[]),
        ] {
            assert_eq!(options(drop_in, environment), places, "{drop_in}{environment}");
        }
        let unit = Unit::parse(&[OptionsFile { path: "/u".to_owned(), text: PACKAGED.to_owned() }]);
        assert_eq!(unit.environment_files, ["/etc/sysconfig/puppet", "/etc/default/puppet"]);
    }
}
