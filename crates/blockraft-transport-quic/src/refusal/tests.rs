use crate::refusal::Refusal;

#[test]
fn each_reason_has_a_number_of_its_own_and_is_found_by_it() {
    for (at, (refusal, code, name)) in Refusal::TABLE.into_iter().enumerate() {
        assert_eq!(code as usize, at + 1, "numbers are never reused or skipped");
        assert_eq!((refusal.code(), refusal.name()), (code, name));
        assert_eq!(Refusal::from_code(u64::from(code)), Some(refusal));
    }
    let last = Refusal::Superseded;
    assert_eq!(Refusal::TABLE.len(), last as usize + 1, "a reason is missing in the table");
    assert_eq!(Refusal::from_code(0), None);
    assert_eq!(Refusal::from_code(u64::MAX), None);
}
