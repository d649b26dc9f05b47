//! The targets, each on a machine with files from before the join.

use std::collections::BTreeMap;
use std::time::Duration;

use enlist::engines::Engines;
use enlist::engines::ssm_agent::{HandOverTo, SsmAgent};
use enlist::targets::Target;
use enlist::targets::opsworks::{Infrastructure, Opsworks};
use enlist::targets::ssm::Ssm;
use enlist_emulator::control::DEFAULT_STACK;

use super::agent;
use super::chef_server;
use super::keys;
use super::node::Node;
use super::puppet_ca::{self, Signs};
use super::puppet_node::opsworks_cm;

/// One target on one kind of machine.
pub struct Case {
    pub name: &'static str,
    /// The target's id.
    pub id: &'static str,
    pub is_ec2: bool,
    /// Whether the authority shows the keys of the instances that it lists.
    pub shows_keys: bool,
    /// The target and its engines.
    pub target: fn() -> (Box<dyn Target>, Engines),
    /// Who signs a request at a Puppet CA.
    pub signs: Signs,
    /// The creating call.
    pub creating: &'static str,
    /// Writes the files from before the join.
    pub prepare: fn(&Node),
    /// Where the key is installed. None: the engine needs no key from enlist.
    pub key: Option<&'static str>,
    /// Files with the admin's content, which a leave restores.
    pub admins: &'static [(&'static str, &'static str)],
    /// Files that a leave keeps as backups.
    pub kept: &'static [&'static str],
    /// Files that a leave removes.
    pub gone: &'static [&'static str],
}

const SSL: &str = "etc/puppetlabs/puppet/ssl";
const CONF: &str = "[main]\nserver = former.example\n# the admin's\n";
const CLIENT_RB: &str = "# the admin's\nlog_level :info\n";
pub const FORMER: &str = "mi-0123456789abcdef0";

pub const PUPPET: Case = Case {
    name: "opsworks-cm (Puppet)",
    id: "opsworks-cm",
    is_ec2: true,
    shows_keys: false,
    target: || {
        let (target, engines) = opsworks_cm("puppet-test");
        (Box::new(target), engines)
    },
    signs: Signs::TheCa,
    creating: "AssociateNode",
    prepare: |node| {
        node.write("etc/puppetlabs/puppet/puppet.conf", CONF);
        // Files of another authority. enlist replaces them and keeps backups.
        node.write(&format!("{SSL}/certs/ca.pem"), "the former CA\n");
        node.write(&format!("{SSL}/crl.pem"), "its revocations\n");
    },
    key: Some("etc/puppetlabs/puppet/ssl/private_keys/i-0123456789abcdef0.pem"),
    admins: &[("etc/puppetlabs/puppet/puppet.conf", CONF)],
    kept: &[
        "etc/puppetlabs/puppet/ssl/private_keys/i-0123456789abcdef0.pem",
        "etc/puppetlabs/puppet/ssl/certs/i-0123456789abcdef0.pem",
    ],
    gone: &[
        "etc/puppetlabs/puppet/ssl/private_keys/i-0123456789abcdef0.pem",
        "etc/puppetlabs/puppet/ssl/certs/i-0123456789abcdef0.pem",
        "etc/puppetlabs/puppet/ssl/certificate_requests/i-0123456789abcdef0.pem",
        "etc/puppetlabs/puppet/ssl/ssl.lock",
        "opt/puppetlabs/puppet/cache/state/agent_disabled.lock",
    ],
};

pub const CHEF: Case = Case {
    name: "opsworks-cm (Chef)",
    target: || {
        let (target, mut engines) = opsworks_cm("chef-test");
        engines.chef.run_list.push("recipe[base]".to_owned());
        (Box::new(target), engines)
    },
    prepare: |node| node.write("etc/chef/client.rb", CLIENT_RB),
    key: Some("etc/chef/client.pem"),
    admins: &[("etc/chef/client.rb", CLIENT_RB)],
    kept: &["etc/chef/client.pem"],
    gone: &["etc/chef/client.pem", "etc/chef/first-boot.json"],
    ..PUPPET
};

pub const PUPPET_SERVER: Case = Case {
    name: "puppet-server (autosign)",
    id: "puppet-server",
    target: || puppet_ca::target("ca_file = \"/ca.pem\""),
    creating: "PUT certificate_request",
    ..PUPPET
};

/// The CA is not known before, and a person signs after some polls.
pub const PUPPET_SERVER_BY_HAND: Case = Case {
    name: "puppet-server (by hand)",
    target: || puppet_ca::target("trust_on_first_use = true"),
    signs: Signs::APersonAfter(20_000),
    ..PUPPET_SERVER
};

pub const CHEF_SERVER: Case = Case {
    name: "chef-server",
    id: "chef-server",
    target: || chef_server::target(""),
    creating: "POST clients",
    prepare: |node| {
        node.write("etc/chef/client.rb", CLIENT_RB);
        node.write(chef_server::VALIDATOR, keys::validator());
    },
    ..CHEF
};

/// The validator's key is removed once the node has joined.
pub const CHEF_SERVER_ONCE: Case = Case {
    name: "chef-server (validator removed)",
    target: || chef_server::target("remove_validator = true\n"),
    gone: &["etc/chef/client.pem", "etc/chef/first-boot.json", chef_server::VALIDATOR],
    ..CHEF_SERVER
};

/// The key is renewed.
pub const CHEF_SERVER_ROTATING: Case = Case {
    name: "chef-server (keys renewed)",
    target: || chef_server::with_chef("", "rotate_key = \"90d\"\n"),
    ..CHEF_SERVER
};

pub const OPSWORKS: Case = Case {
    name: "opsworks (EC2)",
    id: "opsworks",
    target: || opsworks(Infrastructure::Ec2),
    creating: "RegisterInstance",
    prepare: |_| {},
    key: Some("etc/aws/opsworks/instance-key.pem"),
    admins: &[],
    kept: &["etc/aws/opsworks/instance-key.pem", "etc/aws/opsworks/instance-agent.yml"],
    gone: &["etc/aws/opsworks/instance-key.pem", "etc/aws/opsworks/instance-agent.yml"],
    ..PUPPET
};

pub const OPSWORKS_ON_PREMISES: Case = Case {
    name: "opsworks (on premises)",
    is_ec2: false,
    shows_keys: true,
    target: || opsworks(Infrastructure::OnPremises),
    ..OPSWORKS
};

/// As AWS lists instances, without keys: nothing proves which node an instance is.
pub const OPSWORKS_WITHOUT_KEYS: Case = Case {
    name: "opsworks (on premises, keys not shown)",
    shows_keys: false,
    ..OPSWORKS_ON_PREMISES
};

pub const SSM: Case = Case {
    name: "ssm (agent)",
    id: "ssm",
    is_ec2: false,
    shows_keys: false,
    target: || ssm(HandOverTo::Agent),
    signs: Signs::TheCa,
    creating: "CreateActivation",
    prepare: |node| agent::install(node, None),
    key: None,
    admins: &[],
    kept: &[],
    gone: &[],
};

pub const SSM_REGISTERED: Case = Case {
    name: "ssm (agent, registered before)",
    prepare: |node| agent::install(node, Some(FORMER)),
    ..SSM
};

pub const SSM_FILE: Case = Case {
    name: "ssm (file)",
    target: || ssm(HandOverTo::File),
    prepare: |_| {},
    kept: &["var/lib/enlist/ssm/activation.json"],
    gone: &["var/lib/enlist/ssm/activation.json"],
    ..SSM
};

fn opsworks(infrastructure: Infrastructure) -> (Box<dyn Target>, Engines) {
    let is_ec2 = infrastructure == Infrastructure::Ec2;
    let target = Opsworks {
        stack_id: DEFAULT_STACK.to_owned(),
        infrastructure,
        hostname: None,
        private_ip: Some([10, 0, 0, 8].into()).filter(|_| !is_ec2),
        public_ip: None,
    };
    (Box::new(target), Engines::default())
}

fn ssm(hand_over: HandOverTo) -> (Box<dyn Target>, Engines) {
    let target = Ssm {
        iam_role: Some("service-role/SSM".to_owned()),
        default_instance_name: None,
        description: "web".to_owned(),
        registration_limit: 1,
        expires_in: Duration::from_hours(1),
        tags: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        given: None,
        on_ec2: false,
    };
    let ssm_agent = SsmAgent { hand_over, ..SsmAgent::default() };
    (Box::new(target), Engines { ssm_agent, ..Engines::default() })
}
