//! Certificate signing requests: what they ask for, and what a Puppet CA refuses.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate signing request, read but not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    /// The subject's common name, when the subject is exactly that.
    pub common_name: Option<String>,
    /// The public key: SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// The requested extensions, in the request's order.
    pub extensions: Vec<CsrExtension>,
    /// Whether the request is signed by the key it carries.
    pub proven: bool,
}

/// An extension that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsrExtension {
    /// The object identifier's arcs.
    pub oid: Vec<u64>,
    /// The content of the extension's OCTET STRING, as sent.
    pub value: Vec<u8>,
    /// The DNS names, when it is a subjectAltName that has only those.
    pub dns_names: Option<Vec<String>>,
}

/// Text that is not a certificate signing request.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// The PEM armour is missing or broken.
    #[error("the certificate signing request is not PEM")]
    NotPem,
    /// Another kind of PEM block.
    #[error("a PEM block '{label}' is not a certificate signing request")]
    OtherLabel {
        /// What the armour says.
        label: String,
    },
    /// The armour holds something else than PKCS#10.
    #[error("the PEM block does not hold a PKCS#10 request")]
    NotPkcs10,
}

/// Why the CA does not sign a request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// The request's signature does not fit its key.
    #[error("the request is not signed by the key it carries")]
    Unproven,
    /// The subject is not the common name of this node.
    #[error("the subject is '{subject}', not CN={node_name}")]
    OtherSubject {
        /// The common name found, or empty.
        subject: String,
        /// The name it must have.
        node_name: String,
    },
    /// Puppet takes no upper-case letters in names.
    #[error("certificate names must be lower case")]
    UpperCase,
    /// Puppet does not take this name.
    #[error("the subject's format is invalid: letters, digits, _, - and dots, no - at the end")]
    NameFormat,
    /// `certificate/ca` is the authority's own.
    #[error("the name 'ca' is the authority's own")]
    OwnName,
    /// The CA keeps each certificate in a file of its name.
    #[error("the name has {length} characters; a file's name has at most 255, `.pem` among them")]
    NameLength {
        /// How many it has.
        length: usize,
    },
    /// `pp_authorization` and its like would give the node rights on the server.
    #[error("the request has authorization extensions, which are not allowed")]
    Authorization,
    /// Names beside the node's own.
    #[error("the request has alternative names, which are not allowed")]
    AlternativeNames,
    /// Puppet Server signs only extensions it knows.
    #[error("the extension {oid} is not permitted")]
    Extension {
        /// In dotted form.
        oid: String,
    },
    /// The certificate could not be made.
    #[error("the certificate could not be made: {reason}")]
    Signing {
        /// What the library said.
        reason: String,
    },
}

/// Puppet's own arc; 1 and 2 below it are registered and private extensions, 3 authorization.
pub const PUPPET_ARC: [u64; 8] = [1, 3, 6, 1, 4, 1, 34380, 1];
pub const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
const CSR_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

impl Csr {
    /// Reads a request in PEM. Its signature is checked, but only noted: a wrong one is a reason
    /// not to sign, not a reason not to understand.
    ///
    /// # Errors
    /// When the text is not PEM or does not hold a PKCS#10 request.
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        let block = pem::parse(text).map_err(|_| CsrError::NotPem)?;
        if !CSR_LABELS.contains(&block.tag()) {
            return Err(CsrError::OtherLabel { label: block.tag().to_owned() });
        }
        match X509CertificationRequest::from_der(block.contents()) {
            Ok(([], request)) => Ok(Self::from_request(&request)),
            _ => Err(CsrError::NotPkcs10),
        }
    }

    fn from_request(request: &X509CertificationRequest<'_>) -> Self {
        let info = &request.certification_request_info;
        let mut attributes = info.subject.iter_attributes();
        let common_name = match (info.subject.iter_common_name().next(), attributes.nth(1)) {
            (Some(name), None) => name.as_str().ok().map(str::to_owned),
            _ => None,
        };
        let requested =
            info.iter_attributes().flat_map(|attribute| match attribute.parsed_attribute() {
                ParsedCriAttribute::ExtensionRequest(request) => request.extensions.as_slice(),
                _ => &[],
            });
        Self {
            common_name,
            public_key: info.subject_pki.raw.to_vec(),
            extensions: requested.map(CsrExtension::of).collect(),
            proven: request.verify_signature().is_ok(),
        }
    }

    /// A request that asks for what a certificate has: its name, key, and the extensions that Puppet
    /// copies. None when `der` is no certificate.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common_name = certificate.subject().iter_common_name().next();
        let extensions = certificate.extensions().iter().map(CsrExtension::of);
        let copied = |oid: &[u64]| oid == SUBJECT_ALT_NAME || oid.starts_with(&PUPPET_ARC);
        Some(Self {
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            public_key: certificate.public_key().raw.to_vec(),
            extensions: extensions.filter(|extension| copied(&extension.oid)).collect(),
            proven: true,
        })
    }

    /// What Puppet Server checks before it signs.
    ///
    /// # Errors
    /// The first reason not to sign.
    pub fn check(&self, node_name: &str, allow_authorization: bool) -> Result<(), Refusal> {
        if !self.proven {
            return Err(Refusal::Unproven);
        }
        if self.common_name.as_deref() != Some(node_name) {
            return Err(Refusal::OtherSubject {
                subject: self.common_name.clone().unwrap_or_default(),
                node_name: node_name.to_owned(),
            });
        }
        check_name(node_name)?;
        self.extensions.iter().try_for_each(|ext| ext.check(node_name, allow_authorization))
    }
}

/// What a request has beside what is certified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `challengePassword`.
    pub challenge_password: Option<String>,
    /// Puppet's `pp_auth_auto_renew`: the node will renew its certificate.
    pub auto_renew: bool,
    /// The alternative names as Puppet writes them: `DNS:web`, `IP:10.0.0.1`.
    pub alternative_names: Vec<String>,
}

/// 1.3.6.1.4.1.34380.1.3.2 in DER, and the SET after it as far as the string's tag.
const AUTO_RENEW: [u8; 15] = [6, 11, 0x2b, 6, 1, 4, 1, 0x82, 0x8c, 0x4c, 1, 3, 2, 0x31, 6];

impl Attributes {
    /// Reads them from a request in PEM; what is no request has none.
    #[must_use]
    pub fn of_pem(text: &str) -> Self {
        let block = pem::parse(text).ok();
        let der = block.as_ref().map(pem::Pem::contents).unwrap_or_default();
        let Ok((_, request)) = X509CertificationRequest::from_der(der) else {
            return Self::default();
        };
        let info = request.certification_request_info.raw;
        let mut found = Self { auto_renew: is_auto_renew(info), ..Self::default() };
        for attribute in request.certification_request_info.iter_attributes() {
            if let ParsedCriAttribute::ChallengePassword(password) = attribute.parsed_attribute() {
                found.challenge_password = Some(password.0.clone());
            }
            if let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() {
                for extension in &asked.extensions {
                    if let ParsedExtension::SubjectAlternativeName(names) =
                        extension.parsed_extension()
                    {
                        found.alternative_names.extend(names.general_names.iter().map(shown_name));
                    }
                }
            }
        }
        found
    }
}

/// Whether the attribute is there with the string `true`. The parser of requests gives no value of an
/// attribute that it does not know.
fn is_auto_renew(info: &[u8]) -> bool {
    let is_it = |part: &[u8]| {
        part.strip_prefix(&AUTO_RENEW)
            .is_some_and(|rest| matches!(rest, [_, 4, b't', b'r', b'u', b'e']))
    };
    info.windows(AUTO_RENEW.len() + 6).any(is_it)
}

pub fn shown_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::IPAddress([a, b, c, d]) => format!("IP:{a}.{b}.{c}.{d}"),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 16]>::try_from(*bytes).map(std::net::Ipv6Addr::from);
            address.map_or_else(|_| "IP:".to_owned(), |address| format!("IP:{address}"))
        }
        other => other.to_string(),
    }
}

/// The longest name whose file, `NAME.pem`, the server can save.
const LONGEST_NAME: usize = 251;

/// Which of the names that the API takes a Puppet server does not.
fn check_name(name: &str) -> Result<(), Refusal> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let first = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.chars().any(|letter| letter.is_ascii_uppercase()) {
        return Err(Refusal::UpperCase);
    }
    if !name.starts_with(first) || name.ends_with('-') || !name.chars().all(inner) {
        return Err(Refusal::NameFormat);
    }
    if name == "ca" {
        return Err(Refusal::OwnName);
    }
    let length = name.chars().count();
    if length > LONGEST_NAME { Err(Refusal::NameLength { length }) } else { Ok(()) }
}

impl CsrExtension {
    fn of(extension: &X509Extension<'_>) -> Self {
        let dns_names = match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                names.general_names.iter().map(dns_name).collect()
            }
            _ => None,
        };
        Self {
            oid: extension.oid.iter().map(Iterator::collect).unwrap_or_default(),
            value: extension.value.to_vec(),
            dns_names,
        }
    }

    /// Alternative names are off by default, but for the one that repeats the common name.
    fn check(&self, node_name: &str, allow_authorization: bool) -> Result<(), Refusal> {
        if self.oid == SUBJECT_ALT_NAME {
            let only_own = |names: &Vec<String>| names.iter().all(|name| name == node_name);
            let fine = self.dns_names.as_ref().is_some_and(only_own);
            return if fine { Ok(()) } else { Err(Refusal::AlternativeNames) };
        }
        match self.oid.strip_prefix(&PUPPET_ARC).and_then(<[u64]>::first) {
            Some(1 | 2) => Ok(()),
            Some(3) if allow_authorization => Ok(()),
            Some(3) => Err(Refusal::Authorization),
            _ => Err(Refusal::Extension { oid: dotted(&self.oid) }),
        }
    }
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

pub fn dotted(oid: &[u64]) -> String {
    oid.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}
