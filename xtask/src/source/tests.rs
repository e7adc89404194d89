use super::{Part, Source};

fn shipped(text: &str) -> Vec<String> {
    Source::parse(text).unwrap().paths(Part::Shipped).iter().map(|path| path.segments.join("::")).collect()
}

#[test]
fn imports_are_told_one_by_one() {
    let text = "use std::{fs::{self, File}, thread}; use crate::log::*; use super::*;";
    assert_eq!(shipped(text), ["std::fs::self", "std::fs::File", "std::thread", "crate::log", "super::*"]);
}

#[test]
fn paths_in_code_types_and_macros_are_named() {
    let text = "fn f(x: crate::a::X) -> super::Y { assert_eq!(crate::b::z(), x.y); Instant::now() }";
    assert_eq!(shipped(text), ["crate::a::X", "super::Y", "crate::b::z", "Instant::now"]);
}

#[test]
fn comments_strings_and_macro_names_are_not_code() {
    let text = "// crate::a::X\n/// [`crate::b::Y`]\nfn f() { let s = \"crate::c::Z\"; crate::shout!(s); }";
    assert_eq!(shipped(text), Vec::<String>::new());
}

#[test]
fn visibility_and_associated_items_are_no_arrows() {
    let text = "pub(in crate::a) fn f() { <T as X>::g(); $crate::h::i; }";
    assert_eq!(shipped(text), Vec::<String>::new());
}

#[test]
fn tests_are_left_out_of_what_ships() {
    let text = "#[cfg(test)] use crate::a::X; #[cfg(test)] mod tests { use crate::b::Y; } use crate::c::Z;";
    assert_eq!(shipped(text), ["crate::c::Z"]);
    assert_eq!(Source::parse(text).unwrap().paths(Part::Whole).len(), 3);
}

#[test]
fn code_for_anything_but_tests_ships() {
    assert_eq!(shipped("#[cfg(not(test))] use crate::a::X;"), ["crate::a::X"]);
    assert_eq!(shipped("#[cfg(unix)] use crate::a::X;"), ["crate::a::X"]);
}

#[test]
fn inline_modules_are_remembered() {
    let source = Source::parse("mod outer { mod inner { use super::super::X; } }").unwrap();
    let paths = source.paths(Part::Shipped);
    assert_eq!(paths.first().unwrap().within, ["outer", "inner"]);
}

#[test]
fn test_modules_items_and_attributes_are_found() {
    let text = "mod a; pub use a::B; #[cfg(test)] mod tests; fn f() {} struct S { a: u8 }\nmod b { #[ignore = \"x\"] fn t() {} }";
    let source = Source::parse(text).unwrap();
    assert_eq!(source.test_modules(), ["tests"]);
    let words: Vec<String> = source.item_words().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["mod", "use", "mod", "fn", "struct", "mod"]);
    assert_eq!(source.attributes("ignore"), [2]);
}

#[test]
fn what_is_not_rust_is_an_error() {
    assert!(Source::parse("fn f( {").is_err());
}
