//! Certificate requests, proofs and signatures, made from the standards and not with the agent's code.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use aws_lc_rs::{digest, hmac};

pub const LABEL: &[u8] = b"enlist: GetCallerIdentity for a certificate request, version 1\0";

/// 2.25.322827852741838107059203560885903605876, as OpenSSL encodes it; the proofs are 1, 2 and 3.
pub const ARC: [u8; 20] = [
    0x69, 0x83, 0xe5, 0xde, 0xb1, 0x80, 0xc9, 0xfc, 0xe2, 0x8a, 0xb7, 0xa9, 0xa2, 0xfa, 0xfb, 0xb4,
    0xaa, 0xfb, 0x80, 0x74,
];
pub const CHALLENGE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7];
pub const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];

pub fn proof_oid(number: u8) -> Vec<u8> {
    [&ARC[..], &[number]].concat()
}

/// `1.3.6.1.4.1.34380.1.` and two arcs below 128.
pub fn puppet_oid(arc: u8, number: u8) -> Vec<u8> {
    vec![0x2b, 6, 1, 4, 1, 0x82, 0x8c, 0x4c, 1, arc, number]
}

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else if length < 0x100 {
        out.extend([0x81, length as u8]);
    } else if length < 0x1_0000 {
        out.extend([0x82, (length >> 8) as u8, length as u8]);
    } else {
        out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]);
    }
    out.extend(content);
    out
}

pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub struct Key {
    pair: KeyPair,
    pub spki: Vec<u8>,
}

impl Key {
    pub fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        Self { pair, spki }
    }

    /// Two keys, made once.
    pub fn one() -> &'static Self {
        static ONE: OnceLock<Key> = OnceLock::new();
        ONE.get_or_init(Self::new)
    }

    pub fn other() -> &'static Self {
        static OTHER: OnceLock<Key> = OnceLock::new();
        OTHER.get_or_init(Self::new)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// What a request says. Nothing is checked.
#[derive(Clone)]
pub struct Request {
    pub name: String,
    /// OID, and the values, each in DER.
    pub attributes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// OID and value in DER.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the attributes are in the order of DER, else in the opposite one.
    pub is_sorted: bool,
}

impl Request {
    pub fn new(name: &str) -> Self {
        let (attributes, extensions) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), attributes, extensions, is_sorted: true }
    }

    pub fn attribute(mut self, oid: Vec<u8>, text: &str) -> Self {
        self.attributes.push((oid, vec![utf8(text)]));
        self
    }

    pub fn iam(self, proof: &str) -> Self {
        self.attribute(proof_oid(1), proof)
    }

    pub fn extension(mut self, oid: Vec<u8>, text: &str) -> Self {
        self.extensions.push((oid, utf8(text)));
        self
    }

    fn info(&self, spki: &[u8]) -> Vec<u8> {
        let name = tlv(0x30, &[tlv(6, &[0x55, 4, 3]), utf8(&self.name)].concat());
        let subject = tlv(0x30, &tlv(0x31, &name));
        let mut attributes: Vec<Vec<u8>> = Vec::new();
        if !self.extensions.is_empty() {
            let list: Vec<u8> = self
                .extensions
                .iter()
                .flat_map(|(oid, value)| tlv(0x30, &[tlv(6, oid), tlv(4, value)].concat()))
                .collect();
            attributes.push(attribute(EXTENSION_REQUEST, &[tlv(0x30, &list)]));
        }
        attributes.extend(self.attributes.iter().map(|(oid, values)| attribute(oid, values)));
        attributes.sort();
        if !self.is_sorted {
            attributes.reverse();
        }
        let attributes = tlv(0xa0, &attributes.concat());
        tlv(0x30, &[tlv(2, &[0]), subject, spki.to_vec(), attributes].concat())
    }

    pub fn der(&self, key: &Key) -> Vec<u8> {
        self.der_of(&key.spki, key)
    }

    /// A request with this public key, signed with any key.
    pub fn der_of(&self, spki: &[u8], signer: &Key) -> Vec<u8> {
        let info = self.info(spki);
        let algorithm = tlv(
            0x30,
            &[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]), tlv(5, &[])].concat(),
        );
        let signature = tlv(3, &[&[0], &signer.sign(&info)[..]].concat());
        tlv(0x30, &[info, algorithm, signature].concat())
    }

    pub fn pem(&self, key: &Key) -> String {
        pem(&self.der(key))
    }
}

fn attribute(oid: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid), tlv(0x31, &values.concat())].concat())
}

pub fn pem(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der))
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn binding(spki: &[u8], name: &str) -> String {
    sha256(&[LABEL, spki, name.as_bytes()].concat())
}

/// A proof `iam`, before it is signed. Every part can be changed.
#[derive(Clone)]
pub struct Proof {
    pub region: String,
    pub host: String,
    pub date: String,
    pub token: Option<String>,
    /// Without it, the header is not signed.
    pub binding: Option<String>,
    pub service: String,
    pub access_key: String,
    pub secret_key: String,
}

pub const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLEtoken//////////wEaDGV1LWNlbnRyYWwtMSJH";
pub const ACCESS_KEY: &str = "ASIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

impl Proof {
    pub fn new(spki: &[u8], name: &str, date: &str) -> Self {
        Self {
            region: "eu-central-1".to_owned(),
            host: "sts.eu-central-1.amazonaws.com".to_owned(),
            date: date.to_owned(),
            token: Some(TOKEN.to_owned()),
            binding: Some(binding(spki, name)),
            service: "sts".to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", &self.host),
            ("x-amz-date", &self.date),
        ];
        headers.extend(self.token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.extend(self.binding.as_deref().map(|it| ("x-enlist-binding", it)));
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub fn authorization(&self) -> String {
        let headers = self.headers();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let signed = names.join(";");
        let scope = format!("{}/{}/{}/aws4_request", &self.date[..8], self.region, self.service);
        let signature = signature(&self.secret_key, &self.date, &scope, &headers, BODY);
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.access_key
        )
    }

    pub fn json(&self) -> String {
        self.json_with(&self.authorization())
    }

    pub fn json_with(&self, authorization: &str) -> String {
        let mut proof = serde_json::json!({
            "region": self.region,
            "authorization": authorization,
            "x-amz-date": self.date,
        });
        if let Some(token) = &self.token {
            proof["x-amz-security-token"] = token.clone().into();
        }
        proof.to_string()
    }
}

/// Signature Version 4 of `POST /` with these headers, which are in the order of their names.
pub fn signature(
    secret: &str,
    date: &str,
    scope: &str,
    headers: &[(String, String)],
    body: &str,
) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let canonical = format!("POST\n/\n\n{lines}\n{}\n{}", names.join(";"), sha256(body.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = mac(&key, part);
    }
    hex(&mac(&key, &text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}
