//! The part of DER (X.690, section 10) that certificate requests need: a strict reader, and a writer.
//!
//! The reader refuses what BER allows and DER does not: indefinite lengths, and lengths with more bytes
//! than needed. So every reader of the same bytes finds the same values in them.

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const IA5_STRING: u8 = 0x16;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0]`, constructed.
pub const CONTEXT_0: u8 = 0xa0;
/// `[2]`, primitive: a dNSName in a GeneralName.
pub const DNS_NAME: u8 = 0x82;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not DER of the expected structure")]
pub struct NotDer;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// All of it, with tag and length.
    pub raw: &'a [u8],
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever its tag.
    ///
    /// # Errors
    /// At the end, for a tag of several bytes, and for a length that is not DER's or is too large.
    pub fn any(&mut self) -> Result<Value<'a>, NotDer> {
        let whole = self.0;
        let [tag, first, after @ ..] = whole else { return Err(NotDer) };
        if tag & 0x1f == 0x1f {
            return Err(NotDer);
        }
        let (length, after) = match (*first, after) {
            (short @ 0..=0x7f, after) => (usize::from(short), after),
            (0x81, [one, after @ ..]) if *one >= 0x80 => (usize::from(*one), after),
            (0x82, [high, low, after @ ..]) if *high > 0 => {
                (usize::from(u16::from_be_bytes([*high, *low])), after)
            }
            (0x83, [high, middle, low, after @ ..]) if *high > 0 => {
                let bytes = [0, *high, *middle, *low];
                (usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| NotDer)?, after)
            }
            _ => return Err(NotDer),
        };
        let (content, rest) = after.split_at_checked(length).ok_or(NotDer)?;
        let raw = whole.get(..whole.len() - rest.len()).ok_or(NotDer)?;
        self.0 = rest;
        Ok(Value { tag: *tag, content, raw })
    }

    /// The next value, which must have this tag.
    ///
    /// # Errors
    /// As for [`Self::any`], and for another tag.
    pub fn take(&mut self, tag: u8) -> Result<Value<'a>, NotDer> {
        let value = self.any()?;
        if value.tag == tag { Ok(value) } else { Err(NotDer) }
    }

    /// A reader of the next value's content.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub fn enter(&mut self, tag: u8) -> Result<Self, NotDer> {
        self.take(tag).map(|value| Self(value.content))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// If something is left.
    pub fn finish(self) -> Result<(), NotDer> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

/// Encodes a value.
#[must_use]
pub fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut value = vec![tag];
    match significant.as_slice() {
        [] => value.push(0),
        [short @ 0..=0x7f] => value.push(*short),
        long => {
            value.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            value.extend_from_slice(long);
        }
    }
    value.extend_from_slice(content);
    value
}

/// Encodes a SEQUENCE of encoded values.
#[must_use]
pub fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    encode(SEQUENCE, &values.concat())
}

/// Encodes a SET OF with this tag, in DER's order: that of the encoded values.
#[must_use]
pub fn set_of(tag: u8, mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    encode(tag, &values.concat())
}

#[cfg(test)]
mod tests {
    use super::{INTEGER, NotDer, OCTET_STRING, Reader, encode, set_of};

    #[test]
    fn what_is_encoded_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let content = vec![7; length];
            let bytes = encode(OCTET_STRING, &content);
            let mut reader = Reader::new(&bytes);
            let value = reader.take(OCTET_STRING).unwrap();
            assert_eq!((value.content, value.raw), (&content[..], &bytes[..]));
            assert_eq!(reader.finish(), Ok(()));
            // Every shorter text is refused.
            for cut in [0, 1, bytes.len() - 1] {
                assert_eq!(Reader::new(&bytes[..cut]).any(), Err(NotDer), "{length}, {cut}");
            }
        }
    }

    #[test]
    fn what_ber_allows_and_der_does_not_is_refused() {
        for bytes in [
            &[0x30, 0x80, 0, 0][..],      // indefinite length
            &[0x04, 0x81, 0x01, 7],       // a length of two bytes for one
            &[0x04, 0x82, 0x00, 0x80],    // a leading zero
            &[0x04, 0x84, 0, 0, 0, 1, 7], // four bytes of length
            &[0x1f, 0x81, 0x01, 0],       // a tag of several bytes
            &[0x04, 0xff],                // reserved
        ] {
            assert_eq!(Reader::new(bytes).any(), Err(NotDer), "{bytes:x?}");
        }
        assert_eq!(Reader::new(&[4, 0]).take(INTEGER), Err(NotDer));
        assert_eq!(Reader::new(&[4, 0]).finish(), Err(NotDer));
    }

    #[test]
    fn a_set_is_in_the_order_of_its_bytes() {
        let set = set_of(0x31, vec![vec![2, 1, 9], vec![2, 1, 3]]);
        assert_eq!(set, [0x31, 6, 2, 1, 3, 2, 1, 9]);
    }
}
