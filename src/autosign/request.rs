//! Reads a certificate request strictly, and checks what does not depend on any rule: that it is whole,
//! for the name that the server says, signed with its own key, and has nothing twice.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::check::{Checks, Refusal};
use super::strict_pem;
use crate::pki::der::{self, NotDer, Reader, Value};
use crate::pki::public_key::{PublicKey, sha256};
use crate::pki::{oid, proof};
use crate::secret::Secret;

/// The largest request that is read, in bytes. One with a key of 8192 bits, a session token and an
/// identity document takes 12 KiB.
pub const LARGEST: usize = 64 * 1024;

/// What a request says.
#[derive(Clone, Debug)]
pub struct Csr {
    /// The public key as SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The common name.
    pub name: String,
    /// Attributes other than the extension request: dotted OID, and the one value as text, or none where
    /// it is no text.
    pub attributes: Vec<(String, Option<Secret>)>,
    /// Requested extensions: dotted OID, and the content of the OCTET STRING.
    pub extensions: Vec<(String, Vec<u8>)>,
}

impl Csr {
    /// The one value of an attribute; none if it is missing or is no text.
    #[must_use]
    pub fn attribute(&self, dotted: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(oid, _)| oid == dotted)?;
        value.as_ref().map(Secret::expose)
    }

    /// SHA-256 of the public key, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn key_sha256(&self) -> String {
        sha256(&self.spki)
    }
}

/// A request before the checks: its parts as they are encoded.
struct Parts<'a> {
    info: Value<'a>,
    subject: Value<'a>,
    spki: Value<'a>,
    attributes: Reader<'a>,
    algorithm: Value<'a>,
    signature: Value<'a>,
}

/// Reads a request in PEM, and checks it. Each check is noted.
///
/// # Errors
/// The first check that fails.
pub fn read(bytes: &[u8], certname: &str, checks: &mut Checks) -> Result<Csr, Refusal> {
    checks.add("size", check_size(bytes))?;
    let block =
        checks.take("PEM", strict_pem::decode(bytes), |_| "one CERTIFICATE REQUEST".to_owned())?;
    let parts = checks.take("DER", parts(&block).map_err(|NotDer| no_request()), |_| {
        "a certificate request, version 0".to_owned()
    })?;
    let name = checks.take("subject", check_subject(parts.subject, certname), Clone::clone)?;
    checks.add("own signature", check_own_signature(&parts))?;
    let attributes = checks.take("attributes", check_attributes(parts.attributes), |found| {
        format!("{}, each once, with one value", found.len())
    })?;
    let (attributes, requested) = split(attributes);
    let extensions = checks.take("extension list", check_extensions(requested), |found| {
        format!("{}, each once", found.len())
    })?;
    Ok(Csr { spki: parts.spki.raw.to_vec(), name, attributes, extensions })
}

fn no_request() -> Refusal {
    Refusal::data("it is not a PKCS#10 certificate request in DER")
}

/// Stops a request so large that judging it would take the server's memory and time.
fn check_size(bytes: &[u8]) -> Result<String, Refusal> {
    match bytes.len() {
        0 => Err(Refusal::data("there is no request: standard input is empty")),
        length if length > LARGEST => {
            Err(Refusal::data(format!("the request is larger than {LARGEST} bytes")))
        }
        length => Ok(format!("{length} bytes")),
    }
}

/// RFC 2986, section 4.
fn parts(bytes: &[u8]) -> Result<Parts<'_>, NotDer> {
    let mut outer = Reader::new(bytes);
    let mut request = outer.enter(der::SEQUENCE)?;
    outer.finish()?;
    let info = request.take(der::SEQUENCE)?;
    let algorithm = request.take(der::SEQUENCE)?;
    let signature = request.take(der::BIT_STRING)?;
    request.finish()?;
    let mut inner = Reader::new(info.content);
    if inner.take(der::INTEGER)?.content != [0] {
        return Err(NotDer);
    }
    let subject = inner.take(der::SEQUENCE)?;
    let spki = inner.take(der::SEQUENCE)?;
    let attributes = inner.enter(der::CONTEXT_0)?;
    inner.finish()?;
    Ok(Parts { info, subject, spki, attributes, algorithm, signature })
}

/// Stops a request for one name that was judged under another: the subject is the certname, and nothing
/// else.
fn check_subject(subject: Value<'_>, certname: &str) -> Result<String, Refusal> {
    let only = |subject: Value<'_>| -> Result<String, NotDer> {
        let mut names = Reader::new(subject.content);
        let mut set = names.enter(der::SET)?;
        names.finish()?;
        let mut pair = set.enter(der::SEQUENCE)?;
        set.finish()?;
        let oid = pair.take(der::OID)?;
        let value = pair.any()?;
        pair.finish()?;
        if oid::of_content(oid.content).as_deref() != Some(oid::COMMON_NAME) {
            return Err(NotDer);
        }
        text_of(value).ok_or(NotDer)
    };
    let name = only(subject)
        .map_err(|NotDer| Refusal::data("the subject is not one common name and nothing else"))?;
    // A pattern of a rule ends at a line's end for some readers, and goes on for others.
    if name.chars().any(char::is_control) {
        return Err(Refusal::data("the name has control characters"));
    }
    // What Puppet Server accepts (`validate-subject!`): the name becomes that of a file.
    if name.is_empty() || !name.chars().all(|c| matches!(c, ' '..='~') && c != '/') {
        return Err(Refusal::data(format!(
            "the name {name:?} is not one or more characters of printable ASCII without a slash"
        )));
    }
    if name == certname {
        return Ok(name);
    }
    Err(Refusal::data(format!("the request is for the name {name:?}, not for {certname:?}")))
}

/// A text in one of the three string types that are also UTF-8.
pub(super) fn text_of(value: Value<'_>) -> Option<String> {
    let is_text = match value.tag {
        der::UTF8_STRING => true,
        der::PRINTABLE_STRING | der::IA5_STRING => value.content.is_ascii(),
        _ => false,
    };
    let text = std::str::from_utf8(value.content).ok().filter(|_| is_text)?;
    Some(text.to_owned())
}

/// Stops a request with somebody else's public key, and so a proof that was made for that key: whoever
/// asks must have the private key.
fn check_own_signature(parts: &Parts<'_>) -> Result<String, Refusal> {
    let unreadable = |NotDer| Refusal::data("the key or the signature of the request is not DER");
    let (algorithm, name) =
        algorithm(parts).map_err(unreadable)?.ok_or_else(|| Refusal::data(ACCEPTED))?;
    let [0, key @ ..] = key_of(parts.spki).map_err(unreadable)? else {
        return Err(unreadable(NotDer));
    };
    let [0, signature @ ..] = parts.signature.content else { return Err(unreadable(NotDer)) };
    match UnparsedPublicKey::new(algorithm, key).verify(parts.info.raw, signature) {
        Ok(()) => Ok(name.to_owned()),
        Err(_) if has_small_key(parts.spki) => Err(Refusal::data(ACCEPTED)),
        Err(_) => Err(Refusal::data("the request is not signed with its own key, or was changed")),
    }
}

/// Why a key or its signature is refused.
const ACCEPTED: &str = "the request's key or signature is not accepted: use RSA of 2048 to 8192 bits with SHA-256, SHA-384 or SHA-512 (PKCS #1 v1.5), or a key on P-256 or P-384 with SHA-256 or SHA-384";

/// Whether it is an RSA key that is too small for any signature to be accepted.
fn has_small_key(spki: Value<'_>) -> bool {
    PublicKey::from_spki(spki.raw).is_ok_and(|key| key.bits() < 2048)
}

/// The bit string of the key.
fn key_of(spki: Value<'_>) -> Result<&[u8], NotDer> {
    let mut parts = Reader::new(spki.content);
    parts.take(der::SEQUENCE)?;
    let key = parts.take(der::BIT_STRING)?;
    parts.finish()?;
    Ok(key.content)
}

/// Kinds of keys, and their curves.
const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

/// The only parameters of RSA (RFC 8017 A.1, RFC 4055 5).
const NULL: &str = "NULL";

/// The signature's algorithm, if it fits the key: none if it does not, or is not accepted.
fn algorithm(
    parts: &Parts<'_>,
) -> Result<Option<(&'static dyn VerificationAlgorithm, &'static str)>, NotDer> {
    let [signed, null] = identifier(parts.algorithm)?;
    let [key, of_key] = identifier(Reader::new(parts.spki.content).take(der::SEQUENCE)?)?;
    Ok(match [key.as_str(), &of_key, &signed, &null] {
        [RSA, NULL, oid::SHA256_WITH_RSA, NULL] => {
            Some((&RSA_PKCS1_2048_8192_SHA256, "RSA, SHA-256"))
        }
        [RSA, NULL, "1.2.840.113549.1.1.12", NULL] => {
            Some((&RSA_PKCS1_2048_8192_SHA384, "RSA, SHA-384"))
        }
        [RSA, NULL, "1.2.840.113549.1.1.13", NULL] => {
            Some((&RSA_PKCS1_2048_8192_SHA512, "RSA, SHA-512"))
        }
        [EC, P256, "1.2.840.10045.4.3.2", ""] => Some((&ECDSA_P256_SHA256_ASN1, "P-256, SHA-256")),
        [EC, P256, "1.2.840.10045.4.3.3", ""] => Some((&ECDSA_P256_SHA384_ASN1, "P-256, SHA-384")),
        [EC, P384, "1.2.840.10045.4.3.2", ""] => Some((&ECDSA_P384_SHA256_ASN1, "P-384, SHA-256")),
        [EC, P384, "1.2.840.10045.4.3.3", ""] => Some((&ECDSA_P384_SHA384_ASN1, "P-384, SHA-384")),
        _ => None,
    })
}

/// The OID of an AlgorithmIdentifier, and its parameters: a curve, [`NULL`], or nothing.
fn identifier(value: Value<'_>) -> Result<[String; 2], NotDer> {
    let mut parts = Reader::new(value.content);
    let oid = oid::of_content(parts.take(der::OID)?.content).ok_or(NotDer)?;
    if parts.is_empty() {
        return Ok([oid, String::new()]);
    }
    let parameters = parts.any()?;
    parts.finish()?;
    let parameters = match (parameters.tag, parameters.content) {
        (der::OID, curve) => oid::of_content(curve).ok_or(NotDer)?,
        (der::NULL, []) => NULL.to_owned(),
        // Those of RSASSA-PSS, for example. No accepted algorithm has them.
        _ => "others".to_owned(),
    };
    Ok([oid, parameters])
}

/// An attribute's OID, and the content of its SET, which has one value.
type Attribute<'a> = (String, Value<'a>);

/// Stops a request with two attributes of one kind, or two values of one: the server could take the
/// other one.
fn check_attributes(mut list: Reader<'_>) -> Result<Vec<Attribute<'_>>, Refusal> {
    let mut found: Vec<Attribute<'_>> = Vec::new();
    let mut before: &[u8] = &[];
    while !list.is_empty() {
        let attribute = list.take(der::SEQUENCE).map_err(|NotDer| no_request())?;
        // DER sorts a SET OF. The server encodes the request anew to verify it, and so in this order.
        if attribute.raw < before {
            return Err(Refusal::data("the attributes are not in the order of DER"));
        }
        before = attribute.raw;
        let (oid, mut values) = pair(attribute.content).map_err(|NotDer| no_request())?;
        if found.iter().any(|(seen, _)| *seen == oid) {
            return Err(Refusal::data(format!("the attribute {oid} is there twice")));
        }
        let only = values.any().and_then(|only| values.finish().map(|()| only));
        let only =
            only.map_err(|NotDer| Refusal::data(format!("the attribute {oid} has not one value")))?;
        if PROOFS.contains(&oid.as_str()) && only.tag != der::UTF8_STRING {
            return Err(Refusal::data(format!("the attribute {oid} is not a UTF8String")));
        }
        found.push((oid, only));
    }
    Ok(found)
}

/// Attributes of one type only. Of others, such as Puppet's, more types of texts are in use.
const PROOFS: [&str; 3] = [proof::IAM, proof::IDENTITY_DOCUMENT, proof::IDENTITY_SIGNATURE];

fn pair(content: &[u8]) -> Result<(String, Reader<'_>), NotDer> {
    let mut attribute = Reader::new(content);
    let oid = oid::of_content(attribute.take(der::OID)?.content).ok_or(NotDer)?;
    let values = attribute.enter(der::SET)?;
    attribute.finish()?;
    Ok((oid, values))
}

/// Microsoft's attribute for a list of extensions, which is not read here.
const MICROSOFTS: &str = "1.3.6.1.4.1.311.2.1.14";

/// Tells the lists of extensions from all other attributes.
type Lists<'a> = Vec<(String, Value<'a>)>;
fn split(found: Vec<Attribute<'_>>) -> (Vec<(String, Option<Secret>)>, Lists<'_>) {
    let is_list =
        |(oid, _): &Attribute<'_>| [oid::EXTENSION_REQUEST, MICROSOFTS].contains(&oid.as_str());
    let (lists, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_list);
    let text = |(oid, value): Attribute<'_>| (oid, text_of(value).map(Secret::new));
    (others.into_iter().map(text).collect(), lists)
}

/// Stops a request with one extension twice, or with a second list of them that is judged by nobody.
fn check_extensions(lists: Lists<'_>) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for (oid, list) in lists {
        if oid != oid::EXTENSION_REQUEST {
            return Err(Refusal::data(format!("there is a second list of extensions ({oid})")));
        }
        for (oid, content) in extensions(list).map_err(|NotDer| no_request())? {
            if found.iter().any(|(seen, _)| *seen == oid) {
                return Err(Refusal::data(format!("the extension {} is there twice", named(&oid))));
            }
            found.push((oid, content));
        }
    }
    Ok(found)
}

fn extensions(list: Value<'_>) -> Result<Vec<(String, Vec<u8>)>, NotDer> {
    if list.tag != der::SEQUENCE {
        return Err(NotDer);
    }
    let (mut list, mut found) = (Reader::new(list.content), Vec::new());
    while !list.is_empty() {
        let mut extension = list.enter(der::SEQUENCE)?;
        let oid = oid::of_content(extension.take(der::OID)?.content).ok_or(NotDer)?;
        let mut content = extension.any()?;
        if content.tag == der::BOOLEAN {
            // FALSE is the default, which DER leaves out.
            if content.content != [0xff] {
                return Err(NotDer);
            }
            content = extension.any()?;
        }
        extension.finish()?;
        if content.tag != der::OCTET_STRING {
            return Err(NotDer);
        }
        found.push((oid, content.content.to_vec()));
    }
    Ok(found)
}

/// Puppet's short name of an OID, or else the OID.
pub(super) fn named(dotted: &str) -> String {
    oid::name_of(dotted).map_or_else(|| dotted.to_owned(), str::to_owned)
}
