use std::fs;
use std::process::Command;

use serde_json::json;

use crate::harness::LoneNode;

/// What IPFS calls "hello world" as a raw block.
const HELLO: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
/// What IPFS calls the empty raw block, which is the empty file.
const EMPTY: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
const ABSENT: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

#[test]
fn what_is_put_is_got_back_and_gone_after_rm() {
    let node = LoneNode::start();
    let put = node.run_with(&["put"], b"hello world");
    assert_eq!((put.code, put.text()), (0, format!("{HELLO}  -\n").as_str()), "{}", put.stderr);

    let got = node.run(&["get", HELLO]);
    assert_eq!((got.code, got.stdout.as_slice()), (0, b"hello world".as_slice()), "{}", got.stderr);
    assert_eq!(node.run(&["has", HELLO]).text(), format!("{HELLO}  present\n"));
    assert_eq!(node.run(&["stat", HELLO]).text(), format!("{HELLO}  11\n"));
    assert_eq!(node.run(&["ls"]).text(), format!("{HELLO}  11\n"));

    let removed = node.run(&["rm", HELLO]);
    assert_eq!((removed.code, removed.text()), (0, format!("{HELLO}  deleted\n").as_str()));
    for command in ["get", "has", "stat"] {
        assert_eq!(node.run(&[command, HELLO]).code, 3, "{command} of an absent block");
    }
    assert_eq!(node.run(&["rm", HELLO]).text(), format!("{HELLO}  absent\n"));
}

#[test]
fn json_has_the_documented_fields() {
    let node = LoneNode::start();
    assert_eq!((&node.announced["event"], &node.announced["node"]), (&json!("serving"), &json!(1)));
    let put = node.run_with(&["put", "--json"], b"hello world");
    let expected = json!({
        "source": "-", "offset": 0, "cid": HELLO, "bytes": 11, "outcome": "created", "error": null,
    });
    assert_eq!(put.objects(), [expected]);
    let again = node.run_with(&["put", "--json"], b"hello world");
    assert_eq!(again.objects()[0]["outcome"], "already_present");

    let has = node.run(&["has", "--json", HELLO, ABSENT]);
    let expected = [
        json!({ "cid": HELLO, "present": true, "error": null }),
        json!({ "cid": ABSENT, "present": false, "error": null }),
    ];
    assert_eq!((has.code, has.objects().as_slice()), (3, expected.as_slice()));
    let stat = node.run(&["stat", "--json", HELLO]);
    assert_eq!(stat.objects(), [json!({ "cid": HELLO, "present": true, "bytes": 11, "error": null })]);
    assert_eq!(node.run(&["ls", "--json"]).objects(), [json!({ "cid": HELLO, "bytes": 11 })]);
    let got = node.run(&["get", "--json", "--output", "hello.txt", HELLO]);
    assert_eq!(got.objects(), [json!({ "cid": HELLO, "present": true, "bytes": 11, "error": null })]);
    assert_eq!(fs::read(node.folder().join("hello.txt")).unwrap(), b"hello world");

    let status = node.run(&["status", "--json"]);
    let [status] = status.objects().try_into().unwrap();
    assert_eq!((&status["reachable"], &status["role"], &status["leader"]), (&json!(true), &json!("leader"), &json!(1)));
    assert_eq!((&status["blocks"], &status["bytes"], &status["lag"]), (&json!(1), &json!(11), &json!(0)));
    let removed = node.run(&["rm", "--json", HELLO]);
    assert_eq!(removed.objects(), [json!({ "cid": HELLO, "outcome": "deleted", "error": null })]);
}

#[test]
fn files_folders_and_pieces_are_put() {
    let node = LoneNode::start();
    let tree = node.folder().join("tree");
    fs::create_dir_all(tree.join("below")).unwrap();
    fs::write(tree.join("one"), b"1").unwrap();
    fs::write(tree.join("below/two"), b"22").unwrap();
    let put = node.run(&["put", "--recursive", "--json", "tree"]);
    let sources: Vec<_> = put.objects().iter().map(|put| put["source"].as_str().unwrap().to_owned()).collect();
    assert_eq!((put.code, sources), (0, vec!["tree/one".to_owned(), "tree/below/two".to_owned()]));
    let folder = node.run(&["put", "tree"]);
    assert_eq!(folder.code, 2);
    assert!(folder.stderr.contains("--recursive"), "{}", folder.stderr);

    let long: Vec<u8> = (0..2_500_000u32).map(|n| (n / 7) as u8).collect();
    let refused = node.run_with(&["put"], &long);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("2097152") && refused.stderr.contains("--chunk"), "{}", refused.stderr);
    let put = node.run_with(&["put", "--chunk", "1MiB", "--quiet"], &long);
    let cids: Vec<_> = put.text().lines().collect();
    assert_eq!((put.code, cids.len()), (0, 3), "{}", put.stderr);
    let got = node.run(&[&["get"], cids.as_slice()].concat());
    assert!(got.stdout == long, "the pieces in their order are the file");
}

#[test]
fn a_file_appears_only_when_every_block_was_got() {
    let node = LoneNode::start();
    let cid = node.put(b"something");
    let got = node.run(&["get", &cid, ABSENT, "--output", "both"]);
    assert_eq!(got.code, 3);
    assert!(got.stderr.contains(ABSENT), "{}", got.stderr);
    let left: Vec<_> = fs::read_dir(node.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["blockraft-data"]);
}

#[test]
fn what_is_no_plain_file_is_written_in_place_or_refused_and_nothing_is_left() {
    let node = LoneNode::start();
    let cid = node.put(b"something");
    let path = |name: &str| node.folder().join(name);
    fs::create_dir(path("folder")).unwrap();
    let got = node.run(&["get", &cid, "--output", "folder"]);
    assert_eq!(got.code, 2, "{}", got.stderr);
    assert!(got.stderr.contains("folder"), "{}", got.stderr);

    fs::write(path("target"), b"a longer file than the block").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    assert_eq!(node.run(&["get", &cid, "--output", "link"]).code, 0);
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    assert_eq!(fs::read(path("target")).unwrap(), b"something");

    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let reading = std::thread::spawn({
        let pipe = path("pipe");
        move || fs::read(pipe).unwrap()
    });
    assert_eq!(node.run(&["get", &cid, "--output", "pipe"]).code, 0);
    assert_eq!(reading.join().unwrap(), b"something");
    let mut left: Vec<_> = fs::read_dir(node.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["blockraft-data", "folder", "link", "pipe", "target"]);
}

#[test]
fn a_name_can_not_write_on_the_terminal() {
    let node = LoneNode::start();
    let name = "esc\u{1b}[31mred\nnewline\u{202e}";
    fs::write(node.folder().join(name), b"x").unwrap();
    let put = node.run(&["put", name]);
    assert_eq!(put.text().lines().count(), 1, "{:?}", put.text());
    assert!(put.text().ends_with("  esc\\u{1b}[31mred\\nnewline\\u{202e}\n"), "{:?}", put.text());
    let missing = node.run(&["put", "no\u{1b}[31m"]);
    assert!(missing.stderr.contains("no\\u{1b}[31m"), "{:?}", missing.stderr);
    let json = node.run(&["put", "--json", name]);
    assert_eq!(json.objects()[0]["source"], name, "objects carry the name itself");
}

#[test]
fn the_empty_block_is_put_got_found_measured_and_removed_like_any_other() {
    let node = LoneNode::start();
    fs::write(node.folder().join("empty"), b"").unwrap();
    assert_eq!(node.run(&["put", "empty"]).text(), format!("{EMPTY}  empty\n"));
    let again = node.run_with(&["put", "--json"], b"");
    let expected = json!({
        "source": "-", "offset": 0, "cid": EMPTY, "bytes": 0, "outcome": "already_present", "error": null,
    });
    assert_eq!(again.objects(), [expected]);
    assert_eq!(node.put(b""), EMPTY);

    let got = node.run(&["get", EMPTY]);
    assert_eq!((got.code, got.stdout.len()), (0, 0), "{}", got.stderr);
    let got = node.run(&["get", "--output", "got", EMPTY]);
    assert_eq!((got.code, fs::read(node.folder().join("got")).unwrap().len()), (0, 0), "{}", got.stderr);
    assert_eq!(node.run(&["has", EMPTY]).text(), format!("{EMPTY}  present\n"));
    assert_eq!(node.run(&["stat", EMPTY]).text(), format!("{EMPTY}  0\n"));
    assert_eq!(node.run(&["ls"]).text(), format!("{EMPTY}  0\n"));

    assert_eq!(node.run(&["rm", EMPTY]).text(), format!("{EMPTY}  deleted\n"));
    assert_eq!(node.run(&["get", EMPTY]).code, 3);
}

#[test]
fn inline_blocks_and_other_hashes_and_codecs_are_fine() {
    let node = LoneNode::start();
    let inline = node.run(&["get", "bafkqaaa", "bafkqablimvwgy3y"]);
    assert_eq!((inline.code, inline.text()), (0, "hello"), "{}", inline.stderr);
    assert_eq!(node.run(&["rm", "bafkqablimvwgy3y"]).code, 1);

    for hash in ["sha2-256", "sha2-512", "sha3-256", "blake3", "blake2b-256"] {
        let put = node.run_with(&["put", "--quiet", "--hash", hash, "--codec", "dag-cbor"], b"\xa0");
        let cid = put.text().trim();
        assert_eq!(node.run(&["get", cid]).stdout, b"\xa0", "{hash}: {}", put.stderr);
    }
    assert_eq!(node.run(&["ls", "--quiet"]).text().lines().count(), 5);
    assert_eq!(node.run(&["ls", "--limit", "2"]).text().lines().count(), 2);
}
