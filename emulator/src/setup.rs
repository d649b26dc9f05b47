//! From options to the parts of an emulator.

#![allow(clippy::disallowed_methods, reason = "the room that reads the CA's files")]

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand;

use crate::ca::{KeptCa, SigningCa};
use crate::control::{
    ChefSettings, ControlSettings, DEFAULT_SERVER, Fault, OpsWorksCmSettings, OpsWorksSettings,
    Place, SsmSettings, StsSettings,
};
use crate::emulator::StartError;
use crate::imds::{self, IdentityKey, Imds};
use crate::now::Now;
use crate::options::{CaSource, Options};
use crate::random::Random;
use crate::sigv4::Credentials;

/// Environment variables that would lead a client elsewhere than the emulator's own; take them from
/// a child's environment.
pub const MISLEADING_ENV: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL_OPSWORKS",
    "AWS_ENDPOINT_URL_OPSWORKSCM",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

/// The metadata service; its tokens differ from the control plane's.
pub(crate) fn imds(
    options: &Options,
    credentials: &Credentials,
    identity: Arc<IdentityKey>,
    seed: u64,
) -> Imds {
    let mut instance = options.instance.clone();
    instance.role = options.role.clone().map(|role| (role, credentials.clone()));
    let mut imds = Imds::new(instance, options.imds, Box::new(identity), !seed);
    for fault in options.faults.iter().filter(|fault| is_imds(fault)) {
        imds.inject(fault.clone());
    }
    imds
}

fn is_imds(fault: &Fault) -> bool {
    fault.action == imds::ACTION
}

pub(crate) fn control_settings(
    options: &Options,
    credentials: Credentials,
    identity: Arc<IdentityKey>,
    seed: u64,
) -> ControlSettings {
    let place = Place {
        region: options.client_region().to_owned(),
        account: options.instance.account.clone(),
    };
    ControlSettings {
        credentials: Some(credentials),
        region: options.region.clone(),
        denied: options.denied.clone(),
        throttle: options.throttle,
        faults: options.faults.iter().filter(|fault| !is_imds(fault)).cloned().collect(),
        seed,
        opsworks_cm: OpsWorksCmSettings {
            servers: options.servers(),
            association_time: options.association_time,
            disassociation_time: options.disassociation_time,
            token_lifetime: options.token_lifetime,
            certificate_lifetime: options.certificate_lifetime,
            times: options.times,
            server_limit: options.server_limit,
            backup_limit: options.backup_limit,
            endpoint: options.endpoint.clone(),
            place: place.clone(),
        },
        opsworks: OpsWorksSettings {
            stacks: options.stacks(),
            registration_time: options.registration_time,
            setup_time: options.setup_time,
            identity: Some(identity),
            place: place.clone(),
        },
        ssm: SsmSettings {
            roles: options.ssm_roles.clone(),
            parameters: options.ssm_parameters.clone(),
            place,
        },
        sts: StsSettings {
            account: options.instance.account.clone(),
            region: options.client_region().to_owned(),
            session: options.role.clone().map(|role| (role, options.instance.id.clone())),
        },
        puppet_ca: options.puppet_ca.clone(),
        chef: ChefSettings { validator_key: options.validator_key.clone() },
    }
}

/// The CA of the Puppet servers: of files, or the one that was kept, or a new one.
///
/// # Errors
/// When it cannot be read or made.
pub(crate) fn signing_ca(
    options: &Options,
    kept: Option<&KeptCa>,
    now: Now,
) -> Result<SigningCa, StartError> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        text.map_err(|source| StartError::CaFile { path: path.to_owned(), source })
    };
    let ca = match (&options.ca, kept) {
        (CaSource::Files { certificates, key }, _) => {
            SigningCa::from_pem(&read(certificates)?, &read(key)?)?
        }
        (_, Some(kept)) => SigningCa::from_kept(kept)?,
        (CaSource::Own, None) => SigningCa::generate(now, DEFAULT_SERVER)?,
        (CaSource::Shared, None) => SigningCa::shared(now, DEFAULT_SERVER)?,
    };
    Ok(ca.allow_authorization_extensions(options.allow_authorization_extensions))
}

/// Keys in AWS's form: those asked for, or kept, or new ones.
///
/// # Errors
/// When the machine gives no randomness.
pub(crate) fn credentials(
    options: &Options,
    kept: Option<Credentials>,
) -> Result<Credentials, StartError> {
    let fits = |kept: &Credentials| kept.session_token.is_some() == options.role.is_some();
    if let Some(kept) = kept.filter(|kept| options.access_key.is_none() && fits(kept)) {
        return Ok(kept);
    }
    let mut random = Random::new(random_seed()?);
    // Long-term keys begin with AKIA, temporary ones with ASIA.
    let prefix = if options.role.is_some() { "ASIA" } else { "AKIA" };
    let access_key = format!("{prefix}{}", random.hex(1).to_uppercase());
    let secret_key = random.hex(3).chars().take(40).collect();
    Ok(Credentials {
        access_key: options.access_key.clone().unwrap_or(access_key),
        secret_key: options.secret_key.clone().unwrap_or(secret_key),
        session_token: options.role.as_ref().map(|_| random.hex(8)),
    })
}

/// A seed that nobody chose.
///
/// # Errors
/// When the machine gives no randomness.
pub(crate) fn random_seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| StartError::Randomness)?;
    Ok(u64::from_le_bytes(bytes))
}

/// What [`Emulator::env`](crate::Emulator::env) gives out.
pub(crate) fn environment(
    options: &Options,
    credentials: &Credentials,
    api_url: &str,
    imds_url: &str,
) -> Vec<(String, String)> {
    let region = options.client_region();
    // The Python SDK appends its paths to this one as it stands.
    let imds_url = format!("{imds_url}/");
    let mut pairs = vec![
        ("AWS_ENDPOINT_URL", api_url),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds_url),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
    ];
    if options.role.is_none() {
        pairs.push(("AWS_ACCESS_KEY_ID", &credentials.access_key));
        pairs.push(("AWS_SECRET_ACCESS_KEY", &credentials.secret_key));
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
