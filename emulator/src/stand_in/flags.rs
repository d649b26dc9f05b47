//! Flags in the manner of Go's `flag` package: one dash or two, `-name value` or `-name=value`.

use super::api::Activation;

pub const USAGE: &str = "\n\
    Usage of the stand-in for amazon-ssm-agent:\n\
    \t-register\tregister this machine as a managed instance\n\
    \t\t-id    \tthe activation's ID  \t(required)\n\
    \t\t-code  \tthe activation's code\t(required)\n\
    \t\t-region\tthe region           \t(required)\n\
    \n\t\t-clear\tforget the registration\n\
    \n\t-y\tanswer every question with yes";

/// What was asked for.
#[derive(Debug, Default)]
pub struct Flags {
    pub register: bool,
    pub clear: bool,
    pub yes: bool,
    id: String,
    code: String,
    region: String,
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
            let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                break;
            };
            if flag == "-" {
                break;
            }
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, value) = flag.split_once('=').map_or((flag, None), |(n, v)| (n, Some(v)));
            if let Some(truth) = flags.truth(name) {
                let value = value.unwrap_or("true");
                *truth = value.parse().map_err(|_| format!("invalid boolean for -{name}"))?;
                continue;
            }
            let unknown = || format!("flag provided but not defined: -{name}");
            let text = flags.text(name).ok_or_else(unknown)?;
            let given = value.or_else(|| rest.next().map(String::as_str));
            let missing = || format!("flag needs an argument: -{name}");
            given.ok_or_else(missing)?.clone_into(text);
        }
        Ok(flags)
    }

    /// The activation, when it is all there.
    pub fn activation(&self) -> Option<Activation<'_>> {
        let Self { id, code, region, .. } = self;
        let complete = ![id, code, region].iter().any(|text| text.is_empty());
        complete.then_some(Activation { id, code, region })
    }

    fn truth(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "register" => Some(&mut self.register),
            "clear" => Some(&mut self.clear),
            "y" => Some(&mut self.yes),
            _ => None,
        }
    }

    fn text(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "id" => Some(&mut self.id),
            "code" => Some(&mut self.code),
            "region" => Some(&mut self.region),
            _ => None,
        }
    }
}
