//! The proof `iam`: a signed and unsent `sts:GetCallerIdentity`. Only region, authorization, date and
//! session token are taken from the request for a certificate. Everything else of the request to STS is
//! made here, the binding from the very key and name that are judged.

use super::Pattern;
use super::check::{Checks, Refusal};
use super::json::object;
use super::regions;
use super::request::Csr;
use super::time::{apart, date_of};
use crate::pki::proof::{self, IamProof};
use crate::text;

/// The largest session token, in bytes. Those of AWS have 1 to 2 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The request to STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsRequest {
    pub host: String,
    pub region: String,
    pub path: &'static str,
    /// Names in lower case. The value of the token is a secret.
    pub headers: Vec<(&'static str, String)>,
    pub body: &'static str,
}

/// Reads the proof, and checks what can be checked before STS is asked. `rules` are the `regions` of
/// each rule for this proof.
///
/// # Errors
/// The first check that fails.
pub fn request(
    text: &str,
    csr: &Csr,
    rules: &[&[Pattern]],
    now: i64,
    checks: &mut Checks,
) -> Result<StsRequest, Refusal> {
    let proof = checks.take("iam: proof", read(text), |_| "whole".to_owned())?;
    let host = checks.take("iam: host", check_host(&proof.region, rules), Clone::clone)?;
    let signed = checks.take("iam: authorization", read_authorization(&proof), |signed| {
        format!("access key {}", signed.key_id)
    })?;
    checks.add("iam: signed headers", check_signed_headers(&signed, &proof))?;
    checks.add("iam: date", check_date(&proof.date, now))?;
    checks.add("iam: session token", check_token(proof.token.as_deref()))?;
    Ok(to_send(&proof, &signed, host, csr))
}

fn read(text: &str) -> Result<IamProof, Refusal> {
    // An error of JSON would show a part of the token.
    object(text).ok_or_else(|| Refusal::data("the iam proof is not the JSON of one"))
}

/// Stops a proof that names another host than STS, which would answer whatever its owner likes. The
/// host is made from the region, below a domain of AWS's, and a rule must allow the region. It need not
/// be one that is known here: AWS adds regions.
fn check_host(region: &str, rules: &[&[Pattern]]) -> Result<String, Refusal> {
    let host = proof::sts_host(region).filter(|_| regions::is_well_formed(region));
    let host = host.ok_or_else(|| {
        Refusal::data(format!(
            "the iam proof is for {region:?}, which is no region of AWS that STS can be asked in"
        ))
    })?;
    if rules.iter().any(|rule| regions::any_allows(rule, region)) {
        return Ok(host);
    }
    Err(Refusal::rejected(format!(
        "the iam proof is for the region {region}, which no rule allows: name it in regions of the rule"
    )))
}

/// An `Authorization` header of Signature Version 4.
struct Authorization<'a> {
    key_id: &'a str,
    /// The day, as in the scope.
    day: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Stops a header that holds more than a signature for STS, of this day and region: the header is made
/// anew from the parts that are read here.
fn read_authorization(proof: &IamProof) -> Result<Authorization<'_>, Refusal> {
    let malformed =
        || Refusal::data("the authorization of the iam proof is not a Signature Version 4");
    let rest = proof.authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=");
    let (scope, rest) =
        rest.and_then(|it| it.split_once(", SignedHeaders=")).ok_or_else(malformed)?;
    let (signed_headers, signature) = rest.split_once(", Signature=").ok_or_else(malformed)?;
    let mut scope = scope.split('/');
    let parts = [scope.next(), scope.next(), scope.next(), scope.next(), scope.next()];
    let ([Some(key_id), Some(day), Some(region), Some(service), Some(end)], None) =
        (parts, scope.next())
    else {
        return Err(malformed());
    };
    let is_key_id = (16..=128).contains(&key_id.len())
        && key_id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_hex =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_key_id || signature.len() != 64 || !is_hex(signature) || end != "aws4_request" {
        return Err(malformed());
    }
    if service != "sts" || region != proof.region || !proof.date.starts_with(day) || day.len() != 8
    {
        return Err(Refusal::rejected(
            "the iam proof is signed for another service, region or day than it says",
        ));
    }
    Ok(Authorization { key_id, day, signed_headers, signature })
}

/// Stops a proof that does not sign the binding: such a request to STS may be anybody's, made for any
/// purpose. The headers are exactly these, so none that is signed is left out, and none is added.
fn check_signed_headers(signed: &Authorization<'_>, proof: &IamProof) -> Result<String, Refusal> {
    let expected = signed_headers(proof.token.is_some());
    if signed.signed_headers == expected {
        return Ok(expected);
    }
    Err(Refusal::rejected(format!(
        "the iam proof signs the headers {:?}, not {expected:?}",
        signed.signed_headers
    )))
}

fn signed_headers(has_token: bool) -> String {
    let mut names = vec!["accept", "content-type", "host", "x-amz-date"];
    if has_token {
        names.push("x-amz-security-token");
    }
    names.push(proof::BINDING_HEADER);
    names.join(";")
}

/// Stops an old proof, such as one from a copied disk or a log.
fn check_date(date: &str, now: i64) -> Result<String, Refusal> {
    let then = date_of(date).ok_or_else(|| {
        Refusal::data("the date of the iam proof is not one of Signature Version 4")
    })?;
    let shown = format!("{} by this machine's clock", apart(then, now));
    if (then - now).abs() <= proof::GOOD_FOR {
        return Ok(format!("signed {shown}"));
    }
    Err(Refusal::rejected(format!(
        "the iam proof was signed {shown} ({}), which is more than {} minutes: if it is new, the node's clock or this machine's is wrong",
        text::time(now),
        proof::GOOD_FOR / 60
    )))
}

/// Stops a token with line ends, which would add headers to the request.
fn check_token(token: Option<&str>) -> Result<String, Refusal> {
    let Some(token) = token else { return Ok("none: a long-term key".to_owned()) };
    let is_token =
        (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    if is_token {
        return Ok(format!("{} bytes", token.len()));
    }
    Err(Refusal::data("the session token of the iam proof is not one of AWS's"))
}

fn to_send(proof: &IamProof, signed: &Authorization<'_>, host: String, csr: &Csr) -> StsRequest {
    let Authorization { key_id, day, signed_headers, signature } = signed;
    let region = &proof.region;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key_id}/{day}/{region}/sts/aws4_request, SignedHeaders={signed_headers}, Signature={signature}"
    );
    let mut headers = vec![
        ("host", host.clone()),
        ("content-type", proof::CONTENT_TYPE.to_owned()),
        ("accept", proof::ACCEPT.to_owned()),
        ("x-amz-date", proof.date.clone()),
        // A proof under another key or name has another binding here than the one that was signed, and
        // STS refuses its signature.
        (proof::BINDING_HEADER, proof::binding(&csr.spki, &csr.name)),
        ("authorization", authorization),
    ];
    headers.extend(proof.token.clone().map(|token| ("x-amz-security-token", token)));
    StsRequest { host, region: region.clone(), path: proof::PATH, headers, body: proof::BODY }
}
