//! RocksDB's static library: built once per machine, shared by every checkout and profile.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::process;
use crate::setup::compiler::Compiler;
use crate::setup::local_config::LocalConfig;
use crate::workspace::Workspace;

/// The variables that lead the build of `librocksdb-sys` to the library; none when nothing here uses RocksDB or when
/// the user names a library of their own.
pub(crate) fn find_or_build(
    workspace: &Workspace,
    config: &LocalConfig,
    compiler: &Compiler,
) -> Result<Vec<(String, String)>> {
    if config.chosen_by_user("ROCKSDB_LIB_DIR").is_some() {
        return Ok(Vec::new());
    }
    let Some(sys_version) = workspace.locked_version("librocksdb-sys")? else {
        return Ok(Vec::new());
    };
    let folder = cache::folder()?.join(folder_name(&sys_version, compiler));
    if !folder.join(LIBRARY).is_file() {
        let _lock = cache::lock("rocksdb")?;
        if !folder.join(LIBRARY).is_file() {
            build(workspace, config, &sys_version, &folder)?;
        }
    }
    let folder = folder.to_str().context("the cache folder's name is not UTF-8")?;
    Ok(vec![("ROCKSDB_LIB_DIR".to_owned(), folder.to_owned()), ("ROCKSDB_STATIC".to_owned(), "1".to_owned())])
}

/// Names everything that the library's content depends on, so that another compiler or flag gets another folder.
fn folder_name(sys_version: &str, compiler: &Compiler) -> String {
    let recipe = format!("{}\n{}\n{}", compiler.version, std::env::consts::ARCH, compiler_flags());
    format!("rocksdb-{sys_version}-{:016x}", fnv1a(recipe.as_bytes()))
}

/// RocksDB checks every record with CRC32C: without these flags it does so in software.
fn compiler_flags() -> String {
    let mut flags = std::env::var("CXXFLAGS").unwrap_or_default();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") && std::arch::is_x86_feature_detected!("pclmulqdq") {
        flags.push_str(" -msse4.2 -mpclmul");
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") && std::arch::is_aarch64_feature_detected!("aes") {
        flags.push_str(" -march=armv8-a+crc+crypto");
    }
    flags.trim().to_owned()
}

/// Builds `librocksdb-sys` in a package of its own, with the versions of our lock file, and keeps its library.
fn build(workspace: &Workspace, config: &LocalConfig, sys_version: &str, folder: &Path) -> Result<()> {
    let version = workspace.locked_version("rocksdb")?.context("librocksdb-sys is locked, rocksdb is not")?;
    let work = beside(folder, "build");
    fs::create_dir_all(&work)?;
    fs::write(work.join("Cargo.toml"), manifest(&version))?;
    fs::write(work.join("lib.rs"), "")?;
    fs::copy(workspace.root().join("Cargo.lock"), work.join("Cargo.lock"))?;
    let log = work.join("build.log");

    let mut cargo = process::cargo();
    cargo
        .current_dir(&work)
        .args(["build", "--release", "--package", "librocksdb-sys", "--message-format=json"])
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("CXXFLAGS", compiler_flags())
        .env_remove("ROCKSDB_LIB_DIR")
        .env_remove("ROCKSDB_STATIC")
        .stderr(fs::File::create(&log)?)
        .stdout(Stdio::piped());
    for (name, value) in config.variables() {
        cargo.env(name, value);
    }
    println!("Building RocksDB's library, once for this machine: about 10 minutes of two cores.");
    let mut child = cargo.spawn().context("can't start cargo")?;
    let output = child.stdout.take().expect("standard output was piped above");
    let reader = thread::spawn(move || std::io::read_to_string(output));
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(process::wait(child, LIMIT)));
    let status = watch(&work, sys_version, &end)?;
    let messages = reader.join().ok().context("lost the output of cargo")??;
    if !status.success() {
        bail!("RocksDB did not build: {status}. The end of {}:\n{}", log.display(), tail(&log));
    }

    let out = out_dir(&messages).context("cargo did not say where it built librocksdb-sys")?;
    let fresh = beside(folder, "new");
    fs::create_dir_all(&fresh)?;
    fs::copy(out.join(LIBRARY), fresh.join(LIBRARY))
        .with_context(|| format!("the build left no {LIBRARY} in {}", out.display()))?;
    fs::rename(&fresh, folder).with_context(|| format!("can't create {}", folder.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("can't clear {}", work.display()))?;
    Ok(())
}

/// The library's folder takes its name only when it is whole.
fn beside(folder: &Path, purpose: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{name}.{purpose}"))
}

fn manifest(version: &str) -> String {
    format!(
        "[package]\nname = \"rocksdb-once\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\n\
         rocksdb = {{ version = \"={version}\", default-features = false, features = [\"bindgen-runtime\"] }}\n\n\
         [workspace]\n"
    )
}

/// Shows how far the build is until it ends.
fn watch(
    work: &Path,
    sys_version: &str,
    end: &mpsc::Receiver<Result<std::process::ExitStatus>>,
) -> Result<std::process::ExitStatus> {
    let started = Instant::now();
    let total = source_count(sys_version);
    let on_terminal = stderr().is_terminal();
    let pause = Duration::from_secs(if on_terminal { 1 } else { 30 });
    loop {
        let ended = match end.recv_timeout(pause) {
            Ok(status) => Some(status),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => bail!("lost track of the build"),
        };
        let seconds = started.elapsed().as_secs();
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let line = format!("  {:>2}:{:02}  {}{of} files compiled", seconds / 60, seconds % 60, object_count(work));
        match (on_terminal, &ended) {
            (true, None) => eprint!("\r{line}"),
            (true, Some(_)) => eprintln!("\r{line}"),
            (false, _) => eprintln!("{line}"),
        }
        if let Some(status) = ended {
            return status;
        }
    }
}

fn object_count(work: &Path) -> usize {
    let builds = fs::read_dir(work.join("target/release/build")).into_iter().flatten().flatten();
    builds
        .filter(|build| build.file_name().to_string_lossy().starts_with("librocksdb-sys-"))
        .flat_map(|build| fs::read_dir(build.path().join("out")).into_iter().flatten().flatten())
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "o"))
        .count()
}

/// How many C++ files there are, when the package's sources lie where cargo keeps them.
fn source_count(sys_version: &str) -> Option<usize> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cargo"),
    };
    let registries = fs::read_dir(home.join("registry/src")).ok()?;
    registries.flatten().find_map(|registry| {
        let list = registry.path().join(format!("librocksdb-sys-{sys_version}/rocksdb_lib_sources.txt"));
        Some(fs::read_to_string(list).ok()?.lines().filter(|line| line.trim().ends_with(".cc")).count())
    })
}

/// Where the build script of `librocksdb-sys` put its results, from cargo's JSON messages.
fn out_dir(messages: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let executed = message["reason"] == "build-script-executed"
            && message["package_id"].as_str().is_some_and(|id| id.contains("librocksdb-sys"));
        executed.then(|| PathBuf::from(message["out_dir"].as_str().unwrap_or_default()))
    })
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

const LIBRARY: &str = "librocksdb.a";
const LIMIT: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::{Compiler, fnv1a, folder_name, out_dir};

    #[test]
    fn another_compiler_gets_another_folder() {
        let [old, new] = ["g++ 12.2.0", "g++ 13.1.0"].map(|version| Compiler { version: version.to_owned() });
        assert_ne!(folder_name("0.19.0+11.8.1", &old), folder_name("0.19.0+11.8.1", &new));
        assert_eq!(folder_name("0.19.0+11.8.1", &old), folder_name("0.19.0+11.8.1", &old));
    }

    #[test]
    fn the_digest_is_fnv_1a() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn the_output_folder_is_the_one_of_the_right_package() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","package_id":"registry+x#libc@0.2","out_dir":"/wrong"}"#,
            "\nnot json\n",
            r#"{"reason":"build-script-executed","package_id":"registry+x#librocksdb-sys@0.19.0","out_dir":"/right"}"#,
        );
        assert_eq!(out_dir(messages).unwrap().to_str(), Some("/right"));
        assert_eq!(out_dir("{}"), None);
    }
}
