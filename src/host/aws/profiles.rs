//! The shared AWS configuration: the two files of profiles. Each value is checked when it is read.

use std::path::Path;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};
use futures_util::FutureExt;

use super::known_variables::Variables;
use super::value_rules::Rule;
use crate::fault::{Fault, Kind, deepest};

/// Reads a file; none if it does not exist.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Option<String>>;

const DEFAULT: &str = "default";

/// The keys of the selected profile that are used, besides those of credentials. All are checked,
/// also those that a variable overrides.
const KEYS: [(&str, Rule); 9] = [
    ("region", Rule::Region),
    ("endpoint_url", Rule::Endpoint),
    ("services", Rule::Line),
    ("ignore_configured_endpoint_urls", Rule::Switch),
    ("use_fips_endpoint", Rule::Switch),
    ("use_dualstack_endpoint", Rule::Switch),
    ("ec2_metadata_service_endpoint", Rule::Endpoint),
    ("ec2_metadata_service_endpoint_mode", Rule::Mode),
    ("ca_bundle", Rule::Path),
];

/// A value of a profile, and where it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileValue {
    pub value: String,
    /// The file and the profile.
    pub on: String,
}

struct File {
    path: String,
    sections: ProfileSet,
}

/// Both files, and the name of the selected profile.
pub struct Profiles {
    /// The credentials file first: it wins if both files have a key.
    files: Vec<File>,
    selected: String,
}

impl Profiles {
    /// Reads the files that exist.
    ///
    /// # Errors
    /// `Config` if a file can't be read or parsed, or if neither file has the profile that is named.
    pub fn load(
        variables: &Variables,
        asked: Option<&str>,
        read: ReadFile<'_>,
    ) -> Result<Self, Fault> {
        let places = [
            ("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials", EnvConfigFileKind::Credentials),
            ("AWS_CONFIG_FILE", "/.aws/config", EnvConfigFileKind::Config),
        ];
        let home = variables.get("HOME").map(|home| home.trim_end_matches('/'));
        let mut files = Vec::new();
        for (name, default, kind) in places {
            let path = match (variables.get(name), home) {
                (Some(path), Some(home)) => match path.strip_prefix("~/") {
                    Some(rest) => format!("{home}/{rest}"),
                    None => path.to_owned(),
                },
                (Some(path), None) => path.to_owned(),
                (None, Some(home)) => format!("{home}{default}"),
                (None, None) => continue,
            };
            files.extend(load_one(path, kind, read)?);
        }
        let named = match (asked, variables.get("AWS_PROFILE")) {
            (Some(name), _) => Some((name, "aws.profile")),
            (None, Some(name)) => Some((name, "AWS_PROFILE")),
            (None, None) => None,
        };
        let selected = named.map_or(DEFAULT, |(name, _)| name).to_owned();
        let profiles = Self { files, selected };
        if let Some((name, by)) = named.filter(|(name, _)| *name != DEFAULT)
            && !profiles.has(name)
        {
            return Err(profiles.missing(name, by));
        }
        for (key, rule) in KEYS {
            profiles.get(&profiles.selected, key, rule)?;
        }
        Ok(profiles)
    }

    #[must_use]
    pub fn selected(&self) -> &str {
        &self.selected
    }

    #[must_use]
    pub fn has(&self, profile: &str) -> bool {
        self.files.iter().any(|file| file.sections.get_profile(profile).is_some())
    }

    /// The fault for a profile that neither file has.
    #[must_use]
    pub fn missing(&self, name: &str, by: &str) -> Fault {
        let read: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let read = if read.is_empty() {
            "there is no AWS config or credentials file".to_owned()
        } else {
            read.join(", ")
        };
        let mut known: Vec<&str> =
            self.files.iter().flat_map(|file| file.sections.profiles()).collect();
        known.sort_unstable();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let todo = if name.contains(char::is_whitespace) {
            "give the profile a name without blanks: the AWS SDKs read no other".to_owned()
        } else {
            format!("correct {by} or add the profile; there are: {}", Rule::Line.shown(&known))
        };
        let what =
            format!("there is no AWS profile {:?}, which {by} names", Rule::Line.shown(name));
        Fault::new(Kind::Config, what, read, todo)
    }

    /// A key of a profile. An empty value counts as unset.
    ///
    /// # Errors
    /// `Config` if the value is malformed.
    pub fn get(&self, profile: &str, key: &str, rule: Rule) -> Result<Option<ProfileValue>, Fault> {
        for file in &self.files {
            let value = file.sections.get_profile(profile).and_then(|found| found.get(key));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let on = format!("{}, profile {profile:?}", file.path);
                rule.accept(key, &on, value)?;
                return Ok(Some(ProfileValue { value: value.to_owned(), on }));
            }
        }
        Ok(None)
    }

    /// The endpoint of an API, from the `services` section that the selected profile names.
    ///
    /// # Errors
    /// `Config` if it is malformed.
    pub fn endpoint_of(&self, service: &str) -> Result<Option<ProfileValue>, Fault> {
        let Some(named) = self.get(&self.selected, "services", Rule::Line)? else {
            return Ok(None);
        };
        for file in &self.files {
            let key = PropertiesKey::builder()
                .section_key("services")
                .section_name(&named.value)
                .property_name(service)
                .sub_property_name("endpoint_url")
                .build();
            let value = key.ok().and_then(|key| file.sections.other_sections().get(&key));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let on = format!("{}, services {:?}, {service}", file.path, named.value);
                Rule::Endpoint.accept("endpoint_url", &on, value)?;
                return Ok(Some(ProfileValue { value: value.clone(), on }));
            }
        }
        Ok(None)
    }
}

fn load_one(
    path: String,
    kind: EnvConfigFileKind,
    read: ReadFile<'_>,
) -> Result<Option<File>, Fault> {
    let unusable = |what: &str, todo: &str| {
        Fault::new(Kind::Config, format!("the file of AWS profiles {what}"), &path, todo)
    };
    let text = read(Path::new(&path)).map_err(|error| {
        unusable(
            "can't be read",
            match error.kind() {
                std::io::ErrorKind::InvalidData => "write the file in UTF-8",
                _ => "check the path and its permissions",
            },
        )
        .because(&error)
    })?;
    let Some(text) = text else { return Ok(None) };
    // Some editors write a byte-order mark, which the parser takes for a part of the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let files = EnvConfigFiles::builder().with_contents(kind, text.to_owned()).build();
    // It is ready at once: the content is given, and no file or variable is read.
    let parsed = aws_config::profile::load(
        &Fs::from_slice(&[]),
        &Env::from_slice(&[]),
        &files,
        Some(DEFAULT.into()),
    )
    .now_or_never();
    match parsed {
        Some(Ok(sections)) => Ok(Some(File { path, sections })),
        Some(Err(error)) => {
            // The parser's message takes two lines. It names the line, and does not quote it.
            let reason = deepest(&error);
            let reason: Vec<&str> = reason.split_whitespace().collect();
            let reason = reason.join(" ");
            let fault = unusable("can't be parsed", "correct the line that the reason names");
            Err(fault.cause(reason))
        }
        None => {
            Err(unusable("can't be parsed at once", "this is a bug in enlist; please report it"))
        }
    }
}
