//! A node and a target for tests of the pure core, as the settings and the host would make them.

use std::time::Duration;

use enlist::bootstrap::{Event, Plan};
use enlist::config::settings::Settings;
use enlist::config::{Input, fragments};
use enlist::engines::puppet::PuppetSite;
use enlist::engines::{Engines, Observed};
use enlist::facts::{Ec2, Facts};
use enlist::targets::opsworks_cm::OpsworksCm;

/// `[opsworks-cm]` of this server, with everything else as the settings have it by default but
/// for keys of 2048 bits.
pub fn opsworks_cm(server: &str) -> (OpsworksCm, Engines) {
    let text = format!(
        "[opsworks-cm]\nserver = \"{server}\"\n[puppet]\nkey_bits = 2048\n[chef]\nkey_bits = 2048\n"
    );
    let mut input = Input::default();
    fragments::add_text(&mut input, &text, "the test").unwrap();
    let settings = Settings::parse(&input, &|path| Err(format!("{path}: no file here")));
    let settings = settings.unwrap();
    (settings.of::<OpsworksCm>().unwrap().clone(), settings.engines)
}

/// To join that server, within this time.
pub fn plan((target, engines): (OpsworksCm, Engines), budget: Duration) -> Plan {
    Plan { target: Box::new(target), engines, name: None, budget, will_renew: false }
}

/// An EC2 instance with Puppet. Without an instance id, a machine elsewhere.
pub fn facts(instance: &str) -> Event {
    let ec2 = Ec2 { instance_id: instance.to_owned(), ..Ec2::default() };
    let facts = Facts {
        hostname: "web1".to_owned(),
        fqdn: "web1.example".to_owned(),
        ec2: (!instance.is_empty()).then_some(ec2),
        ..Facts::default()
    };
    let puppet = Some(PuppetSite {
        confdir: "/c".to_owned(),
        ssldir: "/s".to_owned(),
        statedir: "/st".to_owned(),
        said_by: "test".to_owned(),
        ..PuppetSite::default()
    });
    Event::Facts(Box::new(facts), Box::new(Observed { puppet, ..Observed::default() }))
}
