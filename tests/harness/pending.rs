//! Crash points that are left out because what comes after them is known to go wrong. Each is to
//! become `true` with the change that mends it.

/// Between making a directory and giving it its mode: it stays narrower than it was to be.
pub const TORN_DIRECTORIES: bool = false;

/// Between the agent's success and our tidying up after it: the next start takes the vault for
/// proof, and leaves the copies of the former one, their mark, and a service that was stopped.
pub const HANDED_OVER_UNTIDIED: bool = false;

/// A join that was cut short before its record said `joined`, and then leaving. What stays: the
/// files of a bundle that was being installed (the record does not name them yet), the staged
/// key and the engine's hold where there is no record yet, temporary files, an instance on
/// premises whose RegisterInstance was not answered, a managed instance that the agent had just
/// registered; and Chef can't leave at all (`CHEF_ORGANIZATION` is missing).
pub const LEFT_HALF_JOINED: bool = false;

/// In the middle of setting another machine's files aside: the next start sets them aside in
/// another directory, and the temporary file (half of a private key, perhaps) stays in the first.
pub const ASIDE_HALF_WRITTEN: bool = false;
