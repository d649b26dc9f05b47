//! The registry of targets: one row for each.

use std::any::Any;
use std::fmt;

use super::reader::Reader;
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::engines::Engines;
use crate::targets::{Target, chef_server, opsworks, opsworks_cm, puppet_server, ssm};

type Parsed = Result<Box<dyn TargetSettings>, ConfigError>;

/// A target that can be configured.
pub struct Registered {
    /// Its id, which is also the name of the table that turns it on.
    pub id: &'static str,
    /// Parses its settings, given those of the engines. The origin is that of its table.
    pub(super) parse: fn(&Reader<'_>, &Engines, &Origin) -> Parsed,
}

/// Every target, in the order in which they are listed and driven.
pub const TARGETS: &[Registered] = &[
    Registered {
        id: opsworks_cm::ID,
        parse: |reader, engines, table| Ok(Box::new(reader.opsworks_cm(table, &engines.chef)?)),
    },
    Registered {
        id: puppet_server::ID,
        parse: |reader, _, table| Ok(Box::new(reader.puppet_server(table)?)),
    },
    Registered {
        id: chef_server::ID,
        parse: |reader, engines, table| Ok(Box::new(reader.chef_server(table, &engines.chef)?)),
    },
    Registered {
        id: opsworks::ID,
        parse: |reader, _, table| Ok(Box::new(reader.opsworks(table)?)),
    },
    Registered { id: ssm::ID, parse: |reader, _, table| Ok(Box::new(reader.ssm(table)?)) },
];

/// The ids of all targets.
pub fn target_ids() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|target| target.id)
}

/// The parsed settings of any target.
pub trait TargetSettings: Target + fmt::Debug + Any {
    /// A target with these settings.
    fn target(&self) -> Box<dyn Target>;
    fn cloned(&self) -> Box<dyn TargetSettings>;
    fn equals(&self, other: &dyn TargetSettings) -> bool;
}

impl<T: Target + Clone + fmt::Debug + PartialEq + 'static> TargetSettings for T {
    fn target(&self) -> Box<dyn Target> {
        Box::new(self.clone())
    }

    fn cloned(&self) -> Box<dyn TargetSettings> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn TargetSettings) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref() == Some(self)
    }
}

impl Clone for Box<dyn TargetSettings> {
    fn clone(&self) -> Self {
        (**self).cloned()
    }
}

impl PartialEq for dyn TargetSettings {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other)
    }
}

#[cfg(test)]
mod tests {
    use super::target_ids;
    use crate::config::schema::SETTINGS;
    use crate::config::{Input, Settings, fragments};

    #[test]
    fn each_target_has_a_table_of_its_id() {
        for id in target_ids() {
            assert!(SETTINGS.iter().any(|setting| setting.table == id), "{id}");
        }
    }

    #[test]
    fn each_row_makes_the_target_of_its_id() {
        let text = "[opsworks-cm]\nserver = \"s\"\n[ssm]\niam_role = \"r\"\n\
                    [puppet-server]\nserver = \"s\"\nca_file = \"/ca\"\n\
                    [chef-server]\nurl = \"https://c/organizations/o\"\n\
                    validator_key = { file = \"/v\" }\n\
                    [opsworks]\nstack_id = \"2f18b4cb-4de5-4429-a149-ff7da9f0d8ee\"\n";
        let ca = ca();
        let read = |_: &str| Ok(ca.clone());
        let mut input = Input::default();
        fragments::add_text(&mut input, text, "f").unwrap();
        let settings = Settings::parse(&input, &read).unwrap();
        let made: Vec<_> = settings.targets().iter().map(|target| target.id()).collect();
        assert_eq!(made, target_ids().collect::<Vec<_>>());
        assert_eq!(settings.target_ids(), made);
        assert_eq!(settings.clone(), settings);
        let mut other = Input::default();
        fragments::add_text(&mut other, &text.replace("\"r\"", "\"q\""), "f").unwrap();
        let other = Settings::parse(&other, &read).unwrap();
        assert_ne!(other, settings);
    }

    fn ca() -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }
}
