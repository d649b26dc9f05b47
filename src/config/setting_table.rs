//! The settings, one a line.

use super::schema::{Form, Setting, key};

#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    key("node", "name", Form::Text, "", "Name of the node: text and {instance_id}, {hostname}, {fqdn}; by default the instance id on EC2, else the FQDN; a host name such as localhost is none, and a better one is waited for."),
    key("node", "budget", Form::Duration, "30m", "How long faults that can pass, and an authority that takes its time, are waited for; for a fleet of more than 2,500 nodes a second a node (docs/fleet.md)."),

    key("run", "ready", Form::Text, "joined", "When `enlist run` tells systemd that it has started: \"joined\", or \"started\" at once."),
    key("run", "inspect", Form::Duration, "10m", "How often `enlist run` looks at what is installed."),
    key("run", "repair", Form::Boolean, "false", "Whether what is missing or damaged is put back; for a lost key, by leaving and joining anew."),
    key("run", "leave_on", Form::Text, "never", "When `enlist run` leaves by itself: \"never\"; on \"termination\", announced by EC2; on \"shutdown\", that or the machine's being powered off."),

    key("metrics", "textfile", Form::Text, "", "File that `enlist run` keeps its metrics in, for node_exporter's textfile collector; it ends in .prom."),
    key("metrics", "socket", Form::Text, "", "Unix socket on which `enlist run` answers HTTP with its metrics."),

    key("aws", "region", Form::Text, "", "Region of the API; by default what the AWS environment, the profile or the instance says."),
    key("aws", "profile", Form::Text, "", "Profile of the shared AWS configuration."),
    key("aws", "endpoint_url", Form::Text, "", "URL of an API-compatible endpoint; by default what the AWS environment or the profile says, else AWS."),
    key("aws", "allow_http", Form::Boolean, "false", "Whether an endpoint on another machine may be asked with http://, which sends the session token in clear."),

    key("opsworks-cm", "server", Form::Text, "", "Name of the OpsWorks CM server; required."),
    key("opsworks-cm", "engine", Form::Text, "", "\"puppet\" or \"chef\"; by default what DescribeServers says."),
    key("opsworks-cm", "endpoint", Form::Text, "", "Host, or host:port, of the Puppet or Chef server; by default what DescribeServers says."),
    key("opsworks-cm", "ca_file", Form::Text, "", "PEM file of the server's CA, root included; for Puppet by default what DescribeServers says. With endpoint (and engine = \"chef\" for Chef), it saves that call."),

    key("opsworks", "stack_id", Form::Text, "", "Id of the OpsWorks stack, a UUID; required."),
    key("opsworks", "infrastructure", Form::Text, "ec2", "\"ec2\", with the instance identity document, or \"on-premises\"."),
    key("opsworks", "hostname", Form::Text, "", "Host name to register, its first label; by default this node's."),
    key("opsworks", "private_ip", Form::Text, "", "IPv4 address to register; on-premises only, by default the private one of the interface with the default route."),
    key("opsworks", "public_ip", Form::Text, "", "IPv4 address to register; on-premises only, by default a public one of this host."),

    key("ssm", "iam_role", Form::Text, "", "Name (not ARN) of the role that the managed node gets, such as service-role/NAME; required to create an activation."),
    key("ssm", "default_instance_name", Form::Text, "", "Name of the managed node in Systems Manager; by default the node's."),
    key("ssm", "description", Form::Text, "", "Description of the activation; a mark of ours is added to it."),
    key("ssm", "registration_limit", Form::Integer, "1", "How many nodes the activation is good for, 1 to 1000."),
    key("ssm", "expires_in", Form::Duration, "1h", "How long the activation is good for, up to 30 days."),
    key("ssm", "tags", Form::Map, "", "Tags of the activation, which the managed node gets too."),
    key("ssm", "hand_over", Form::Text, "agent", "\"agent\": have amazon-ssm-agent register; \"file\": leave id and code in a file of root's."),
    key("ssm", "activation_id", Form::Text, "", "Id of an activation that was made elsewhere; then none is created."),
    key("ssm", "activation_code_file", Form::Text, "", "File with that activation's code: an absolute path, or the name of a systemd credential."),
    key("ssm", "on_ec2", Form::Boolean, "false", "Go ahead on an EC2 instance, which needs no activation."),
    key("ssm", "agent", Form::Text, "", "Path of amazon-ssm-agent; by default where it is usually found, PATH first."),

    key("puppet", "ssldir", Form::Text, "", "Puppet's ssldir; by default what `puppet config print` says, else the packages' layout."),
    key("puppet", "confdir", Form::Text, "", "Puppet's confdir; by default likewise."),
    key("puppet", "statedir", Form::Text, "", "Puppet's statedir, where agent_disabled.lock belongs; by default likewise. With all three set, puppet is not asked for them."),
    key("puppet", "key_bits", Form::Integer, "4096", "Size of a new key: 2048, 3072 or 4096."),
    key("puppet", "extension_requests", Form::Map, "", "Extension requests: pp_ names or OIDs, and their values."),
    key("puppet", "tag_prefix", Form::Text, "pp_", "Instance tags whose names begin so become extension requests; empty: none do."),
    key("puppet", "environment", Form::Text, "", "Puppet environment to ask for, written to puppet.conf; by default the server's choice."),
    key("puppet", "run", Form::Boolean, "false", "Whether puppet agent is run once, as soon as the node has joined."),
    key("puppet", "program", Form::Text, "", "Path of Puppet's program; by default where it is usually found, PATH first."),

    key("chef", "confdir", Form::Text, "/etc/chef", "Chef's directory."),
    key("chef", "key_bits", Form::Integer, "2048", "Size of a new key: 2048, 3072 or 4096."),
    key("chef", "organization", Form::Text, "default", "Chef organization."),
    key("chef", "key_attribute", Form::Text, "CHEF_NODE_PUBLIC_KEY", "Engine attribute that carries the public key; later pages of the reference call it CHEF_AUTOMATE_NODE_PUBLIC_KEY."),
    key("chef", "run_list", Form::List, "", "Run list of the first run, such as [\"recipe[base]\"]."),
    key("chef", "environment", Form::Text, "", "Chef environment."),
    key("chef", "policy_name", Form::Text, "", "Policy, instead of a run list; with policy_group."),
    key("chef", "policy_group", Form::Text, "", "Group of that policy."),
    key("chef", "run", Form::Boolean, "false", "Whether chef-client is run once, as soon as the node has joined."),
    key("chef", "program", Form::Text, "", "Path of chef-client; by default where it is usually found, PATH first."),
];
