//! What this process leaves behind of itself: no copy of its memory, which holds keys and codes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};

/// No core dump, whoever collects them: a limit of 0 for files and for collectors that heed it,
/// and no dumping (prctl(2), `PR_SET_DUMPABLE`) for those that do not. The latter keeps others of
/// the same user from attaching to it, too.
pub fn disable() {
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::debug!(%error, "the limit on core dumps can't be set");
    }
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "core dumps can't be switched off");
    }
}
