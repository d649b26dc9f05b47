//! Other processes in /proc: their users, and the programs they run.

use std::path::Path;

use super::root::Root;

/// Whether a process belongs to one of these users, to root, or to our user.
///
/// The user ids are those of proc_pid_status(5). The owner of the directory in /proc proves nothing:
/// it is root for every process that can't be dumped, and any user can start one.
#[must_use]
pub fn is_trusted(pid: u32, users: &[u32]) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let status = file(pid, "status").unwrap_or_default();
    user_ids(&status)
        .is_some_and(|ids| ids.iter().all(|id| *id == 0 || *id == own || users.contains(id)))
}

/// The arguments of a process.
#[must_use]
pub fn arguments(pid: u32) -> Vec<String> {
    let command = file(pid, "cmdline").unwrap_or_default();
    command.split('\0').map(str::to_owned).collect()
}

/// Whether a process runs a program whose file name contains this, as its program or as a shell's
/// script. A process whose program can't be read counts as one.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the kernel's own link, and it is not followed")]
pub fn runs(pid: u32, name: &str) -> bool {
    match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(program) => is_named(&program, &arguments(pid), name),
        Err(_) => true,
    }
}

/// The name of this process, changed until this is dropped.
#[derive(Debug)]
pub struct ProcessName {
    former: Option<String>,
}

impl ProcessName {
    /// Gives this process a name, as `ps -o comm` shows it (proc_pid_comm(5)).
    #[must_use]
    pub fn set(name: &str) -> Self {
        let former = Root::running_system().text(COMM).map(|name| name.trim_end().to_owned());
        write_name(name);
        Self { former }
    }
}

impl Drop for ProcessName {
    fn drop(&mut self) {
        if let Some(former) = &self.former {
            write_name(former);
        }
    }
}

const COMM: &str = "/proc/self/comm";

#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
fn write_name(name: &str) {
    if let Err(error) = std::fs::write(COMM, name) {
        tracing::debug!(%error, "the name of this process could not be changed");
    }
}

fn is_named(program: &Path, arguments: &[String], name: &str) -> bool {
    let is_named =
        |path: &Path| path.file_name().is_some_and(|file| file.to_string_lossy().contains(name));
    let is_shell = ["sh", "dash", "bash", "busybox"]
        .iter()
        .any(|shell| program.file_name().is_some_and(|name| name == *shell));
    is_named(program)
        || (is_shell && arguments.get(1).is_some_and(|script| is_named(Path::new(script))))
}

/// The real, effective and saved user id. All three count: a setuid program that another user
/// started has root as effective id.
fn user_ids(status: &str) -> Option<[u32; 3]> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut ids = line.split_whitespace().map(|id| id.parse().ok());
    Some([ids.next()??, ids.next()??, ids.next()??])
}

fn file(pid: u32, name: &str) -> Option<String> {
    Root::running_system().text(&format!("/proc/{pid}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::{COMM, ProcessName, Root, arguments, is_named, is_trusted, runs, user_ids};
    use std::path::Path;

    #[test]
    fn the_name_of_this_process_is_another_one_while_it_is_needed() {
        let name = || Root::running_system().text(COMM).unwrap_or_default();
        let before = name();
        let changed = ProcessName::set("enlist-puppet");
        assert_eq!(name(), "enlist-puppet\n");
        drop(changed);
        assert_eq!(name(), before);
    }

    #[test]
    fn this_process_is_trusted_and_not_an_agent() {
        let pid = std::process::id();
        assert!(is_trusted(pid, &[]) && !runs(pid, "ssm-agent") && !arguments(pid).is_empty());
        assert!(!is_trusted(u32::MAX, &[]), "no such process");
    }

    #[test]
    fn all_user_ids_of_a_process_count() {
        assert_eq!(
            user_ids("Name:\tsu\nUid:\t1000\t0\t0\t0\nGid:\t7\t7\t7\t7\n"),
            Some([1000, 0, 0])
        );
        assert_eq!(user_ids("Name:\tUid:\n"), None);
        assert_eq!(user_ids(""), None);
    }

    #[test]
    fn an_agent_is_its_program_or_its_script() {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (program, said, is) in [
            ("/usr/bin/amazon-ssm-agent", "x -register", true),
            ("/usr/bin/amazon-ssm-agent (deleted)", "x -register", true),
            ("/usr/bin/dash", "/bin/sh /usr/bin/amazon-ssm-agent -register", true),
            ("/usr/bin/dash", "/bin/sh -c amazon-ssm-agent", false),
            ("/usr/bin/sudo", "sudo amazon-ssm-agent -register", false),
            ("/usr/bin/vim", "amazon-ssm-agent -register", false),
        ] {
            let named = is_named(Path::new(program), &words(said), "ssm-agent");
            assert_eq!(named, is, "{program}");
        }
    }
}
