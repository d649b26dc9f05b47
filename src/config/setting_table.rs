//! The settings, one a line: name, form, default, what a change means for a member, help.

use super::schema::{Form, Key, OnChange, Setting, form, setting};

/// Makes [`SETTINGS`], and a module for each table with a [`Key`] for each of its settings. A key
/// that nobody reads is dead code, which the compiler reports.
macro_rules! settings {
    ($($module:ident $table:literal { $($name:ident: $form:ident, $default:literal, $change:ident, $help:literal;)* })*) => {
        /// Every setting, table by table.
        pub const SETTINGS: &[Setting] = &[$($(
            setting($table, stringify!($name), Form::$form, $default, OnChange::$change, $help),
        )*)*];

        $(
            #[allow(non_upper_case_globals, reason = "the names are those in the settings")]
            pub(in crate::config) mod $module {
                use super::{Form, Key, OnChange, form, setting};

                $(
                    pub(in crate::config) const $name: Key<form::$form> =
                        Key::new(setting($table, stringify!($name), Form::$form, $default, OnChange::$change, $help));
                )*
            }
        )*
    };
}

#[rustfmt::skip]
settings! {
node "node" {
    name: Text, "", Fixed, "Name of the node: text with {instance_id}, {hostname} or {fqdn}. By default the instance id on EC2, else the FQDN. A host name such as localhost does not count: enlist waits for a better one.";
    budget: Duration, "30m", Free, "How long enlist tries again after a fault that can pass by itself, and how long it waits for the answer of the authority. For a fleet of more than 2,500 nodes: one second for each node (docs/fleet.md).";
}

run "run" {
    ready: Text, "joined", Free, "When `enlist run` tells systemd that it has started: \"joined\": once every target has joined; \"started\": at once.";
    inspect: Duration, "10m", Free, "How often `enlist run` inspects the installed files.";
    repair: Boolean, "false", Free, "Whether files that are missing or damaged are repaired. A lost key is repaired by leaving and joining again.";
    probe: Text, "6h", Free, "How often `enlist run` asks the authority whether it still has this node, a quarter more or less: so far that of [chef-server]. \"never\": only `enlist status --probe` asks.";
    leave_on: Text, "never", Free, "When `enlist run` leaves by itself: \"never\"; \"termination\": when EC2 announces the end of the instance; \"shutdown\": then, and when the machine is powered off.";
}

metrics "metrics" {
    textfile: Text, "", Free, "File in which `enlist run` keeps its metrics, for the textfile collector of node_exporter. Its name must end in .prom.";
    socket: Text, "", Free, "Unix socket on which `enlist run` serves its metrics over HTTP.";
}

aws "aws" {
    region: Text, "", Fixed, "Region of the API. By default the region in the AWS environment, the profile or the instance metadata.";
    profile: Text, "", Free, "Profile in the shared AWS configuration files.";
    endpoint_url: Text, "", Free, "URL of an API-compatible endpoint. By default the URL in the AWS environment or the profile, else that of AWS.";
    allow_http: Boolean, "false", Free, "Whether http:// may be used for an endpoint on another machine. The session token is then sent in clear text.";
}

opsworks_cm "opsworks-cm" {
    server: Text, "", Fixed, "Name of the OpsWorks CM server. Required.";
    engine: Text, "", Fixed, "\"puppet\" or \"chef\". By default the engine that DescribeServers returns.";
    endpoint: Text, "", Added, "Host, or host:port, of the Puppet or Chef server. By default the endpoint that DescribeServers returns.";
    ca_file: Text, "", Added, "PEM file with the CA of the server, including the root. For Puppet, by default the CA that DescribeServers returns. With endpoint (and, for Chef, engine = \"chef\") set as well, DescribeServers is not called.";
}

puppet_server "puppet-server" {
    server: List, "", Fixed, "Host name or address of the Puppet Server that has the CA; several are tried in order. Required.";
    port: Integer, "8140", Fixed, "Port of the Puppet Server.";
    ca_file: Text, "", Free, "PEM file with the CA of the Puppet Server: its root, and every intermediate. Required, or ca_fingerprint, or trust_on_first_use.";
    ca_fingerprint: Text, "", Free, "SHA-256 of the CA that the server sends: of its PEM text, as Puppet's own ca_fingerprint, or of one of its certificates.";
    trust_on_first_use: Boolean, "false", Free, "Whether the CA that the server sends first is trusted without a check. Each time is logged, and `enlist status` says so.";
    challenge_password: Map, "", Free, "Where the challenge password of the certificate request is: { file = \"/path\" }, { credential = \"name\" } of systemd, or { ssm_parameter = \"/name\" } of the Parameter Store. It is read when the request is made, and stored nowhere.";
    dns_alt_names: List, "", Free, "DNS names for the certificate beside the node's own, such as [\"www.example.com\"]. The server refuses them unless allow-subject-alt-names is set in its ca.conf. By default none is asked for.";
    give_up_unsigned: Text, "never", Free, "How long `enlist run` waits for a person to sign the request: \"never\": it never gives up; or a duration such as \"7d\". A join waits for node.budget.";
    proof: Text, "none", Free, "What the certificate request proves to enlist-autosign on the server: \"iam\": whose AWS credentials this node has; \"instance-identity\": which EC2 instance it is; or \"none\" (docs/trust.md).";
}

chef_server "chef-server" {
    url: Text, "", Free, "URL of the Chef Infra Server and the organization, as chef_server_url: https://HOST/organizations/NAME. goiardi has no organizations: https://HOST:PORT. Required.";
    validator_name: Text, "", Free, "Client or user that may create clients. By default the validator of the organization: NAME-validator, or chef-validator without an organization.";
    validator_key: Map, "", Free, "Where its private key is, RSA in PEM form: { file = \"/path\" }, { credential = \"name\" } of systemd, or { ssm_parameter = \"/name\" }. It is read when a client is created, and stored nowhere. Required.";
    remove_validator: Boolean, "false", Free, "Whether the file of validator_key is removed once the node has joined.";
    ca_file: Text, "", Applied, "PEM file with the CA of the server: its root, and every intermediate. By default the CAs that this system trusts.";
    create_node: Boolean, "true", Free, "Whether the node object is created too, with the run list, environment or policy of [chef]. Else chef-client creates it in its first run, and a first run that fails loses the run list.";
}

opsworks "opsworks" {
    stack_id: Text, "", Fixed, "Id of the OpsWorks stack, a UUID. Required.";
    infrastructure: Text, "ec2", Fixed, "\"ec2\": register with the instance identity document; or \"on-premises\".";
    hostname: Text, "", Fixed, "Host name to register; only its first label is used. By default the node's host name.";
    private_ip: Text, "", Fixed, "IPv4 address to register, on-premises only. By default the private address of the interface with the default route.";
    public_ip: Text, "", Fixed, "IPv4 address to register, on-premises only. By default a public address of this host.";
}

ssm "ssm" {
    iam_role: Text, "", Fixed, "Name (not ARN) of the role for the managed node, such as service-role/NAME. Required to create an activation.";
    default_instance_name: Text, "", Fixed, "Name of the managed node in Systems Manager. By default the name of the node.";
    description: Text, "", Free, "Description of the activation. enlist appends a mark by which it finds the activation again.";
    registration_limit: Integer, "1", Fixed, "How many nodes can register with the activation, 1 to 1000.";
    expires_in: Duration, "1h", Free, "How long the activation is valid, up to 30 days.";
    tags: Map, "", Fixed, "Tags of the activation. The managed node gets them too.";
    hand_over: Text, "agent", Fixed, "\"agent\": have amazon-ssm-agent register; \"file\": write the id and the code to a file that only root can read.";
    activation_id: Text, "", Fixed, "Id of an activation that was created elsewhere. Then enlist creates none.";
    activation_code_file: Text, "", Free, "File with the code of that activation: an absolute path, or the name of a systemd credential.";
    on_ec2: Boolean, "false", Free, "Whether to join on an EC2 instance too, which needs no activation.";
    agent: Text, "", Free, "Path of amazon-ssm-agent. By default the first one in the standard directories; PATH is not used.";
}

puppet "puppet" {
    ssldir: Text, "", Fixed, "Puppet's ssldir. By default what `puppet config print` says, else the layout of the packages.";
    confdir: Text, "", Fixed, "Puppet's confdir. By default found in the same way as ssldir.";
    statedir: Text, "", Fixed, "Puppet's statedir, the directory of agent_disabled.lock. By default found in the same way as ssldir. With all three set, `puppet config print` is not run.";
    key_bits: Integer, "4096", Free, "Size of a new key in bits: 2048, 3072 or 4096.";
    extension_requests: Map, "", Fixed, "Extension requests in the certificate request: pp_ names or OIDs, and their values.";
    tag_prefix: Text, "pp_", Fixed, "Instance tags whose names begin with this become extension requests. Empty: none do.";
    environment: Text, "", Added, "Puppet environment to request, written to puppet.conf. By default the server chooses it.";
    run: Boolean, "false", Free, "Whether `puppet agent` is run once after the node has joined.";
    program: Text, "", Free, "Path of Puppet's program. By default the first one in the standard directories; PATH is not used.";
}

chef "chef" {
    product: Text, "", Fixed, "\"chef\" or \"cinc\", which has its files in /etc/cinc and runs cinc-client. By default the one that is installed; Chef if both are, or none.";
    license: Text, "", Applied, "Value of chef_license in client.rb, such as \"accept\", which the first run of Chef 15 to 18 needs. By default none is written; Cinc needs none.";
    confdir: Text, "", Fixed, "Configuration directory. By default /etc/chef or /etc/cinc, by the product.";
    client_d: Boolean, "false", Fixed, "Whether enlist's settings have a file of their own, client.d/enlist.rb, which chef-client reads after client.rb. client.rb must be there, and is left as it is: for one that others manage.";
    key_bits: Integer, "2048", Free, "Size of a new key in bits: 2048, 3072 or 4096.";
    rotate_key: Text, "never", Free, "How long the key in client.pem is used, such as \"90d\", at least an hour: then `enlist run`, or the next `enlist join`, gives the client a new one. Only with [chef-server]. \"never\": as long as the membership lasts.";
    organization: Text, "default", Fixed, "Chef organization.";
    key_attribute: Text, "CHEF_NODE_PUBLIC_KEY", Free, "Engine attribute with the public key. Later pages of the API reference call it CHEF_AUTOMATE_NODE_PUBLIC_KEY.";
    run_list: List, "", Applied, "Run list of the first run, such as [\"recipe[base]\"].";
    environment: Text, "", Applied, "Chef environment.";
    policy_name: Text, "", Applied, "Policy, instead of a run list. Needs policy_group.";
    policy_group: Text, "", Applied, "Group of that policy. Needs policy_name.";
    run: Boolean, "false", Free, "Whether chef-client is run once after the node has joined.";
    program: Text, "", Free, "Path of chef-client. By default the first one in the standard directories; PATH is not used.";
}
}
