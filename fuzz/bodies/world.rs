//! What the checks share: a key, its CA, the targets, and a node.

use std::sync::LazyLock;

use enlist::config::{Input, Settings, fragments};
use enlist::engines::puppet::PuppetSite;
use enlist::engines::ssm_agent::SsmSite;
use enlist::engines::{Authority, Engines, KeyReport, Observed};
use enlist::facts::{Ec2, Facts};
use enlist::pki::{CaBundle, PublicKey};
use enlist::secret::Secret;
use enlist::targets::Target;

pub const NAME: &str = "i-0123456789abcdef0";
pub const STACK: &str = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee";

/// In 2030. The good certificates are valid from 2020 to 2120.
pub const NOW: i64 = 1_893_456_000;

/// Root and intermediate. Their private keys were deleted.
pub const CA: &str = include_str!("fixtures/ca.pem");

/// All certificates that this CA signed for the node's key and name: by the intermediate, and by the
/// root.
pub const GOOD: [&str; 2] =
    [include_str!("fixtures/good.pem"), include_str!("fixtures/direct.pem")];

pub static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    let pem = pem::parse(include_str!("fixtures/node.pub")).unwrap();
    PublicKey::from_spki(pem.contents()).unwrap()
});

pub static BUNDLE: LazyLock<CaBundle> = LazyLock::new(|| CaBundle::from_pem(CA).unwrap());

pub fn key_report() -> KeyReport {
    KeyReport { public: KEY.clone(), csr: Some(Secret::new("csr".to_owned())), is_installed: false }
}

/// Whether it is one of [`GOOD`], compared as DER.
pub fn is_good(pem_text: &str) -> bool {
    let der = |text: &str| pem::parse(text).unwrap().into_contents();
    GOOD.iter().any(|good| der(good) == der(pem_text))
}

pub fn puppet_authority() -> Authority {
    Authority::Puppet { endpoint: "puppet.example".to_owned(), ca: CA.to_owned(), crl: None }
}

pub fn facts() -> Facts {
    Facts {
        hostname: "web1".to_owned(),
        fqdn: "web1.example".to_owned(),
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        ec2: Some(Ec2 {
            instance_id: NAME.to_owned(),
            private_ip: Some("10.0.0.1".to_owned()),
            ..Ec2::default()
        }),
        ..Facts::default()
    }
}

pub fn observed() -> Observed {
    let agent = Some("/usr/bin/amazon-ssm-agent".to_owned());
    Observed {
        chef: None,
        puppet: Some(site()),
        ssm_agent: Some(SsmSite { agent, ..SsmSite::default() }),
        opsworks_agent: None,
    }
}

pub fn site() -> PuppetSite {
    PuppetSite {
        confdir: "/c".to_owned(),
        ssldir: "/s".to_owned(),
        statedir: "/st".to_owned(),
        said_by: "test".to_owned(),
        ..PuppetSite::default()
    }
}

/// Parses these settings.
pub fn settings(text: &str) -> Settings {
    let mut input = Input::looked_for_in("here".to_owned());
    fragments::add_text(&mut input, text, "f").unwrap();
    Settings::parse(&input, &|_| Err("no".to_owned())).unwrap()
}

/// Every target, with its engines.
pub fn targets() -> Vec<(Box<dyn Target>, Engines)> {
    let all = format!(
        "[opsworks-cm]\nserver = \"p\"\n[opsworks]\nstack_id = \"{STACK}\"\n[ssm]\niam_role = \"r\"\non_ec2 = true\n"
    );
    let chef = "[opsworks-cm]\nserver = \"c\"\nengine = \"chef\"\n[ssm]\nactivation_id = \"11111111-2222-3333-4444-555555555555\"\nactivation_code_file = \"/code\"\n";
    let of = |text: &str| {
        let settings = settings(text);
        let engines = settings.engines.clone();
        settings.targets().into_iter().map(move |target| (target, engines.clone()))
    };
    of(&all).chain(of(chef)).collect()
}

/// The authority of each of them, in the same order.
pub fn authorities() -> Vec<Authority> {
    vec![
        puppet_authority(),
        Authority::Stack { name: "s".to_owned(), region: None },
        Authority::Service,
        Authority::Chef { endpoint: "chef.example".to_owned(), ca: None },
        Authority::Service,
    ]
}
