//! Every setting there is: its name, its form, its default, and what it is for. The one list
//! that parsing, the environment, `enlist check` and the documentation go by.

/// What a value may look like; the first check, before it is parsed into its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// `30m`, `1h 30m`, `90s`.
    Duration,
    Integer,
    Boolean,
    /// A table of names and texts.
    Map,
}

#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub table: &'static str,
    pub name: &'static str,
    pub form: Form,
    /// As it would be written; empty where there is none.
    pub default: &'static str,
    pub help: &'static str,
}

const fn key(
    table: &'static str,
    name: &'static str,
    form: Form,
    default: &'static str,
    help: &'static str,
) -> Key {
    Key { table, name, form, default, help }
}

/// Tables whose presence turns a target on.
pub const TARGETS: [&str; 1] = ["opsworks-cm"];

pub const KEYS: [Key; 17] = [
    key(
        "node",
        "name",
        Form::Text,
        "",
        "Name of the node: text and {instance_id}, {hostname}, {fqdn}; by default the instance id on EC2, else the FQDN.",
    ),
    key(
        "node",
        "budget",
        Form::Duration,
        "30m",
        "How long faults that can pass, and an authority that takes its time, are waited for.",
    ),
    key(
        "aws",
        "region",
        Form::Text,
        "",
        "Region of the API; by default what the AWS environment, the profile or the instance says.",
    ),
    key("aws", "profile", Form::Text, "", "Profile of the shared AWS configuration."),
    key(
        "aws",
        "endpoint_url",
        Form::Text,
        "",
        "URL of an API-compatible endpoint; by default AWS_ENDPOINT_URL, else AWS.",
    ),
    key("opsworks-cm", "server", Form::Text, "", "Name of the OpsWorks CM server; required."),
    key(
        "opsworks-cm",
        "engine",
        Form::Text,
        "",
        "\"puppet\"; by default what DescribeServers says.",
    ),
    key(
        "opsworks-cm",
        "endpoint",
        Form::Text,
        "",
        "Host, or host:port, of the Puppet server; by default what DescribeServers says.",
    ),
    key(
        "opsworks-cm",
        "ca_file",
        Form::Text,
        "",
        "PEM file of the server's CA, root included; by default what DescribeServers says. With endpoint, it saves that call.",
    ),
    key(
        "puppet",
        "ssldir",
        Form::Text,
        "",
        "Puppet's ssldir; by default what `puppet config print` says, else the packages' layout.",
    ),
    key("puppet", "confdir", Form::Text, "", "Puppet's confdir; by default likewise."),
    key("puppet", "key_bits", Form::Integer, "4096", "Size of a new key: 2048, 3072 or 4096."),
    key(
        "puppet",
        "extension_requests",
        Form::Map,
        "",
        "Extension requests: pp_ names or OIDs, and their values.",
    ),
    key(
        "puppet",
        "tag_prefix",
        Form::Text,
        "pp_",
        "Instance tags whose names begin so become extension requests; empty: none do.",
    ),
    key(
        "puppet",
        "run",
        Form::Boolean,
        "false",
        "Whether puppet agent is run once, as soon as the node has joined.",
    ),
    key(
        "puppet",
        "environment",
        Form::Text,
        "",
        "Puppet environment to ask for, written to puppet.conf; by default the server's choice.",
    ),
    key(
        "puppet",
        "statedir",
        Form::Text,
        "",
        "Puppet's statedir, where agent_disabled.lock belongs; by default as ssldir.",
    ),
];

/// The key, where there is one.
#[must_use]
pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.table == table && key.name == name)
}

/// The environment's name for a key: `ENLIST_OPSWORKS_CM_SERVER`.
#[must_use]
pub fn variable(key: &Key) -> String {
    format!("ENLIST_{}_{}", key.table, key.name).to_uppercase().replace('-', "_")
}

/// The known key that is written most alike, as `table.name`, if any is alike at all.
#[must_use]
pub fn nearest(dotted: &str) -> Option<String> {
    let all = KEYS.iter().map(|key| format!("{}.{}", key.table, key.name));
    let mut scored: Vec<(f64, String)> =
        all.map(|known| (strsim::jaro_winkler(dotted, &known), known)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().next().filter(|(score, _)| *score > 0.8).map(|(_, known)| known)
}
