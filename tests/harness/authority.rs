//! The emulator's signing CA, shared by all control planes. It signs each request once, because signing
//! is slow.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use enlist_emulator::ca::{Authority, Csr, CsrError, Order, Refusal, SigningCa};
use enlist_emulator::now::Now;

static SIGNER: Mutex<Option<Signer>> = Mutex::new(None);

struct Signer {
    ca: SigningCa,
    /// By public key, name and serial number.
    signed: BTreeMap<(Vec<u8>, String, u64), String>,
    read: BTreeMap<String, Csr>,
}

pub struct Registrar {
    bundle: String,
}

impl Registrar {
    pub fn new(now: Now) -> Self {
        let bundle = with(now, |signer| signer.ca.bundle().to_owned());
        Self { bundle }
    }
}

impl Authority for Registrar {
    fn bundle(&self) -> &str {
        &self.bundle
    }

    fn read(&self, text: &str) -> Result<Csr, CsrError> {
        with(Now::from_unix_ms(0), |signer| {
            if let Some(known) = signer.read.get(text) {
                return Ok(known.clone());
            }
            let read = Csr::from_pem(text)?;
            signer.read.insert(text.to_owned(), read.clone());
            Ok(read)
        })
    }

    fn sign(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        with(now, |signer| {
            if order.wrong.is_some() {
                return signer.ca.sign(now, order);
            }
            let key = (order.csr.public_key.clone(), order.node_name.to_owned(), order.serial);
            if let Some(known) = signer.signed.get(&key) {
                return Ok(known.clone());
            }
            let made = signer.ca.sign(now, order)?;
            signer.signed.insert(key, made.clone());
            Ok(made)
        })
    }
}

fn with<T>(now: Now, work: impl FnOnce(&mut Signer) -> T) -> T {
    let mut signer = SIGNER.lock().unwrap_or_else(PoisonError::into_inner);
    let signer = signer.get_or_insert_with(|| Signer {
        ca: SigningCa::generate(now, "puppet-test").unwrap(),
        signed: BTreeMap::new(),
        read: BTreeMap::new(),
    });
    work(signer)
}
