//! The options that the agent's service gives it, where its unit is not known: `PUPPET_EXTRA_OPTS`, from
//! the files that the packages' unit reads.

use super::agent_settings::is_compared;
use super::reading::unquoted;

/// A file with options of the agent's service, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsFile {
    pub path: String,
    pub text: String,
}

/// An option of the agent's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOption {
    /// As an argument of Puppet: `--server=a`.
    pub argument: String,
    /// For messages: file, line and option.
    pub place: String,
}

/// The files from which the packages' units read options. systemd reads the first of these last.
pub const OPTIONS_FILES: [&str; 3] =
    ["/etc/default/puppet", "/etc/sysconfig/puppet", "/etc/sysconfig/puppetagent"];

/// The options of the agent's service that set compared settings. Puppet is asked with the same.
#[must_use]
pub fn service_options(files: &[OptionsFile]) -> Vec<ServiceOption> {
    // If several files set the variable, systemd uses the one that it reads last.
    let found = files.iter().find_map(|file| {
        let lines = file.text.lines().enumerate();
        let set = lines.filter_map(|(index, line)| {
            Some((index + 1, line.trim().strip_prefix("PUPPET_EXTRA_OPTS=")?))
        });
        set.last().map(|(line, value)| (file, line, unquoted(value.trim()).to_owned()))
    });
    let Some((file, line, value)) = found else { return Vec::new() };
    let place = format!("{}, line {line}: PUPPET_EXTRA_OPTS", file.path);
    options_in(value.split_whitespace(), &place)
}

/// The options among these words that set compared settings. `place` says where the words are.
pub(super) fn options_in<'a>(
    words: impl Iterator<Item = &'a str>,
    place: &str,
) -> Vec<ServiceOption> {
    let mut words = words.peekable();
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else { continue };
        let (name, given) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (
                option,
                words.peek().filter(|next| !next.starts_with('-')).map(|v| (*v).to_owned()),
            ),
        };
        if let Some(value) = given.filter(|_| is_compared(name)) {
            let place = format!("{place} has --{name} {value}");
            options.push(ServiceOption { argument: format!("--{name}={value}"), place });
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_service_are_found() {
        let file =
            |path: &str, text: &str| OptionsFile { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file(
                "/etc/default/puppet",
                "# x\nPUPPET_EXTRA_OPTS=\"--server q --verbose --ca_port=9\"\n",
            ),
            file("/etc/sysconfig/puppet", "PUPPET_EXTRA_OPTS=--server=r\n"),
        ];
        let options = service_options(&files);
        let arguments: Vec<&str> = options.iter().map(|option| option.argument.as_str()).collect();
        assert_eq!(arguments, ["--server=q", "--ca_port=9"]);
        assert!(options[0].place.starts_with("/etc/default/puppet, line 2: "), "{:?}", options[0]);
    }
}
