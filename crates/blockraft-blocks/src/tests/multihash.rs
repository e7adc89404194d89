use proptest::prelude::*;

use crate::hash::UnsupportedHash;
use crate::multihash::{MULTIHASH_BYTES_MAX, ParseMultihashError};
use crate::{Block, HashCode, Multihash};

/// What the specifications of the hash functions say about the empty input.
const OF_NOTHING: [(HashCode, &str); 5] = [
    (HashCode::Sha2_256, "1220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        HashCode::Sha2_512,
        "1340cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
         47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ),
    (HashCode::Sha3_256, "1620a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
    (HashCode::Blake3, "1e20af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    (HashCode::Blake2b256, "a0e402200e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"),
];

#[test]
fn the_digests_are_those_of_the_specifications() {
    for (hash, expected) in OF_NOTHING {
        let multihash = Multihash::of(hash, b"");
        let hex: String = multihash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
        assert_eq!(multihash.hash_code(), hash);
        assert_eq!(multihash.digest().len(), hash.digest_bytes());
    }
}

#[test]
fn a_truncated_digest_is_refused() {
    let bytes = Multihash::of(HashCode::Sha2_256, b"x").as_bytes().to_vec();
    let mut truncated = vec![0x12, 20];
    truncated.extend_from_slice(&bytes[2..22]);
    let error = Multihash::from_bytes(&truncated).unwrap_err();
    assert_eq!(error, ParseMultihashError::DigestLength { hash: HashCode::Sha2_256, digest_bytes: 20 });
    assert!(Multihash::from_bytes(&bytes[..33]).is_err());
}

#[test]
fn bytes_behind_the_digest_are_refused() {
    let mut bytes = Multihash::of(HashCode::Blake3, b"x").as_bytes().to_vec();
    bytes.push(0);
    assert!(Multihash::from_bytes(&bytes).is_err());
}

#[test]
fn a_number_longer_than_it_must_be_is_refused() {
    let mut bytes = vec![0x92, 0x00];
    bytes.extend_from_slice(&Multihash::of(HashCode::Sha2_256, b"x").as_bytes()[1..]);
    assert_eq!(Multihash::from_bytes(&bytes), Err(ParseMultihashError::Varint));
}

#[test]
fn sha1_murmur_and_identity_are_refused_by_number() {
    for (code, digest) in [(0x11, 20), (0x22, 8), (0x00, 4)] {
        let mut bytes = vec![code, digest];
        bytes.resize(2 + usize::from(digest), 7);
        let expected = ParseMultihashError::Unsupported(UnsupportedHash { code: u64::from(code) });
        assert_eq!(Multihash::from_bytes(&bytes), Err(expected));
    }
}

#[test]
fn the_longest_multihash_fits() {
    assert_eq!(Multihash::of(HashCode::Sha2_512, b"").as_bytes().len(), MULTIHASH_BYTES_MAX);
}

#[test]
fn an_overlong_text_is_refused_before_it_is_decoded() {
    assert_eq!("1".repeat(1 << 20).parse::<Multihash>(), Err(ParseMultihashError::Base58));
    for hash in HashCode::ALL {
        let multihash = Multihash::wrap(hash, &vec![0xff; hash.digest_bytes()]).unwrap();
        assert_eq!(multihash.to_string().parse(), Ok(multihash));
    }
}

#[test]
fn hash_names_are_read_as_they_are_printed() {
    for hash in HashCode::ALL {
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
    assert!("sha1".parse::<HashCode>().is_err());
}

#[test]
fn a_block_of_wrong_bytes_cannot_be_made() {
    let block = Block::hash(HashCode::Blake2b256, "right");
    assert!(Block::verify(*block.multihash(), "wrong").is_err());
    assert_eq!(Block::verify(*block.multihash(), "right"), Ok(block));
}

fn any_multihash() -> impl Strategy<Value = Multihash> {
    (0..HashCode::ALL.len(), prop::array::uniform32(any::<u8>())).prop_map(|(hash, seed)| {
        let hash = HashCode::ALL[hash];
        let digest: Vec<u8> = seed.iter().copied().cycle().take(hash.digest_bytes()).collect();
        Multihash::wrap(hash, &digest).unwrap()
    })
}

proptest! {
    #[test]
    fn text_bytes_and_serde_lead_back_to_the_same_multihash(multihash in any_multihash()) {
        prop_assert_eq!(Multihash::from_bytes(multihash.as_bytes()), Ok(multihash));
        prop_assert_eq!(multihash.to_string().parse(), Ok(multihash));
        let packed = postcard::to_allocvec(&multihash).unwrap();
        prop_assert_eq!(packed.len(), 1 + multihash.as_bytes().len());
        prop_assert_eq!(postcard::from_bytes::<Multihash>(&packed).unwrap(), multihash);
        let json = serde_json::to_string(&multihash).unwrap();
        prop_assert_eq!(serde_json::from_str::<Multihash>(&json).unwrap(), multihash);
    }

    #[test]
    fn multihashes_are_ordered_as_their_bytes(a in any_multihash(), b in any_multihash()) {
        prop_assert_eq!(a.cmp(&b), a.as_bytes().cmp(b.as_bytes()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(multihash) = Multihash::from_bytes(&bytes) {
            prop_assert_eq!(multihash.as_bytes(), &bytes[..]);
        }
        let _ = postcard::from_bytes::<Multihash>(&bytes);
    }
}
