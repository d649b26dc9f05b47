//! The settings, one a line.

use super::schema::{Form, Key, Setting, form, setting};

/// Makes [`SETTINGS`], and a module for each table with a [`Key`] for each of its settings. A key
/// that nobody reads is dead code, which the compiler reports.
macro_rules! settings {
    ($($module:ident $table:literal { $($name:ident: $form:ident, $default:literal, $help:literal;)* })*) => {
        /// Every setting, table by table.
        pub const SETTINGS: &[Setting] = &[$($(
            setting($table, stringify!($name), Form::$form, $default, $help),
        )*)*];

        $(
            #[allow(non_upper_case_globals, reason = "the names are those in the settings")]
            pub(in crate::config) mod $module {
                use super::{Form, Key, form, setting};

                $(
                    pub(in crate::config) const $name: Key<form::$form> =
                        Key::new(setting($table, stringify!($name), Form::$form, $default, $help));
                )*
            }
        )*
    };
}

#[rustfmt::skip]
settings! {
node "node" {
    name: Text, "", "Name of the node: text and {instance_id}, {hostname}, {fqdn}; by default the instance id on EC2, else the FQDN; a host name such as localhost is none, and a better one is waited for.";
    budget: Duration, "30m", "How long faults that can pass, and an authority that takes its time, are waited for; for a fleet of more than 2,500 nodes a second a node (docs/fleet.md).";
}

run "run" {
    ready: Text, "joined", "When `enlist run` tells systemd that it has started: \"joined\", or \"started\" at once.";
    inspect: Duration, "10m", "How often `enlist run` looks at what is installed.";
    repair: Boolean, "false", "Whether what is missing or damaged is put back; for a lost key, by leaving and joining anew.";
    leave_on: Text, "never", "When `enlist run` leaves by itself: \"never\"; on \"termination\", announced by EC2; on \"shutdown\", that or the machine's being powered off.";
}

metrics "metrics" {
    textfile: Text, "", "File that `enlist run` keeps its metrics in, for node_exporter's textfile collector; it ends in .prom.";
    socket: Text, "", "Unix socket on which `enlist run` answers HTTP with its metrics.";
}

aws "aws" {
    region: Text, "", "Region of the API; by default what the AWS environment, the profile or the instance says.";
    profile: Text, "", "Profile of the shared AWS configuration.";
    endpoint_url: Text, "", "URL of an API-compatible endpoint; by default what the AWS environment or the profile says, else AWS.";
    allow_http: Boolean, "false", "Whether an endpoint on another machine may be asked with http://, which sends the session token in clear.";
}

opsworks_cm "opsworks-cm" {
    server: Text, "", "Name of the OpsWorks CM server; required.";
    engine: Text, "", "\"puppet\" or \"chef\"; by default what DescribeServers says.";
    endpoint: Text, "", "Host, or host:port, of the Puppet or Chef server; by default what DescribeServers says.";
    ca_file: Text, "", "PEM file of the server's CA, root included; for Puppet by default what DescribeServers says. With endpoint (and engine = \"chef\" for Chef), it saves that call.";
}

opsworks "opsworks" {
    stack_id: Text, "", "Id of the OpsWorks stack, a UUID; required.";
    infrastructure: Text, "ec2", "\"ec2\", with the instance identity document, or \"on-premises\".";
    hostname: Text, "", "Host name to register, its first label; by default this node's.";
    private_ip: Text, "", "IPv4 address to register; on-premises only, by default the private one of the interface with the default route.";
    public_ip: Text, "", "IPv4 address to register; on-premises only, by default a public one of this host.";
}

ssm "ssm" {
    iam_role: Text, "", "Name (not ARN) of the role that the managed node gets, such as service-role/NAME; required to create an activation.";
    default_instance_name: Text, "", "Name of the managed node in Systems Manager; by default the node's.";
    description: Text, "", "Description of the activation; a mark of ours is added to it.";
    registration_limit: Integer, "1", "How many nodes the activation is good for, 1 to 1000.";
    expires_in: Duration, "1h", "How long the activation is good for, up to 30 days.";
    tags: Map, "", "Tags of the activation, which the managed node gets too.";
    hand_over: Text, "agent", "\"agent\": have amazon-ssm-agent register; \"file\": leave id and code in a file of root's.";
    activation_id: Text, "", "Id of an activation that was made elsewhere; then none is created.";
    activation_code_file: Text, "", "File with that activation's code: an absolute path, or the name of a systemd credential.";
    on_ec2: Boolean, "false", "Go ahead on an EC2 instance, which needs no activation.";
    agent: Text, "", "Path of amazon-ssm-agent; by default where it is usually found, PATH first.";
}

puppet "puppet" {
    ssldir: Text, "", "Puppet's ssldir; by default what `puppet config print` says, else the packages' layout.";
    confdir: Text, "", "Puppet's confdir; by default likewise.";
    statedir: Text, "", "Puppet's statedir, where agent_disabled.lock belongs; by default likewise. With all three set, puppet is not asked for them.";
    key_bits: Integer, "4096", "Size of a new key: 2048, 3072 or 4096.";
    extension_requests: Map, "", "Extension requests: pp_ names or OIDs, and their values.";
    tag_prefix: Text, "pp_", "Instance tags whose names begin so become extension requests; empty: none do.";
    environment: Text, "", "Puppet environment to ask for, written to puppet.conf; by default the server's choice.";
    run: Boolean, "false", "Whether puppet agent is run once, as soon as the node has joined.";
    program: Text, "", "Path of Puppet's program; by default where it is usually found, PATH first.";
}

chef "chef" {
    confdir: Text, "/etc/chef", "Chef's directory.";
    key_bits: Integer, "2048", "Size of a new key: 2048, 3072 or 4096.";
    organization: Text, "default", "Chef organization.";
    key_attribute: Text, "CHEF_NODE_PUBLIC_KEY", "Engine attribute that carries the public key; later pages of the reference call it CHEF_AUTOMATE_NODE_PUBLIC_KEY.";
    run_list: List, "", "Run list of the first run, such as [\"recipe[base]\"].";
    environment: Text, "", "Chef environment.";
    policy_name: Text, "", "Policy, instead of a run list; with policy_group.";
    policy_group: Text, "", "Group of that policy.";
    run: Boolean, "false", "Whether chef-client is run once, as soon as the node has joined.";
    program: Text, "", "Path of chef-client; by default where it is usually found, PATH first.";
}
}
