//! What happens to a node, each with the MESSAGE_ID under which the journal finds it
//! (systemd.journal-fields(7); the ids are random, made once with `systemd-id128 new`).

pub const JOINED: &str = "5fe7ae50ef534e05adadcdb339a15cd3";
pub const FAILED: &str = "a86daaf4209244ddb6c2d86b8b857a24";
pub const RECOVERED: &str = "deb09c9bc25940e3ad7b4f1b48016a19";
pub const RENEWED: &str = "72bbfc51681c4fa9b1353d3dadd930c4";
pub const DAMAGED: &str = "b92d9c18e4d1456abf78bb8408ed3673";
pub const REPAIRED: &str = "a13e8bdbbb9f434f96f270b74b6c7c57";
pub const LEFT: &str = "47dfa89765b64bc1a7652818dbb9a028";
pub const ENDING: &str = "10708e77cd8a467ca40885f4ad887bfa";
