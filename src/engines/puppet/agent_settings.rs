//! Compares the settings that the Puppet agent uses with those that it must use.
//!
//! There are two sources: `puppet.conf`, which is quick to read, and `puppet config print`, which is
//! slow and authoritative. One line in `puppet.conf` that Puppet does not understand makes it ignore
//! the whole file and use its defaults. It reports that only on standard error.

use std::collections::BTreeMap;

use super::reading::value_of;
use super::service::ServiceOption;
use super::{PuppetSite, conf};

/// Puppet's own port.
const PORT: &str = "8140";

/// Settings whose default derives from another setting, and that setting.
const MADE_OF: [(&str, &str); 8] = [
    ("ca_server", "server"),
    ("ca_port", "serverport"),
    ("serverport", "masterport"),
    ("hostcert", "certdir"),
    ("localcacert", "certdir"),
    ("hostprivkey", "privatekeydir"),
    ("hostcsr", "requestdir"),
    ("config", "confdir"),
];

/// What the agent must use once this node has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub site: PuppetSite,
    /// `host` or `host:port`. An IPv6 address has brackets.
    pub endpoint: String,
    pub name: String,
    /// None: any.
    pub environment: Option<String>,
}

/// A setting with another value than it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub setting: &'static str,
    pub wanted: String,
    pub found: String,
}

/// A setting that must be changed, for messages: `/etc/puppet/puppet.conf, line 7: server = a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

/// The output of `puppet config print`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub values: BTreeMap<String, String>,
    /// Puppet's error message, where it ignores its settings.
    pub complaint: Option<String>,
}

impl Expected {
    #[must_use]
    pub fn conf(&self) -> String {
        format!("{}/puppet.conf", self.site.confdir)
    }

    /// Without the brackets of an IPv6 address, which Puppet adds itself.
    fn host(&self) -> &str {
        self.parts().0
    }

    fn port(&self) -> &str {
        self.parts().1.unwrap_or(PORT)
    }

    fn parts(&self) -> (&str, Option<&str>) {
        if let Some((host, rest)) =
            self.endpoint.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            return (host, rest.strip_prefix(':'));
        }
        match self.endpoint.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (&self.endpoint, None),
        }
    }

    /// The settings that must be in `puppet.conf`.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut values = vec![("server", self.host().to_owned()), ("certname", self.name.clone())];
        if self.port() != PORT {
            values.push(("serverport", self.port().to_owned()));
        }
        if let Some(environment) = &self.environment {
            values.push(("environment", environment.clone()));
        }
        values
    }

    /// The settings that must have these values where `puppet.conf` has them.
    #[must_use]
    pub fn overriding(&self) -> Vec<(&'static str, String)> {
        let (host, port) = (self.host(), self.port());
        vec![
            ("serverport", port.to_owned()),
            ("masterport", port.to_owned()),
            ("ca_server", host.to_owned()),
            ("ca_port", port.to_owned()),
            ("server_list", format!("{host}:{port}")),
            ("use_srv_records", "false".to_owned()),
        ]
    }

    /// The paths of the files, each with the setting that gives it.
    fn places(&self) -> Vec<(&'static str, String)> {
        let ssl = |rest: &str| format!("{}/{rest}", self.site.ssldir);
        let pem = format!("{}.pem", self.name);
        vec![
            ("config", self.conf()),
            ("ssldir", self.site.ssldir.clone()),
            ("hostprivkey", ssl(&format!("private_keys/{pem}"))),
            ("hostcert", ssl(&format!("certs/{pem}"))),
            ("hostcsr", ssl(&format!("certificate_requests/{pem}"))),
            ("localcacert", ssl("certs/ca.pem")),
            ("hostcrl", ssl("crl.pem")),
        ]
    }

    fn all(&self) -> Vec<(&'static str, String)> {
        let mut all = self.settings();
        for (name, value) in self.overriding().into_iter().chain(self.places()) {
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name, value));
            }
        }
        all
    }

    /// The settings in Puppet's output that have other values than they must have.
    #[must_use]
    pub fn differences(&self, printed: &Printed) -> Vec<Difference> {
        let value = |name: &str| printed.values.get(name).map_or("", String::as_str);
        let differs = |(setting, wanted): (&'static str, String)| {
            let found = value(setting);
            let is_well = found == wanted
                || match setting {
                    // Empty: not set. A name without a port uses `serverport`.
                    "server_list" => found.is_empty() || found == self.host(),
                    // Agents before version 7 know only masterport, later ones use only serverport.
                    "serverport" => found.is_empty(),
                    "masterport" => !value("serverport").is_empty(),
                    _ => false,
                };
            (!is_well).then(|| Difference { setting, wanted, found: found.to_owned() })
        };
        self.all().into_iter().filter_map(differs).collect()
    }

    /// The problems that `puppet.conf` itself shows, for where Puppet can't be asked. A value that
    /// contains a variable is not judged. Each has the setting that corrects it.
    #[must_use]
    pub fn read(&self, text: &str) -> Vec<((&'static str, String), Problem)> {
        let needed = self.settings();
        let is_needed = |name: &str| needed.iter().any(|(known, _)| *known == name);
        // A line in puppet.conf can't change which file Puppet reads.
        let all = self.all().into_iter().filter(|(name, _)| *name != "config");
        let problems = all.filter_map(|(setting, wanted)| {
            let Some((line, value)) = value_of(text, setting) else {
                let missing = format!("{}: {setting} = {wanted} is missing", self.conf());
                return is_needed(setting).then_some(((setting, wanted), Problem(missing)));
            };
            let is_well = value == wanted
                || value.contains('$')
                || (setting == "server_list" && (value.is_empty() || value == self.host()));
            let problem = || self.problem(line, &format!("{setting} = {value}"));
            (!is_well).then(|| ((setting, wanted), problem()))
        });
        problems.collect()
    }

    fn problem(&self, line: usize, what: &str) -> Problem {
        Problem(format!("{}, line {line}: {what}", self.conf()))
    }

    /// The line or option that causes a difference.
    #[must_use]
    pub fn blame(&self, difference: &Difference, text: &str, options: &[ServiceOption]) -> Problem {
        let Difference { setting, wanted, found } = difference;
        let names = std::iter::successors(Some(*setting), |name| {
            MADE_OF.iter().find(|(made, _)| made == name).map(|(_, of)| *of)
        });
        let names: Vec<&str> = names.chain(["ssldir"]).collect();
        let option = names.iter().find_map(|name| {
            let given =
                |option: &&ServiceOption| option.argument.starts_with(&format!("--{name}="));
            options.iter().find(given)
        });
        if let Some(option) = option {
            return Problem(option.place.clone());
        }
        match names.iter().find_map(|name| value_of(text, name).map(|value| (name, value))) {
            Some((name, (line, value))) => self.problem(line, &format!("{name} = {value}")),
            None => Problem(format!(
                "{}: Puppet uses {setting} = {found}, and it must be {wanted}",
                self.conf()
            )),
        }
    }

    /// The line that Puppet complains about. The complaint does not name the line, so it is found by
    /// the setting's name or the variable in its value.
    #[must_use]
    pub fn blame_complaint(&self, complaint: &str, text: &str) -> Option<String> {
        let is_meant = |name: &str, value: &str| {
            let variable = value.split_once('$').map(|(_, rest)| {
                rest.trim_start_matches('{')
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .next()
            });
            complaint.contains(&format!("'{name}'"))
                || complaint.contains(&format!("{} value", name.replace('_', " ")))
                || variable
                    .flatten()
                    .is_some_and(|variable| complaint.contains(&format!("${variable}")))
                || (name == "certname" && complaint.contains("Certificate names"))
        };
        let mut lines = text.lines().enumerate();
        lines.find_map(|(index, line)| {
            let (name, value) = conf::setting(line)?;
            is_meant(name, value)
                .then(|| format!("{}: {complaint}", self.problem(index + 1, line.trim()).0))
        })
    }

    /// The settings that would correct the differences, where enlist may set them.
    #[must_use]
    pub fn corrections(&self, differences: &[Difference]) -> Vec<(&'static str, String)> {
        // A line in puppet.conf can't change which file Puppet reads.
        let ours = differences.iter().filter(|difference| difference.setting != "config");
        ours.map(|difference| (difference.setting, difference.wanted.clone())).collect()
    }
}

/// The arguments with which this node's Puppet is asked.
#[must_use]
pub fn arguments(options: &[ServiceOption], no_code: &str) -> Vec<String> {
    // The account puppet owns the files that Puppet synchronises from its server. Some are code, which
    // root must not run just to ask for settings.
    let without_code = ["libdir", "factpath", "environmentpath", "basemodulepath"];
    let mut all: Vec<String> =
        ["config", "print", "--section", "agent", "--color", "false"].map(str::to_owned).to_vec();
    all.extend(without_code.map(|name| format!("--{name}={no_code}")));
    all.extend(options.iter().map(|option| option.argument.clone()));
    all.extend(ASKED.map(str::to_owned));
    all
}

const ASKED: [&str; 22] = [
    "server",
    "serverport",
    "masterport",
    "ca_server",
    "ca_port",
    "server_list",
    "use_srv_records",
    "certname",
    "environment",
    "ssldir",
    "hostprivkey",
    "hostcert",
    "hostcsr",
    "localcacert",
    "hostcrl",
    "config",
    "confdir",
    "statedir",
    "agent_disabled_lockfile",
    "csr_attributes",
    "trusted_oid_mapping_file",
    // Not compared: Puppet refuses other values than its own.
    "certificate_revocation",
];

/// Whether a setting is compared, or a compared one derives from it.
pub(super) fn is_compared(name: &str) -> bool {
    ASKED.contains(&name) || MADE_OF.iter().any(|(_, of)| *of == name)
}

/// Every setting that enlist may set in `puppet.conf`, and removes again when the node leaves.
pub const OURS: [&str; 17] = [
    "server",
    "certname",
    "serverport",
    "environment",
    "masterport",
    "ca_server",
    "ca_port",
    "server_list",
    "use_srv_records",
    "ssldir",
    "hostprivkey",
    "hostcert",
    "hostcsr",
    "localcacert",
    "hostcrl",
    "csr_attributes",
    "trusted_oid_mapping_file",
];

/// Parses the output of `puppet config print`. `code` is its exit code.
#[must_use]
pub fn parse(stdout: &str, stderr: &str, code: Option<i32>) -> Printed {
    let lines = stdout.lines().filter_map(|line| line.split_once('='));
    let known = |value: &str| {
        Some(value.trim()).filter(|value| *value != "undefined").unwrap_or("").to_owned()
    };
    let values = lines.map(|(name, value)| (name.trim().to_owned(), known(value))).collect();
    let errors = stderr.split("Error: ").skip(1);
    let error = errors.map(|error| error.split_whitespace().collect::<Vec<_>>().join(" ")).next();
    let failed = || Some("puppet config print failed".to_owned()).filter(|_| code != Some(0));
    Printed { values, complaint: error.or_else(failed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let site = PuppetSite {
            confdir: "/etc/puppet".to_owned(),
            ssldir: "/s".to_owned(),
            statedir: "/st".to_owned(),
            ..PuppetSite::default()
        };
        Expected { site, endpoint: "p.example".to_owned(), name: "n".to_owned(), environment: None }
    }

    /// As Puppet 7 prints it where every setting is correct.
    const PRINTED: &str = "ca_port = 8140\nca_server = p.example\ncertname = n\nconfig = /etc/puppet/puppet.conf\nhostcert = /s/certs/n.pem\nhostcrl = /s/crl.pem\nhostcsr = /s/certificate_requests/n.pem\nhostprivkey = /s/private_keys/n.pem\nlocalcacert = /s/certs/ca.pem\nmasterport = 8140\nserver = p.example\nserver_list = \nserverport = 8140\nssldir = /s\nuse_srv_records = false\n";

    #[test]
    fn correct_settings_show_no_difference() {
        let printed = parse(PRINTED, "Warning: an old Ruby\n", Some(0));
        assert_eq!((expected().differences(&printed), printed.complaint), (Vec::new(), None));
        // An agent of version 5 knows no serverport.
        let old = PRINTED.replace("serverport = 8140", "serverport = ");
        assert!(expected().differences(&parse(&old, "", Some(0))).is_empty());
        let port = old.replace("masterport = 8140", "masterport = 9");
        assert_eq!(expected().differences(&parse(&port, "", Some(0))).len(), 1);
    }

    #[test]
    fn a_difference_is_traced_to_its_line() {
        let text = "[main]\nssldir = /s\n[agent]\ncertdir = /elsewhere\n";
        let printed = PRINTED.replace("/s/certs/ca.pem", "/elsewhere/ca.pem");
        let expected = expected();
        let found = expected.differences(&parse(&printed, "", Some(0)));
        let [difference] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            expected.blame(difference, text, &[]).0,
            "/etc/puppet/puppet.conf, line 4: certdir = /elsewhere"
        );
        assert_eq!(expected.corrections(&found), [("localcacert", "/s/certs/ca.pem".to_owned())]);
    }

    #[test]
    fn errors_are_read_and_warnings_are_not() {
        let error = "Error: Could not parse /etc/puppet/puppet.conf: Could not match line [main\n (file: /etc/puppet/puppet.conf, line: 1)";
        let complaint = parse("", error, Some(0)).complaint.unwrap();
        assert!(complaint.contains("line [main (file: /etc/puppet/puppet.conf, line: 1)"));
        assert!(parse("", "", Some(1)).complaint.is_some());
    }

    #[test]
    fn the_text_alone_shows_overriding_settings() {
        let well = "[main]\nserver = p.example\ncertname = n\n";
        assert!(expected().read(well).is_empty());
        for (more, line) in [
            ("[agent]\nserver = q\n", 5),
            ("[agent]\nserver_list = q:8140\n", 5),
            ("ca_server = q\n", 4),
            ("ca_port = 9\n", 4),
            ("masterport = 9\n", 4),
            ("[agent]\nserverport = 9\n", 5),
            ("use_srv_records = true\n", 4),
            ("[agent]\ncertname = other\n", 5),
            ("[agent]\nserver = p.example # ours\n", 5),
            ("ssldir = /elsewhere\n", 4),
            ("[agent]\nhostprivkey = /elsewhere/key.pem\n", 5),
        ] {
            let found = expected().read(&format!("{well}{more}"));
            let [(_, Problem(problem))] = found.as_slice() else { panic!("{more:?}: {found:?}") };
            assert!(
                problem.starts_with(&format!("/etc/puppet/puppet.conf, line {line}: ")),
                "{problem}"
            );
        }
        assert!(expected().read(&format!("{well}ssldir = $vardir/ssl\n")).is_empty());
        assert_eq!(expected().read("[main]\n").len(), 2);
    }
}
