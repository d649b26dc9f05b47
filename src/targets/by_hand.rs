//! A join whose messages a person carries, because the node can't reach the authority. The file that a
//! person brings has the authority's answer in PEM blocks.

use super::Target;
use crate::engines::{Authority, EngineId};
use crate::fault::{Fault, Kind};
use crate::pki::certificate::is_of_ca;
use crate::secret::Secret;

/// The blocks of an answer, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Certificates that are not of a CA, each in PEM.
    pub certificates: Vec<String>,
    /// The certificates of CAs, in PEM, as they are in the file.
    pub ca: String,
    /// Revocation lists, in PEM.
    pub lists: String,
    pub public_key: Option<String>,
    pub private_key: Option<Secret>,
}

/// Why a file is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    #[error("it has no PEM block")]
    Empty,
    #[error("its block {0} is cut short or damaged")]
    Damaged(String),
    #[error("its certificate {0} can't be read")]
    NotX509(usize),
    #[error("it has two blocks {0}, and one is expected")]
    Twice(String),
    #[error("it has the certificate request, which goes to the authority; the answer is expected")]
    Request,
    #[error("it has a block {0}, which no answer has")]
    Strange(String),
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

impl Carried {
    /// Sorts the PEM blocks of a text. What stands between them is ignored.
    ///
    /// # Errors
    /// The first block that does not belong into an answer.
    pub fn parse(text: &str) -> Result<Self, CarriedError> {
        let mut carried = Self::default();
        let mut rest = text;
        let mut count = 0;
        while let Some((label, block, after)) = next_block(rest)? {
            rest = after;
            carried.add(label, block, &mut count)?;
        }
        if carried == Self::default() { Err(CarriedError::Empty) } else { Ok(carried) }
    }

    fn add(&mut self, label: &str, block: &str, count: &mut usize) -> Result<(), CarriedError> {
        let damaged = || CarriedError::Damaged(label.to_owned());
        let twice = || CarriedError::Twice(label.to_owned());
        // The host parses a private key; no copy of it is made here.
        if label.ends_with("PRIVATE KEY") {
            let former = self.private_key.replace(Secret::new(block.to_owned()));
            return former.map_or(Ok(()), |_| Err(twice()));
        }
        let parsed = pem::parse(block).map_err(|_| damaged())?;
        match label {
            "CERTIFICATE" => {
                *count += 1;
                if is_of_ca(parsed.contents()).ok_or(CarriedError::NotX509(*count))? {
                    self.ca.extend([block, "\n"]);
                } else {
                    self.certificates.push(format!("{block}\n"));
                }
            }
            "X509 CRL" => self.lists.extend([block, "\n"]),
            "PUBLIC KEY" => {
                let former = self.public_key.replace(format!("{block}\n"));
                return former.map_or(Ok(()), |_| Err(twice()));
            }
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => return Err(CarriedError::Request),
            other => return Err(CarriedError::Strange(other.to_owned())),
        }
        Ok(())
    }
}

/// The first block: its label, its text, and what comes after it.
fn next_block(text: &str) -> Result<Option<(&str, &str, &str)>, CarriedError> {
    let Some((_, block)) = text.find(BEGIN).and_then(|at| text.split_at_checked(at)) else {
        return Ok(None);
    };
    let damaged = |label: &str| CarriedError::Damaged(crate::text::phrase(label));
    let label = block.strip_prefix(BEGIN).and_then(|rest| rest.split_once(DASHES));
    let (label, _) =
        label.filter(|(label, _)| !label.contains('\n')).ok_or_else(|| damaged("?"))?;
    let end = format!("-----END {label}-----");
    let at = block.find(&end).ok_or_else(|| damaged(label))?;
    let (block, rest) = block.split_at_checked(at + end.len()).ok_or_else(|| damaged(label))?;
    Ok(Some((label, block, rest)))
}

/// The authority as far as it is known without asking it, for a request that is only printed.
pub(super) fn unasked(target: &(impl Target + ?Sized)) -> Result<Authority, Fault> {
    if target.engine() != EngineId::Puppet {
        return Err(impossible(target.id()));
    }
    let (endpoint, ca) = (target.authority_name(), String::new());
    Ok(Authority::Puppet { endpoint, ca, crl: None })
}

/// The fault of a target whose authority gives nothing that could be carried.
pub(super) fn impossible(id: &str) -> Fault {
    let what = "this target can't be joined without a network";
    let todo = "join it with `enlist join`; a person can carry the messages of [puppet-server] and [chef-server]";
    Fault::new(Kind::Usage, what, format!("target {id}"), todo)
}

/// The fault where an answer lacks something or can't be used.
pub(super) fn unusable(what: &str, node: Option<&str>, authority: &str, todo: &str) -> Fault {
    let node = node.map(|node| format!("node {node}, ")).unwrap_or_default();
    Fault::new(Kind::Data, what, format!("{node}{authority}"), todo)
}

#[cfg(test)]
mod tests {
    use super::{Carried, CarriedError};

    const LIST: &str = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";

    #[test]
    fn blocks_are_sorted_and_text_between_them_is_ignored() {
        let text = format!("name: web-1\n{LIST}\nmore\n  {KEY}\r\n{LIST}");
        let carried = Carried::parse(&text).unwrap();
        assert_eq!(carried.lists, format!("{LIST}\n{LIST}\n"));
        assert_eq!(carried.private_key.unwrap().expose(), KEY);
        assert_eq!(carried.public_key, None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let request =
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----";
        let strange = "-----BEGIN X-----\nAAAA\n-----END X-----";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        let cut = LIST.get(..LIST.len() - 2).unwrap();
        let damaged = |label: &str| CarriedError::Damaged(label.to_owned());
        for (text, error) in [
            ("", CarriedError::Empty),
            ("web-1", CarriedError::Empty),
            (cut, damaged("X509 CRL")),
            ("-----BEGIN \n-----", damaged("?")),
            (&LIST.replace("AAAA", "A\u{1f}ä"), damaged("X509 CRL")),
            (&format!("{KEY}\n{KEY}"), CarriedError::Twice("PRIVATE KEY".to_owned())),
            (request, CarriedError::Request),
            (strange, CarriedError::Strange("X".to_owned())),
            (no_certificate, CarriedError::NotX509(1)),
        ] {
            assert_eq!(Carried::parse(text), Err(error), "{text}");
        }
    }
}
