//! The certificate request for Puppet's CA.
//!
//! Source: Puppet's documentation, "CSR attributes and certificate extensions".

use std::collections::BTreeMap;

use super::csr_attributes::Entry;
use super::{Puppet, PuppetSite, csr_attributes};
use crate::engines::Requested;
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::pki::{CsrSpec, oid, proof};
use crate::secret::Secret;

/// The request, and for the log what was left out of it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsrPlan {
    pub spec: CsrSpec,
    pub notes: Vec<String>,
}

/// Plans the request for the node `name`. With `auto_renew` it says that the node renews its certificate. Sources, a later one overriding an earlier one: instance
/// tags, the node's facts, `csr_attributes.yaml`, the settings.
///
/// # Errors
/// `Config` where `csr_attributes.yaml` or the file of OID names can't be used.
pub fn csr(
    settings: &Puppet,
    facts: &Facts,
    site: &PuppetSite,
    name: &str,
    auto_renew: bool,
) -> Result<CsrPlan, Fault> {
    let (found, mut attributes, notes) = collect(settings, facts, site)?;
    if auto_renew && attributes.iter().all(|(dotted, _)| dotted != oid::AUTO_RENEW) {
        attributes.push((oid::AUTO_RENEW.to_owned(), Secret::new("true".to_owned())));
    }
    let extensions = found.into_iter().map(|(dotted, (value, _))| (dotted, value)).collect();
    let spec = CsrSpec { name: name.to_owned(), extensions, attributes, dns_names: Vec::new() };
    Ok(CsrPlan { spec, notes })
}

/// Adds the instance identity document and its signature, byte for byte.
///
/// # Errors
/// `Config` where this is not an EC2 instance. `Transient` where the metadata service gave no document
/// or no signature: it may give them later.
pub fn add_identity(spec: &mut CsrSpec, facts: &Facts) -> Result<(), Fault> {
    const ON: &str = "proof = \"instance-identity\" in [puppet-server]";
    let Some(ec2) = &facts.ec2 else {
        let what = "the instance identity document is needed, and this is not an EC2 instance";
        return Err(Fault::new(Kind::Config, what, ON, "set proof to \"iam\" or \"none\""));
    };
    let signature = ec2.identity.signature.clone().filter(|_| !ec2.identity.document.is_empty());
    let signature = signature.ok_or_else(|| {
        let what = "the metadata service gives no signed instance identity document";
        let todo = "wait; if it lasts, set proof to \"iam\"";
        Fault::new(Kind::Transient, what, ON, todo)
    })?;
    let document = Secret::new(ec2.identity.document.clone());
    for (dotted, value) in
        [(proof::IDENTITY_DOCUMENT, document), (proof::IDENTITY_SIGNATURE, Secret::new(signature))]
    {
        spec.attributes.retain(|(known, _)| known != dotted);
        spec.attributes.push((dotted.to_owned(), value));
    }
    Ok(())
}

/// Whether a request can have the identity document.
///
/// # Errors
/// As for [`add_identity`].
pub fn check_identity(facts: &Facts) -> Result<(), Fault> {
    add_identity(&mut CsrSpec::default(), facts)
}

/// The extension requests, each with its source.
///
/// # Errors
/// As [`csr`].
pub fn requested(
    settings: &Puppet,
    facts: &Facts,
    site: &PuppetSite,
) -> Result<Vec<Requested>, Fault> {
    let (found, ..) = collect(settings, facts, site)?;
    let shown = |(dotted, (value, source)): (String, (Secret, &'static str))| {
        let name = oid::name_of(&dotted).map_or(dotted, str::to_owned);
        let value = if oid::is_secret(&name) { "(secret)" } else { value.expose() };
        Requested { value: value.to_owned(), name, source }
    };
    Ok(found.into_iter().map(shown).collect())
}

/// The extensions by their OID, with value and source; the custom attributes; and what was left out.
type Collected = (BTreeMap<String, (Secret, &'static str)>, Vec<(String, Secret)>, Vec<String>);

fn collect(settings: &Puppet, facts: &Facts, site: &PuppetSite) -> Result<Collected, Fault> {
    let (mut tags, mut own, mut file) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut notes = Vec::new();
    add_tags(settings, facts, &mut tags, &mut notes);
    add_own(facts, &mut own);
    let attributes = add_file(site, &mut file)?;
    let set = settings.extension_requests.iter();
    let set = set.filter_map(|(name, value)| Some((oid::resolve(name)?, value.clone()))).collect();
    let mut all = BTreeMap::new();
    for (source, found) in [
        ("instance tag", tags),
        ("this node", own),
        ("csr_attributes.yaml", file),
        ("settings", set),
    ] {
        all.extend(found.into_iter().map(|(dotted, value)| (dotted, (value, source))));
    }
    Ok((all, attributes, notes))
}

fn add_tags(
    settings: &Puppet,
    facts: &Facts,
    extensions: &mut BTreeMap<String, Secret>,
    notes: &mut Vec<String>,
) {
    let Some(ec2) = &facts.ec2 else { return };
    if settings.tag_prefix.is_empty() {
        return;
    }
    let shown = ec2.tags.iter().map(|(tag, value)| (tag, value.as_str()));
    let secret = ec2.secret_tags.iter().map(|(tag, value)| (tag, value.expose()));
    for (tag, value) in shown.chain(secret).filter(|(tag, _)| tag.starts_with(&settings.tag_prefix))
    {
        match oid::resolve(tag) {
            // A user who may tag instances must not be able to give them rights on the server.
            Some(dotted) if oid::is_under(&dotted, oid::AUTHORIZATION_ARC) => {
                notes.push(format!(
                    "tag {tag} is left out: tags can't set authorization extensions"
                ));
            }
            Some(_) if value.is_empty() => {
                notes.push(format!("tag {tag} is left out: it is empty"));
            }
            Some(dotted) => {
                extensions.insert(dotted, Secret::new(value.to_owned()));
            }
            None => {
                notes
                    .push(format!("tag {tag} is left out: Puppet knows no extension of this name"));
            }
        }
    }
}

fn add_own(facts: &Facts, extensions: &mut BTreeMap<String, Secret>) {
    let mut add = |name: &str, value: Option<&str>| {
        if let (Some(dotted), Some(value)) = (oid::resolve(name), value.filter(|v| !v.is_empty())) {
            extensions.insert(dotted, Secret::new(value.to_owned()));
        }
    };
    add("pp_hostname", Some(&facts.hostname));
    if let Some(ec2) = &facts.ec2 {
        add("pp_instance_id", Some(&ec2.instance_id));
        add("pp_image_name", ec2.image_id.as_deref());
        add("pp_region", ec2.region.as_deref());
        add("pp_zone", ec2.zone.as_deref());
        add("pp_cloudplatform", Some("aws"));
    }
}

/// Attributes and extensions that Puppet's agent sets itself and refuses in `csr_attributes.yaml` (its
/// source, `ssl/certificate_request.rb`).
const PUPPETS_OWN: [&str; 6] = [
    "extReq",
    "1.2.840.113549.1.9.14",
    "msExtReq",
    "1.3.6.1.4.1.311.2.1.14",
    "subjectAltName",
    "2.5.29.17",
];

/// Adds the extensions of `csr_attributes.yaml`, and returns its custom attributes.
fn add_file(
    site: &PuppetSite,
    extensions: &mut BTreeMap<String, Secret>,
) -> Result<Vec<(String, Secret)>, Fault> {
    if let Some((path, why)) = &site.unread {
        let what = "a file that is needed for the certificate request can't be read";
        let todo = "make it a readable UTF-8 file, or remove it";
        return Err(Fault::new(Kind::Config, what, path, todo).cause(why));
    }
    let Some(text) = &site.csr_attributes else {
        return Ok(Vec::new());
    };
    let default = format!("{}/csr_attributes.yaml", site.confdir);
    let path = site.csr_attributes_path.clone().unwrap_or(default);
    let file = AttributesFile { path, names: site_names(site)? };
    let parsed = csr_attributes::parse(text.expose()).map_err(|error| {
        let what = "csr_attributes.yaml can't be used".to_owned();
        file.fault(error.line, what, "correct this line, or remove the file").because(&error)
    })?;
    for entry in parsed.extension_requests {
        let (dotted, value) = file.extension(entry)?;
        extensions.insert(dotted, value);
    }
    parsed.custom_attributes.into_iter().map(|entry| file.attribute(entry)).collect()
}

/// The path of `csr_attributes.yaml`, and the site's own names for OIDs.
struct AttributesFile {
    path: String,
    names: BTreeMap<String, String>,
}

impl AttributesFile {
    fn fault(&self, line: usize, what: String, todo: &str) -> Fault {
        Fault::new(Kind::Config, what, format!("{}, line {line}", self.path), todo)
    }

    /// The OID of this name, unless Puppet's agent sets that one itself.
    fn resolve(&self, name: &str) -> Option<String> {
        if PUPPETS_OWN.contains(&name) {
            return None;
        }
        let dotted = oid::resolve(name).or_else(|| oid::resolve(self.names.get(name)?))?;
        (!PUPPETS_OWN.contains(&dotted.as_str())).then_some(dotted)
    }

    fn extension(&self, entry: Entry) -> Result<(String, Secret), Fault> {
        let Entry { name, value, line } = entry;
        let dotted = self.resolve(&name).ok_or_else(|| {
            let what = format!("{name:?} is not an extension that Puppet accepts");
            let todo = "use a name such as pp_role, a dotted OID, or one of custom_trusted_oid_mapping.yaml";
            self.fault(line, what, todo)
        })?;
        if oid::is_under(&dotted, oid::AUTHORIZATION_ARC) {
            let what = format!(
                "{name} is an authorization extension, which only enlist's own settings may ask for"
            );
            return Err(self.fault(line, what, "move it to extension_requests in [puppet]"));
        }
        Ok((dotted, value))
    }

    fn attribute(&self, entry: Entry) -> Result<(String, Secret), Fault> {
        let Entry { name, value, line } = entry;
        if name == "challengePassword" {
            return Ok((oid::CHALLENGE_PASSWORD.to_owned(), value));
        }
        let is_name = oid::arcs(&name).is_some() || self.names.contains_key(&name);
        let dotted = self.resolve(&name).filter(|_| is_name);
        let dotted = dotted.ok_or_else(|| {
            let what = format!("the custom attribute {name:?} is not an OID that Puppet accepts");
            self.fault(line, what, "use a dotted OID, or challengePassword")
        })?;
        Ok((dotted, value))
    }
}

/// The site's own names for OIDs.
fn site_names(site: &PuppetSite) -> Result<BTreeMap<String, String>, Fault> {
    let Some((path, text)) = &site.oid_mapping else {
        return Ok(BTreeMap::new());
    };
    csr_attributes::parse_mapping(text).map_err(|error| {
        let what = "Puppet's file of names for OIDs can't be used";
        let on = format!("{path}, line {}", error.line);
        Fault::new(Kind::Config, what, on, "correct this line, or remove the file").because(&error)
    })
}
