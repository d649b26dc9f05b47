//! The agent's vault: a manifest that says where each secret is, and the secrets.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;

/// Where the agent keeps what it knows.
const DATA: &str = "/var/lib/amazon/ssm";
const REGISTRATION: &str = "RegistrationKey";
const FINGERPRINT: &str = "InstanceFingerprint";

/// A registration, as the vault has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Registration {
    #[serde(rename = "instanceID")]
    pub instance_id: String,
    pub region: String,
    pub instance_type: String,
    pub availability_zone: String,
    pub private_key: String,
    pub public_key: String,
    pub private_key_type: String,
    pub private_key_created_date: String,
}

impl Registration {
    /// Whether there was an answer to it.
    pub fn is_complete(&self) -> bool {
        !self.instance_id.is_empty()
    }
}

pub struct Vault {
    root: PathBuf,
}

impl Vault {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The registration; one that cannot be read counts as none.
    pub fn registration(&self) -> Option<Registration> {
        serde_json::from_slice(&self.retrieve(REGISTRATION)?).ok()
    }

    pub fn store_registration(&self, registration: &Registration) -> std::io::Result<()> {
        let kind = if registration.private_key.is_empty() { "" } else { "Rsa" };
        let registration = Registration { private_key_type: kind.into(), ..registration.clone() };
        self.store(REGISTRATION, &json!(registration))
    }

    /// Forgets the registration, and what the machine looked like. The file `registration` stays.
    pub fn clear(&self) -> std::io::Result<()> {
        self.store(FINGERPRINT, &json!({}))?;
        self.store_registration(&Registration::default())
    }

    /// The fingerprint of this machine: a UUID that is made once. (The real agent keeps it as long
    /// as the hardware looks similar.)
    pub fn fingerprint(&self) -> std::io::Result<String> {
        let saved = self.retrieve(FINGERPRINT);
        let saved: Option<Value> = saved.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let saved = saved.as_ref().and_then(|saved| saved.get("fingerprint")?.as_str());
        if let Some(saved) = saved {
            return Ok(saved.to_owned());
        }
        let mut seed = [0; 8];
        rand::fill(&mut seed).map_err(|_| std::io::Error::other("no randomness"))?;
        let made = Random::new(u64::from_le_bytes(seed)).uuid();
        self.store(FINGERPRINT, &json!({ "fingerprint": made, "similarityThreshold": 40 }))?;
        Ok(made)
    }

    /// Writes a file of the agent's directory, for root only.
    pub fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.under_root(&format!("{DATA}/{name}"));
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)
    }

    fn store(&self, key: &str, value: &Value) -> std::io::Result<()> {
        self.write(&format!("Vault/Store/{key}"), value.to_string().as_bytes())?;
        let mut manifest = self.manifest();
        manifest.insert(key.to_owned(), format!("{DATA}/Vault/Store/{key}"));
        self.write("Vault/Manifest", json!(manifest).to_string().as_bytes())
    }

    fn retrieve(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.under_root(self.manifest().get(key)?)).ok()
    }

    fn manifest(&self) -> BTreeMap<String, String> {
        let read = std::fs::read(self.under_root(&format!("{DATA}/Vault/Manifest")));
        read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn under_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}
