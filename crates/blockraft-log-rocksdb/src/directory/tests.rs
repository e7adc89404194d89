use super::*;

#[test]
fn a_lock_ends_with_its_value_even_if_a_child_process_got_a_copy_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Directory::lock(folder.path()).expect("nobody has it");
    let copy = directory.lock.try_clone().expect("what a fork does");
    drop(directory);
    Directory::lock(folder.path()).expect("the lock ended with the value");
    drop(copy);
}
