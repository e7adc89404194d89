use super::{Workspace, locked_version, parse_members, walk};

#[test]
fn a_locked_version_is_found_by_its_exact_name() {
    let lock = "[[package]]\nname = \"rocksdb-x\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"rocksdb\"\nversion = \"0.25.0\"\n";
    assert_eq!(locked_version(lock, "rocksdb").as_deref(), Some("0.25.0"));
    assert_eq!(locked_version(lock, "rocks"), None);
}

#[test]
fn members_carry_their_floor_and_both_kinds_of_arrows() {
    let text = r#"{"workspace_root": "/w", "packages": [{
        "name": "upper", "manifest_path": "/w/crates/upper/Cargo.toml", "description": "d",
        "metadata": {"blockraft": {"floor": 3}}, "features": {},
        "dependencies": [
            {"name": "lower", "kind": null, "path": "/w/crates/lower"},
            {"name": "fixture", "kind": "dev", "path": "/w/crates/fixture"},
            {"name": "serde", "kind": null}
        ]}]}"#;
    let members = parse_members(text).unwrap();
    let upper = members.first().unwrap();
    assert_eq!(upper.floor, Some(3));
    assert_eq!(upper.folder.to_str(), Some("crates/upper"));
    assert!(upper.needs.iter().eq(["lower"]));
    assert!(upper.tests_need.iter().eq(["fixture"]));
}

#[test]
fn files_are_found_without_git_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("src")).unwrap();
    std::fs::create_dir_all(folder.path().join("target")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    std::fs::write(folder.path().join("target/built.rs"), "").unwrap();
    assert_eq!(walk(folder.path()).unwrap(), ["src/lib.rs"].map(std::path::PathBuf::from));
}

#[test]
fn this_workspace_finds_itself() {
    let workspace = Workspace::find().unwrap();
    assert!(workspace.members().unwrap().iter().any(|member| member.name == "xtask"));
}
