//! Links the release build without unwind tables, which take 1 MB and which a program that aborts on a
//! panic never reads (docs/decisions/0016-no-unwind-tables.md).

#![allow(
    clippy::disallowed_methods,
    reason = "cargo passes everything to a build script in its environment"
)]

use std::env;

fn main() {
    const SCRIPT: &str = "packaging/no-unwind-tables.ld";
    println!("cargo::rerun-if-changed={SCRIPT}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Only the release profile aborts; cargo does not tell a build script the profile's panic strategy.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let directory = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        for argument in [format!("-Wl,-T,{directory}/{SCRIPT}"), "-Wl,--no-eh-frame-hdr".into()] {
            println!("cargo::rustc-link-arg-bin=enlist={argument}");
        }
    }
}
