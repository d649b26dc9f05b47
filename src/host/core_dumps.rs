//! No core dumps: the memory of this process holds keys and activation codes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};

/// Disables core dumps in two ways: a size limit of 0, and `PR_SET_DUMPABLE` (prctl(2)) for
/// collectors that ignore the limit. The latter also keeps the same user's processes from attaching.
pub fn disable() {
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::debug!(%error, "the limit on core dumps can't be set");
    }
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "core dumps can't be switched off");
    }
}
