//! What a node is, and its key.

use enlist::engines::{KeyReport, KeySpec};
use enlist::facts::{Ec2, Facts, InstanceIdentity};
use enlist::fault::Fault;
use enlist::host::{Store, facts, files, key};
use enlist::pki::PrivateKey;

use super::cases::Case;
use super::keys;
use super::node::Node;

impl Node {
    /// As `host::key` does it, but that a new key is one that was made beforehand.
    pub fn ensure_key(&mut self, store: &Store, spec: &KeySpec) -> Result<KeyReport, Fault> {
        let staged = self.root.at(&spec.staged);
        let installed = std::fs::read(self.root.at(&spec.at.path)).ok();
        let installed = installed.map(|pem| PrivateKey::from_pem(&pem).unwrap());
        let is_used = |key: &PrivateKey| Some(key.public().fingerprint()) != spec.replaces;
        if !staged.exists() && !installed.as_ref().is_some_and(is_used) {
            let (directory, _) = spec.staged.rsplit_once('/').unwrap();
            files::make_directory(&self.root, directory, 0o700, None)?;
            let key = keys::nth(self.keys_made);
            files::replace(&self.root, &spec.staged, key.as_bytes(), 0o600, None)?;
            self.keys_made += 1;
        }
        let root = self.root.clone();
        self.runtime.block_on(key::ensure(&root, store, spec, key::Additions::default(), None))
    }

    pub fn facts(&self, case: &Case) -> Facts {
        let document =
            r#"{ "instanceId": "i-0123456789abcdef0", "region": "us-east-1" }"#.to_owned();
        let ec2 = Ec2 {
            instance_id: "i-0123456789abcdef0".to_owned(),
            region: Some("us-east-1".to_owned()),
            private_ip: Some("10.0.0.7".to_owned()),
            identity: InstanceIdentity { document, signature: Some("c2lnbmVk".to_owned()) },
            ..Ec2::default()
        };
        let hostname = self.root.line("/etc/hostname").unwrap_or_else(|| "web1".to_owned());
        Facts {
            fqdn: format!("{hostname}.example.org"),
            hostname,
            machine_id: facts::machine_id(&self.root),
            ec2: Some(ec2).filter(|_| case.is_ec2),
            ..Facts::default()
        }
    }
}
