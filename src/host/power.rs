//! Whether the machine is being powered off.

use std::time::Duration;

use super::process::{self, Network};
use super::root::Root;

const LIMIT: Duration = Duration::from_secs(2);

/// Whether the service manager is powering the machine off or halting it, by the jobs in its queue.
/// A reboot, or the stop of one service, does not count.
pub async fn is_going_off(root: &Root) -> bool {
    if !root.is_running_system() {
        return false;
    }
    match process::run(
        "systemctl",
        &["list-jobs", "--no-legend", "--no-pager"],
        LIMIT,
        Network::Unused,
    )
    .await
    {
        Ok(ended) => names_power_off(&ended.stdout),
        Err(error) => {
            tracing::debug!(%error, "systemctl list-jobs failed");
            false
        }
    }
}

/// Lines of `ID UNIT TYPE STATE`.
fn names_power_off(jobs: &str) -> bool {
    jobs.lines().any(|job| {
        let mut words = job.split_whitespace().skip(1);
        matches!(words.next(), Some("poweroff.target" | "halt.target"))
            && words.next() == Some("start")
    })
}

#[cfg(test)]
mod tests {
    use super::names_power_off;

    #[test]
    fn power_off_is_distinguished_from_reboot_and_stop() {
        assert!(names_power_off(
            "  90 poweroff.target start waiting\n 7 enlist.service stop running\n"
        ));
        assert!(names_power_off("1 halt.target start running"));
        assert!(!names_power_off("  90 reboot.target start waiting\n"));
        assert!(!names_power_off("7 enlist.service stop running\n"));
        assert!(!names_power_off("No jobs running.\n"));
    }
}
