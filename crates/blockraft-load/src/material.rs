//! Blocks made from a seed: the same seed and number give the same bytes, in any process.

use blockraft_blocks::{Block, HashCode, Multihash};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::history::Key;

/// A generator of its own for one purpose, so that a draw more here changes nothing there.
#[must_use]
pub fn generator(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(purpose);
    generator
}

/// Block number `number` of `seed`, of `bytes` bytes. Blocks of at least 16 bytes all differ.
#[must_use]
pub fn block(seed: u64, number: u64, bytes: usize) -> Block {
    let mut content = vec![0; bytes];
    generator(seed ^ number.rotate_left(32), number).fill_bytes(&mut content);
    let name = [seed.to_le_bytes(), number.to_le_bytes()].concat();
    for (byte, own) in content.iter_mut().zip(name) {
        *byte = own;
    }
    Block::hash(HashCode::Sha2_256, content)
}

/// A length as blocks of a store have it: mostly small, seldom large, up to 2 MiB.
#[must_use]
pub fn length(generator: &mut impl Rng) -> usize {
    match generator.random_range(0..1_000_u32) {
        0..450 => generator.random_range(16..1_024),
        450..680 => generator.random_range(1_024..=4_096),
        680..880 => generator.random_range(4_097..65_536),
        880..975 => 256 << 10,
        975..995 => generator.random_range(65_536..1 << 20),
        _ => 2 << 20,
    }
}

/// The name of a block in a history.
#[must_use]
pub fn key(multihash: &Multihash) -> Key {
    use core::fmt::Write as _;
    multihash.as_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

/// The block that a history names; `None` when the text is no name.
#[must_use]
pub fn multihash(key: &Key) -> Option<Multihash> {
    let digits = key.as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect();
    Multihash::from_bytes(&bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::{block, generator, key, length, multihash};

    #[test]
    fn a_seed_gives_the_same_block_again_and_a_number_another() {
        assert_eq!(block(7, 1, 5_000), block(7, 1, 5_000));
        assert_ne!(block(7, 1, 16), block(7, 2, 16));
        assert_ne!(block(7, 1, 16), block(8, 1, 16));
        assert_eq!(block(7, 1, 0).bytes().len(), 0);
    }

    #[test]
    fn names_survive_the_way_through_text_and_sort_alike() {
        let (left, right) = (block(1, 1, 100), block(1, 2, 100));
        assert_eq!(multihash(&key(left.multihash())), Some(*left.multihash()));
        assert_eq!(key(left.multihash()) < key(right.multihash()), left.multihash() < right.multihash());
        for not_a_name in ["", "12", "122", "zz20", "ää"] {
            assert_eq!(multihash(&not_a_name.to_owned()), None, "{not_a_name}");
        }
    }

    #[test]
    fn lengths_reach_from_a_few_bytes_to_the_limit() {
        let mut generator = generator(1, 1);
        let lengths: Vec<usize> = (0..5_000).map(|_| length(&mut generator)).collect();
        assert!(lengths.iter().min() < Some(&100) && lengths.iter().max() == Some(&(2 << 20)));
    }
}
