//! Names in certificates: how OpenSSL compares them, and what a CA's name constraints allow.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

use super::{ChainError, unsuitable};
use crate::pki::public_key::hex;

const EMAIL_ADDRESS: &str = "1.2.840.113549.1.9.1";

/// Checks the parts of name constraints that `webpki` ignores: common names that look like host
/// names, and e-mail addresses in the subject. `webpki` checks the rest.
pub(super) fn check_constraints(
    ca: &X509Certificate<'_>,
    lower: &X509Certificate<'_>,
    is_leaf: bool,
) -> Result<(), ChainError> {
    let Some(constraints) = ca.name_constraints().ok().flatten() else { return Ok(()) };
    let refuse = || Err(unsuitable(ca, "does not allow this name (its name constraints)"));
    let permitted: Vec<&GeneralName<'_>> =
        constraints.value.permitted_subtrees.iter().flatten().map(|tree| &tree.base).collect();
    let excluded: Vec<&GeneralName<'_>> =
        constraints.value.excluded_subtrees.iter().flatten().map(|tree| &tree.base).collect();
    let is_email = |name: &&GeneralName<'_>| matches!(name, GeneralName::RFC822Name(_));
    let has_email = lower
        .subject()
        .iter_attributes()
        .any(|attribute| attribute.attr_type().to_id_string() == EMAIL_ADDRESS);
    if has_email && (permitted.iter().any(is_email) || excluded.iter().any(is_email)) {
        return refuse();
    }
    if !is_leaf {
        return Ok(());
    }
    for name in host_names(lower) {
        let matches = |base: &&GeneralName<'_>| match base {
            GeneralName::DNSName(base) => is_below(&name, base),
            _ => false,
        };
        let is_host = |base: &&GeneralName<'_>| matches!(base, GeneralName::DNSName(_));
        let is_limited = permitted.iter().any(is_host);
        if excluded.iter().any(matches) || (is_limited && !permitted.iter().any(matches)) {
            return refuse();
        }
    }
    Ok(())
}

/// The host names of a certificate: those of its subjectAltName, or else the common names that look
/// like host names.
fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    // A name that can't be decoded can't be checked, so it must match nothing.
    let texts = common.map(|name| name.as_str().unwrap_or("unreadable.name").to_owned());
    texts.filter(|name| name.contains('.')).collect()
}

/// Whether a host name is in the subtree of a dNSName constraint (RFC 5280 §4.2.1.10).
fn is_below(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    if base.is_empty() || name == base {
        return true;
    }
    let above = name.strip_suffix(&base);
    above.is_some_and(|above| base.starts_with('.') || above.ends_with('.'))
}

/// Whether two names are equal as OpenSSL compares them: case and repeated spaces are ignored.
pub(super) fn is_same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || normalized(one) == normalized(other)
}

fn normalized(name: &X509Name<'_>) -> Vec<Vec<(String, String)>> {
    let attribute = |attribute: &AttributeTypeAndValue<'_>| {
        let text = attribute.as_str().map_or_else(|_| hex(attribute.as_slice()), folded);
        (attribute.attr_type().to_id_string(), text)
    };
    let rdn = |rdn: &RelativeDistinguishedName<'_>| {
        let mut attributes: Vec<_> = rdn.iter().map(attribute).collect();
        attributes.sort();
        attributes
    };
    name.iter_rdn().map(rdn).collect()
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{folded, is_below};

    #[test]
    fn a_constraint_covers_its_host_and_the_names_below_it() {
        for (name, base, covered) in [
            ("web.example.org", "example.org", true),
            ("example.org", "example.org", true),
            ("WEB.Example.org", "example.ORG", true),
            ("web.example.org", ".example.org", true),
            ("anything", "", true),
            ("badexample.org", "example.org", false),
            ("example.org", ".example.org", false),
            ("example.org", "web.example.org", false),
        ] {
            assert_eq!(is_below(name, base), covered, "{name} below {base}");
        }
    }

    #[test]
    fn case_and_repeated_spaces_make_no_difference() {
        assert_eq!(folded("  Puppet  CA\t1 "), "puppet ca 1");
    }
}
