use super::*;

fn pieces(files: Files, chunk: Option<u64>) -> Vec<Result<Piece, PieceError>> {
    let mut pieces = Vec::new();
    let read = read(files, chunk, HashCode::Sha2_256, |piece| {
        pieces.push(piece);
        Ok(())
    });
    assert!(read.is_ok());
    pieces
}

fn cut(bytes: &[u8], chunk: Option<u64>) -> Vec<(u64, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    let pieces = pieces(find(&[path], false).unwrap(), chunk);
    pieces.into_iter().map(Result::unwrap).map(|piece| (piece.offset, piece.block.bytes().to_vec())).collect()
}

#[test]
fn an_empty_file_is_one_empty_block() {
    assert_eq!(cut(b"", None), [(0, vec![])]);
    assert_eq!(cut(b"", Some(4)), [(0, vec![])]);
}

#[test]
fn a_file_is_cut_without_a_rest_of_nothing() {
    assert_eq!(cut(b"abcdefgh", Some(4)), [(0, b"abcd".to_vec()), (4, b"efgh".to_vec())]);
    assert_eq!(cut(b"abcdefghi", Some(4)).last(), Some(&(8, b"i".to_vec())));
}

#[test]
fn a_folder_needs_the_word_and_is_walked_in_order() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("b")).unwrap();
    for name in ["c", "a", "b/2", "b/1"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let path = folder.path().to_owned();
    let refused = find(std::slice::from_ref(&path), false).unwrap_err();
    assert_eq!(refused.exit, crate::exit::Exit::Usage);
    let found = pieces(find(&[path], true).unwrap(), None);
    let names: Vec<_> = found.into_iter().map(|piece| piece.unwrap().block.bytes().to_vec()).collect();
    assert_eq!(names, [b"a".to_vec(), b"c".to_vec(), b"b/1".to_vec(), b"b/2".to_vec()]);
}

#[test]
fn a_missing_file_is_named() {
    let failure = find(&["/no/such/file".into()], false).unwrap_err();
    assert!(failure.message.contains("/no/such/file"), "{}", failure.message);
}
