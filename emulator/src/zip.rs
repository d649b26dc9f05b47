//! ZIP files of a few small texts, stored as they are. APPNOTE.TXT 6.3.10, 4.3.7, 4.3.12, 4.3.16.

/// A file that only its owner may read, or everybody: Unix modes, in the upper half of the external
/// attributes (APPNOTE 4.4.15).
const SECRET: u32 = 0o100_600 << 16;
const PLAIN: u32 = 0o100_644 << 16;
/// "Version made by": Unix, 2.0.
const MADE_BY: u16 = 0x0314;
/// "Version needed to extract": 2.0, for directories in names.
const NEEDED: u16 = 20;
/// 1980-01-01, the first day there is.
const DAY: u16 = 0x0021;

/// An archive of `(name, text, whether it is secret)`.
pub fn archive(files: &[(&str, &str, bool)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text, secret) in files {
        let offset = size(bytes.len());
        let entry = entry(name, text);
        bytes.extend([b'P', b'K', 3, 4]);
        bytes.extend(&entry);
        bytes.extend(name.as_bytes());
        bytes.extend(text.as_bytes());

        directory.extend([b'P', b'K', 1, 2]);
        directory.extend(MADE_BY.to_le_bytes());
        directory.extend(&entry);
        // No comment, disk 0, no internal attributes.
        directory.extend([0; 6]);
        directory.extend(if *secret { SECRET } else { PLAIN }.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX).to_le_bytes();
    let start = size(bytes.len());
    bytes.extend(&directory);
    bytes.extend([b'P', b'K', 5, 6, 0, 0, 0, 0]);
    bytes.extend([count, count].concat());
    bytes.extend(size(directory.len()).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    // No comment.
    bytes.extend([0; 2]);
    bytes
}

/// What a file's two headers have in common.
fn entry(name: &str, text: &str) -> Vec<u8> {
    let length = size(text.len()).to_le_bytes();
    let name_length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut entry = Vec::new();
    // No flags, stored, midnight.
    for number in [NEEDED, 0, 0, 0, DAY] {
        entry.extend(number.to_le_bytes());
    }
    entry.extend(crc32(text.as_bytes()).to_le_bytes());
    entry.extend([length, length].concat());
    entry.extend(name_length.to_le_bytes());
    // No extra field.
    entry.extend([0; 2]);
    entry
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// CRC-32 of ISO 3309, bit by bit: the files are small.
pub fn crc32(bytes: &[u8]) -> u32 {
    const REVERSED: u32 = 0xedb8_8320;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ REVERSED } else { crc >> 1 };
    let one = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, one)
}

#[cfg(test)]
mod tests {
    use super::crc32;

    /// The check value of CRC-32 in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
