//! `--seed-file`: what the account holds at the start, in TOML.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use enlist_emulator::control::{ServerSpec, StackSpec};
use enlist_emulator::{Options, SeedNode};

/// A seed file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// It cannot be read.
    #[error("cannot read the seed file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not TOML, or has other tables and keys.
    #[error("the seed file {path} is not as it must be")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A key cannot be read.
    #[error("cannot read the public key {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file holds no public key.
    #[error("{path} is no RSA public key in PEM: {reason}")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A value is not one.
    #[error("the seed file {path} is not as it must be: {reason}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedFile {
    #[serde(default)]
    server: Vec<ServerTable>,
    #[serde(default)]
    stack: Vec<StackTable>,
    #[serde(default)]
    ssm: SsmTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ServerTable {
    name: String,
    engine: Option<String>,
    status: Option<String>,
    healthy_after: Option<f64>,
    endpoint: Option<String>,
    #[serde(default)]
    organizations: Vec<String>,
    #[serde(default)]
    node: Vec<NodeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeTable {
    name: String,
    csr: Option<String>,
    public_key: Option<String>,
    organization: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StackTable {
    id: Option<String>,
    name: Option<String>,
    region: Option<String>,
    vpc: Option<String>,
    unique_hostnames: Option<bool>,
    #[serde(default)]
    layers: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SsmTable {
    roles: Option<Vec<String>>,
}

/// Adds what a seed file holds to the options.
pub fn add(path: &Path, options: &mut Options) -> Result<(), SeedFileError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| SeedFileError::Read { path: path.to_owned(), source })?;
    let file: SeedFile = toml::from_str(&text).map_err(|source| SeedFileError::Form {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let value = |reason| SeedFileError::Value { path: path.to_owned(), reason };
    for table in file.server {
        let (spec, nodes) = table.read().map_err(value)?;
        options.servers.push(spec);
        options.nodes.extend(nodes);
    }
    for table in file.stack {
        options.stacks.push(table.read().map_err(value)?);
    }
    if let Some(roles) = file.ssm.roles {
        options.ssm_roles.get_or_insert_default().extend(roles);
    }
    Ok(())
}

/// The RSA public key of a file in PEM: SubjectPublicKeyInfo in DER.
pub fn public_key(path: &Path) -> Result<Vec<u8>, SeedFileError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| SeedFileError::Key { path: path.to_owned(), source })?;
    enlist_emulator::control::rsa_public_key(&text)
        .map_err(|reason| SeedFileError::NoKey { path: path.to_owned(), reason })
}

impl ServerTable {
    /// By the way of the option, so that both take the same values.
    fn read(self) -> Result<(ServerSpec, Vec<SeedNode>), String> {
        let named = parse::<ServerSpec>(&format!("name={}", self.name))?;
        let spec = |key: &str, value: &str| {
            parse::<ServerSpec>(&format!("name={},{key}={value}", self.name))
        };
        if named.name != self.name {
            return Err(format!("'{}' is no server name", self.name));
        }
        let mut server = named;
        if let Some(engine) = &self.engine {
            server.engine = spec("engine", engine)?.engine;
        }
        if let Some(status) = &self.status {
            server.status = spec("status", status)?.status;
        }
        if let Some(seconds) = self.healthy_after {
            server.healthy_after = spec("healthy-after", &seconds.to_string())?.healthy_after;
        }
        server.endpoint = self.endpoint;
        server.organizations = self.organizations;
        let nodes = self.node.into_iter().map(|node| node.read(&server.name));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok((server, nodes))
    }
}

impl NodeTable {
    fn read(self, server: &str) -> Result<SeedNode, String> {
        let attributes = match (self.csr, self.public_key) {
            (Some(csr), None) if self.organization.is_none() => {
                vec![("PUPPET_NODE_CSR".to_owned(), csr)]
            }
            (None, Some(key)) => vec![
                (
                    "CHEF_ORGANIZATION".to_owned(),
                    self.organization.unwrap_or_else(|| "default".to_owned()),
                ),
                ("CHEF_NODE_PUBLIC_KEY".to_owned(), key),
            ],
            _ => {
                return Err(format!(
                    "the node {} has to have csr (Puppet), or public-key and perhaps organization \
                     (Chef)",
                    self.name
                ));
            }
        };
        Ok(SeedNode { server: server.to_owned(), name: self.name, attributes })
    }
}

impl StackTable {
    fn read(self) -> Result<StackSpec, String> {
        let unique = self.unique_hostnames.map(|unique| unique.to_string());
        let pairs = [
            ("id", self.id),
            ("name", self.name),
            ("region", self.region),
            ("vpc", self.vpc),
            ("unique-hostnames", unique),
        ];
        let mut text = Vec::new();
        for (key, value) in pairs {
            let Some(value) = value else { continue };
            if value.contains(',') {
                return Err(format!("a stack's {key} has no comma: '{value}'"));
            }
            text.push(format!("{key}={value}"));
        }
        text.extend(self.layers.iter().map(|layer| format!("layer={layer}")));
        if text.is_empty() { Ok(StackSpec::default()) } else { parse(&text.join(",")) }
    }
}

fn parse<T>(text: &str) -> Result<T, String>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}
