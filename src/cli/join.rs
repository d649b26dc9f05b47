//! `enlist join`: drive every configured target until joined or the budget is spent.

use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use clap::Args;

use super::progress::Progress;
use super::{Global, printer, runtime};
use crate::bootstrap::{Outcome, Plan, Record, resume};
use crate::config::{ConfigError, Settings};
use crate::driver::drive;
use crate::fault::{Fault, Kind};
use crate::host::{AwsSettings, Host, Root, Store, facts, lock};

#[derive(Debug, Args)]
pub struct Options {
    /// Only this target (repeatable); by default every configured one
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
}

/// How often another enlist's lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

pub fn run(global: &Global, options: &Options, mut progress: Progress) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = global.settings(&root)?;
    select(&settings, &options.targets)?;
    runtime()?.block_on(async {
        let _lock = own_lock(&root, settings.budget).await?;
        let outcome = Box::pin(join(&root, &settings, &mut progress)).await;
        progress.finish();
        match outcome? {
            Outcome::Joined { already, record } => {
                printer::out(&summary(&root, &record, already));
                Ok(0)
            }
            Outcome::Failed(fault) => Err(fault),
        }
    })
}

async fn join(root: &Root, settings: &Settings, progress: &mut Progress) -> Result<Outcome, Fault> {
    let Some(target) = settings.opsworks_cm.clone() else {
        return Err(Fault::new(
            Kind::Invariant,
            "there is no target",
            "settings",
            "please report this",
        ));
    };
    let plan =
        Plan { target: Box::new(target), name: settings.name.clone(), budget: settings.budget };
    let word = plan.target.word();
    let aws = AwsSettings {
        region: settings.aws.region.clone(),
        profile: settings.aws.profile.clone(),
        endpoint_url: settings.aws.endpoint_url.clone(),
    };
    let record = Store::new(root.clone(), word).load()?;
    let mut host = Host::new(root.clone(), word, aws);
    let mut bootstrap = resume(plan, record, seed(root), host.now());
    Ok(drive(&mut bootstrap, &mut host, progress).await)
}

/// The targets to drive: those asked for have to be configured.
fn select(settings: &Settings, asked: &[String]) -> Result<Vec<&'static str>, ConfigError> {
    let configured = settings.targets();
    for word in asked {
        if !configured.contains(&word.as_str()) {
            return Err(ConfigError::NotConfigured {
                word: word.clone(),
                configured: configured.join(", "),
            });
        }
    }
    Ok(configured
        .into_iter()
        .filter(|word| asked.is_empty() || asked.iter().any(|a| a == word))
        .collect())
}

/// Service and user data may start together: one works, the other waits for it, and then finds
/// the node joined.
async fn own_lock(root: &Root, budget: Duration) -> Result<lock::OwnLock, Fault> {
    let began = Instant::now();
    let mut said = false;
    loop {
        if let Some(lock) = lock::try_own(root)? {
            return Ok(lock);
        }
        if began.elapsed() >= budget {
            let on = root.at(crate::target::STATE_DIR).join("lock").display().to_string();
            return Err(Fault::new(
                Kind::Host,
                "another enlist is at work",
                on,
                "let it finish, or stop it",
            ));
        }
        if !said {
            tracing::info!("another enlist is at work; waiting for it");
            said = true;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// From what tells this machine from others that booted with it.
fn seed(root: &Root) -> u64 {
    // Fixed keys: the same machine, the same jitter.
    #[expect(deprecated, reason = "SipHash with fixed keys is what is wanted")]
    let mut hasher = std::hash::SipHasher::new();
    facts::machine_id(root).hash(&mut hasher);
    for name in ["board_asset_tag", "product_uuid"] {
        root.line(&format!("/sys/class/dmi/id/{name}")).hash(&mut hasher);
    }
    root.line("/proc/sys/kernel/random/boot_id").hash(&mut hasher);
    hasher.finish()
}

/// What was made and where.
fn summary(root: &Root, record: &Record, already: bool) -> String {
    let word = if already { "already joined" } else { "joined" };
    let name = record.name.as_deref().unwrap_or("?");
    let mut rows: Vec<(String, String)> = record
        .installed
        .iter()
        .map(|file| (file.what.clone(), root.at(&file.path).display().to_string()))
        .collect();
    if let Some(grant) = &record.grant {
        rows.push(("valid until".to_owned(), printer::time(grant.not_after)));
    }
    let store = Store::new(root.clone(), &record.target);
    rows.push(("record".to_owned(), store.record_path().display().to_string()));
    format!("{word}: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}
