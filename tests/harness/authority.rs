//! The emulator's signing CA, shared by all control planes. It signs each request once, because signing
//! is slow.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use enlist_emulator::ca::{
    Authority, Csr, CsrError, ListTimes, Order, Refusal, Revoked, SigningCa,
};
use enlist_emulator::now::Now;

use super::node::START;

static SIGNER: Mutex<Option<Signer>> = Mutex::new(None);

struct Signer {
    ca: SigningCa,
    /// By public key, name, serial number, lifetime and day. The tests share this CA, and some set the
    /// clock years ahead; within a day a certificate is valid for all, as it is dated back by a day.
    signed: BTreeMap<(Vec<u8>, String, u64, Duration, u64), String>,
    /// By what is revoked and since when.
    lists: BTreeMap<String, String>,
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

/// The CA's certificates, in PEM.
pub fn bundle() -> String {
    Registrar::new(Now::from_unix_seconds(START.unsigned_abs())).bundle
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
        once(now, order, SigningCa::sign)
    }

    fn issue(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        once(now, order, SigningCa::issue)
    }

    fn revocation_list(&self, revoked: &[Revoked], times: ListTimes) -> Result<String, Refusal> {
        with(times.made, |signer| {
            let key = format!("{revoked:?} {times:?}");
            if let Some(known) = signer.lists.get(&key) {
                return Ok(known.clone());
            }
            let made = signer.ca.revocation_list(revoked, times)?;
            signer.lists.insert(key, made.clone());
            Ok(made)
        })
    }
}

/// Signs, unless the same was signed before.
fn once(
    now: Now,
    order: &Order<'_>,
    sign: impl FnOnce(&mut SigningCa, Now, &Order<'_>) -> Result<String, Refusal>,
) -> Result<String, Refusal> {
    with(now, |signer| {
        if order.wrong.is_some() {
            return sign(&mut signer.ca, now, order);
        }
        let (key, name) = (order.csr.public_key.clone(), order.node_name.to_owned());
        let day = now.unix_seconds() / (24 * 60 * 60);
        let key = (key, name, order.serial, order.lifetime, day);
        if let Some(known) = signer.signed.get(&key) {
            return Ok(known.clone());
        }
        let made = sign(&mut signer.ca, now, order)?;
        signer.signed.insert(key, made.clone());
        Ok(made)
    })
}

fn with<T>(now: Now, work: impl FnOnce(&mut Signer) -> T) -> T {
    let mut signer = SIGNER.lock().unwrap_or_else(PoisonError::into_inner);
    let signer = signer.get_or_insert_with(|| Signer {
        ca: SigningCa::generate(now, "puppet-test").unwrap(),
        signed: BTreeMap::new(),
        lists: BTreeMap::new(),
        read: BTreeMap::new(),
    });
    work(signer)
}
