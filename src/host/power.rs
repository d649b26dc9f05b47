//! Whether the machine is going down for good, as far as that can be told.

use std::time::Duration;

use super::process::{self, Network};
use super::root::Root;

const LIMIT: Duration = Duration::from_secs(2);

/// Whether the service manager is powering the machine off or halting it, as opposed to a reboot
/// or to the stop of one service: by the jobs in its queue.
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
            tracing::debug!(%error, "systemctl list-jobs");
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
    fn powering_off_is_told_from_rebooting_and_stopping() {
        assert!(names_power_off(
            "  90 poweroff.target start waiting\n 7 enlist.service stop running\n"
        ));
        assert!(names_power_off("1 halt.target start running"));
        assert!(!names_power_off("  90 reboot.target start waiting\n"));
        assert!(!names_power_off("7 enlist.service stop running\n"));
        assert!(!names_power_off("No jobs running.\n"));
    }
}
