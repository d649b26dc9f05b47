//! Identifiers from a seed: the same seed gives the same tokens, so a run can be repeated.

use crate::hex;

/// A seeded sequence (SplitMix64, Steele et al. 2014). Good enough for identifiers that need only
/// be distinct; nothing secret is made from it.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// What goes on with the same sequence, as a seed.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.state
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An identifier in the form of a version 4 UUID: `x-amzn-RequestId` has it.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.next_u64(), self.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }

    /// `words` times 16 hexadecimal digits.
    pub fn hex(&mut self, words: usize) -> String {
        let bytes: Vec<u8> = (0..words).flat_map(|_| self.next_u64().to_be_bytes()).collect();
        hex::encode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first output for seed 1234567 is the one that the algorithm's reference code gives.
    #[test]
    fn the_sequence_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    }

    #[test]
    fn uuids_have_their_form() {
        let uuid = Random::new(1).uuid();
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes().get(14), Some(&b'4'));
        assert!(uuid.get(19..20).is_some_and(|variant| "89ab".contains(variant)));
    }
}
