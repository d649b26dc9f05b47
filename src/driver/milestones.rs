//! The MESSAGE_ID of each milestone of a node: `journalctl MESSAGE_ID=...` finds it
//! (systemd.journal-fields(7)). The ids are random, made once with `systemd-id128 new`.

/// This node has become a member.
pub const JOINED: &str = "5fe7ae50ef534e05adadcdb339a15cd3";
/// Something failed; it is tried again, or has been given up.
pub const FAILED: &str = "a86daaf4209244ddb6c2d86b8b857a24";
/// What had failed has succeeded.
pub const RECOVERED: &str = "deb09c9bc25940e3ad7b4f1b48016a19";
/// A new certificate is installed.
pub const RENEWED: &str = "72bbfc51681c4fa9b1353d3dadd930c4";
/// An installed file is missing or damaged.
pub const DAMAGED: &str = "b92d9c18e4d1456abf78bb8408ed3673";
/// An installed file is as it should be again.
pub const REPAIRED: &str = "a13e8bdbbb9f434f96f270b74b6c7c57";
/// This node has left.
pub const LEFT: &str = "47dfa89765b64bc1a7652818dbb9a028";
/// This instance or machine is about to end.
pub const ENDING: &str = "10708e77cd8a467ca40885f4ad887bfa";
