use crate::history::story::Story;
use crate::history::{Consistency, Continuation, Effect, HistoryWriter, read};

#[test]
fn what_was_written_is_read_back() {
    let told = Story::default()
        .put("a", Effect::Created)
        .get("a", Consistency::Local, Effect::Wrong)
        .delete("a", Effect::Deleted)
        .unknown()
        .list(&["b", "c"])
        .put("d", Effect::AlreadyPresent)
        .refused();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let writer = HistoryWriter::append(&path).unwrap();
    for operation in &told.operations {
        writer.sender().blocking_send(operation.clone()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(read(&path).unwrap(), told.operations);
}

#[test]
fn a_line_that_is_no_operation_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, "{\"client\":1}\n").unwrap();
    assert!(read(&path).unwrap_err().to_string().ends_with("history.jsonl:1 is not an operation"));
}

#[test]
fn a_history_goes_on_behind_its_last_operation_with_new_clients() {
    let folder = tempfile::tempdir().unwrap();
    let beginning = Continuation { begins_ns: 0, first_client: 0 };
    assert_eq!(Continuation::behind(&folder.path().join("none")).unwrap(), beginning);
    let story = Story::default().put("a", Effect::Created).during(5, 90).by(4).put("b", Effect::Created).during(7, 8);
    assert_eq!(Continuation::of(&story.operations), Continuation { begins_ns: 91, first_client: 5 });
}
