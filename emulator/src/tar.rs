//! Tar archives (POSIX.1-1988, "ustar") of a few small texts, and gzip without compression (RFC 1952,
//! RFC 1951).

use crate::zip::crc32;

const BLOCK: usize = 512;
/// The most bytes of a stored block of deflate.
const STORED: usize = 65_535;

/// An archive of `(name, text, mode)`. A name has at most 100 bytes.
pub fn archive(files: &[(&str, &str, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, text, mode) in files {
        bytes.extend(header(name, text.len(), *mode));
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end it.
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

fn header(name: &str, length: usize, mode: u32) -> Vec<u8> {
    let field = |text: String, width: usize| {
        let mut bytes = text.into_bytes();
        bytes.resize(width, 0);
        bytes
    };
    let with_checksum = |checksum: String| {
        [
            field(name.to_owned(), 100),
            field(format!("{mode:07o}"), 8),
            field(format!("{:07o}", 0), 8),
            field(format!("{:07o}", 0), 8),
            field(format!("{length:011o}"), 12),
            field(format!("{:011o}", 0), 12),
            checksum.into_bytes(),
            field("0".to_owned(), 101),
            field("ustar\u{0}00root".to_owned(), 40),
            field("root".to_owned(), 32),
            field(String::new(), 183),
        ]
        .concat()
    };
    // The sum is over the header with blanks in the place of the sum.
    let sum: u32 = with_checksum(" ".repeat(8)).iter().map(|byte| u32::from(*byte)).sum();
    with_checksum(format!("{sum:06o}\u{0} "))
}

/// The bytes as a gzip file, stored as they are.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, no extra flags, Unix.
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut blocks = bytes.chunks(STORED).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.push(u8::from(blocks.peek().is_none()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(bytes).to_le_bytes());
    file.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_its_length_and_sum() {
        let header = header("a", 5, 0o755);
        assert_eq!(header.len(), BLOCK);
        assert_eq!(header.get(124..136), Some(b"00000000005\0".as_slice()));
        let sum = header.get(148..155).map(|sum| String::from_utf8_lossy(sum).into_owned());
        let without: u32 = header.iter().enumerate().fold(0, |sum, (at, byte)| {
            sum + if (148..156).contains(&at) { 32 } else { u32::from(*byte) }
        });
        assert_eq!(sum, Some(format!("{without:06o}\u{0}")));
    }
}
