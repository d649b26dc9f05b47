//! The proof `instance-identity`: the document of the metadata service, with AWS's signature.
//!
//! Source: EC2 User Guide, "Instance identity documents". It proves that such an instance exists, and
//! that the asker could read its metadata. It is not bound to a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Proven;
use super::check::{Checks, Refusal};
use super::json::object;
use super::regions::{self, RegionKey};
use super::sts::{is_account, is_instance_id};
use super::time::rfc3339;
use crate::fault::Kind;
use crate::pki::proof::sts_host;

/// The members of the document that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    account_id: String,
    instance_id: String,
    region: String,
    pending_time: String,
    availability_zone: Option<String>,
    image_id: Option<String>,
}

/// The region that the document says. It is not verified: it only selects the key.
///
/// # Errors
/// If it is not a document.
pub fn region_of(document: &str) -> Result<String, Refusal> {
    parse(document).map(|document| document.region)
}

fn parse(document: &str) -> Result<Document, Refusal> {
    object(document)
        .ok_or_else(|| Refusal::data("the instance identity document is not the JSON of one"))
}

/// Verifies a document, and returns what it says. `added` is the certificate of its region that the
/// settings add, PEM.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    document: &str,
    signature: Option<&str>,
    added: Option<&str>,
    checks: &mut Checks,
) -> Result<Proven, Refusal> {
    let said =
        checks.take("instance-identity: document", parse(document), |_| "whole".to_owned())?;
    let keys = checks
        .take("instance-identity: region", keys(&said.region, added), |_| said.region.clone())?;
    let signature = check_signature(document, signature, &said.region, &keys);
    checks.add("instance-identity: signature", signature)?;
    checks.take("instance-identity: content", proven(said), |_| "whole".to_owned())
}

/// Stops a document that another region's key has signed: each region has a certificate, and the
/// document's own region says which one it must be.
fn keys(region: &str, added: Option<&str>) -> Result<Vec<RegionKey>, Refusal> {
    if let Some(pem) = added {
        return RegionKey::of_certificates(pem).ok_or_else(|| {
            let why = format!(
                "{region}.pem in certificates of [identity] is not one or more RSA certificates in PEM"
            );
            Refusal::new(Kind::Config, why)
        });
    }
    // Nobody has signed this text yet, and it is part of the advice.
    if sts_host(region).is_none() {
        return Err(Refusal::data(
            "the region of the instance identity document is not a region of AWS",
        ));
    }
    regions::key_of(region).map(|key| vec![key]).ok_or_else(|| {
        Refusal::rejected(format!(
            "no certificate is known for the region {region:?}: put AWS's RSA certificate in certificates of [identity], as {region}.pem"
        ))
    })
}

/// Stops a document that was edited: the signature is over its bytes.
fn check_signature(
    document: &str,
    signature: Option<&str>,
    region: &str,
    keys: &[RegionKey],
) -> Result<String, Refusal> {
    let signature = signature
        .ok_or_else(|| Refusal::data("the instance identity document comes without a signature"))?;
    let compact: String = signature.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).map_err(|_| {
        Refusal::data("the signature of the instance identity document is not base64")
    })?;
    if keys.iter().any(|key| key.has_signed(document.as_bytes(), &bytes)) {
        return Ok(format!("by AWS's key of {region}"));
    }
    Err(Refusal::rejected(format!(
        "AWS's key of {region} has not signed this instance identity document"
    )))
}

fn proven(said: Document) -> Result<Proven, Refusal> {
    let pending = rfc3339(&said.pending_time);
    if !is_account(&said.account_id) || !is_instance_id(&said.instance_id) || pending.is_none() {
        return Err(Refusal::data("the instance identity document has not the content of one"));
    }
    Ok(Proven {
        account: Some(said.account_id),
        instance_id: Some(said.instance_id),
        partition: Some(regions::partition_of(&said.region).to_owned()),
        region: Some(said.region),
        zone: said.availability_zone,
        image: said.image_id,
        began: pending,
        ..Proven::default()
    })
}
