//! Flags in the manner of Go's `flag` package: one dash or two, `-name value` or `-name=value`.

use std::collections::BTreeMap;

use super::api::Activation;

pub const USAGE: &str = "\n\
    Usage of the fake amazon-ssm-agent:\n\
    \t-register\tregister this machine as a managed instance\n\
    \t\t-id    \tthe activation's ID  \t(required)\n\
    \t\t-code  \tthe activation's code\t(required)\n\
    \t\t-region\tthe region           \t(required)\n\
    \n\t\t-clear\tforget the registration\n\
    \n\t-y\tanswer every question with yes";

/// Flags that are true or false. The similarity is that of hardware, of which there is none here.
const SWITCHES: [&str; 5] = ["register", "clear", "y", "version", "disableSimilarityCheck"];
const TEXTS: [&str; 3] = ["id", "code", "region"];

/// What was asked for.
#[derive(Debug, Default)]
pub struct Flags {
    switches: BTreeMap<&'static str, bool>,
    texts: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Reads flags up to the first argument that is none.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let flag = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            let Some(flag) = flag.filter(|flag| !flag.is_empty()) else {
                break;
            };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(n, v)| (n, Some(v)));
            if let Some(name) = known(&SWITCHES, name) {
                let truth = value.unwrap_or("true").parse();
                flags
                    .switches
                    .insert(name, truth.map_err(|_| format!("-{name} is either true or false"))?);
            } else if let Some(name) = known(&TEXTS, name) {
                let value = value.or_else(|| rest.next().map(String::as_str));
                let value = value.ok_or_else(|| format!("-{name} needs an argument"))?;
                flags.texts.insert(name, value.to_owned());
            } else {
                return Err(format!("there is no flag -{name}"));
            }
        }
        Ok(flags)
    }

    /// Whether a switch is on.
    pub fn is(&self, name: &str) -> bool {
        self.switches.get(name).copied().unwrap_or_default()
    }

    /// The activation, when it is all there.
    pub fn activation(&self) -> Option<Activation<'_>> {
        let text =
            |name: &str| self.texts.get(name).map(String::as_str).filter(|text| !text.is_empty());
        Some(Activation { id: text("id")?, code: text("code")?, region: text("region")? })
    }
}

fn known(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}
