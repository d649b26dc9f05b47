//! A tar archive (POSIX.1-1988, "ustar") of a few texts, without compression.

const BLOCK: usize = 512;

/// An archive of names and texts, all with mode 0600 and root's. A name has at most 100 bytes; a longer one
/// is cut. `unix` is the time of all.
#[must_use]
pub fn archive(files: &[(&str, &str)], unix: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, text) in files {
        bytes.extend(header(name, text.len(), unix));
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end it.
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

fn header(name: &str, length: usize, unix: i64) -> Vec<u8> {
    let of = |checksum: &str| {
        let mut header = Vec::with_capacity(BLOCK);
        // Name, mode, user, group, size, time, checksum; then the type of the file, magic and version.
        for (text, width) in [
            (name, 100),
            ("0000600", 8),
            ("0000000", 8),
            ("0000000", 8),
            (&format!("{length:011o}"), 12),
            (&format!("{:011o}", unix.max(0)), 12),
            (checksum, 8),
            ("0", 1),
            ("", 100),
            ("ustar", 6),
            ("00", 2),
        ] {
            let end = header.len() + width;
            header.extend(text.bytes().take(width));
            header.resize(end, 0);
        }
        header.resize(BLOCK, 0);
        header
    };
    // The sum is made with blanks in its own place.
    let sum: u32 = of("        ").iter().map(|byte| u32::from(*byte)).sum();
    of(&format!("{sum:06o}\0 "))
}
