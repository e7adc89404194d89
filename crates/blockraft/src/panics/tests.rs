use std::thread;

use super::first;

#[tokio::test]
async fn a_panic_on_any_thread_is_told_with_its_place() {
    let first = first();
    let panicking = thread::Builder::new().name("apply".to_owned()).spawn(|| panic!("a bug")).unwrap();
    assert!(panicking.join().is_err());
    let told = first.await.unwrap();
    assert!(told.starts_with("the thread apply panicked at ") && told.contains("panics/tests.rs"), "{told}");
}
