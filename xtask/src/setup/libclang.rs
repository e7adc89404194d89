//! libclang: found where bindgen looks, or installed by the system's package manager or pip, or named exactly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::advice;
use crate::cache;
use crate::process;
use crate::setup::local_config::LocalConfig;

type Variables = Vec<(String, String)>;

/// The variables that lead bindgen to libclang; none when it finds it by itself.
pub(crate) fn find_or_install(config: &LocalConfig) -> Result<Variables> {
    if config.chosen_by_user("LIBCLANG_PATH").is_some() {
        return Ok(Vec::new());
    }
    if let Some(library) = find_in_system() {
        return Ok(header_variables(&library));
    }
    let wheel = cache::folder()?.join("libclang");
    if let Some(variables) = variables_of_wheel(&wheel) {
        return Ok(variables);
    }
    if install_as_root()
        && let Some(library) = find_in_system()
    {
        return Ok(header_variables(&library));
    }
    if install_wheel(&wheel)?
        && let Some(variables) = variables_of_wheel(&wheel)
    {
        return Ok(variables);
    }
    bail!(
        "libclang is needed to build RocksDB's Rust interface, and it could not be installed from here. Install it:\n  \
         {}\nor name the folder of an existing libclang in LIBCLANG_PATH and run this again.",
        advice::install(advice::LIBCLANG)
    )
}

/// The places where bindgen's loader looks by itself.
fn find_in_system() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(folder) = process::capture(Command::new("llvm-config").arg("--libdir")) {
        folders.push(folder.trim().into());
    }
    for parent in ["/usr/lib", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib", "/usr/local/opt/llvm/lib"] {
        folders.push(parent.into());
        folders.extend(children(Path::new(parent)).filter(|child| child.is_dir() && is_multiarch(child)));
        folders.extend(children(Path::new(parent)).filter(|child| is_llvm(child)).map(|child| child.join("lib")));
    }
    folders.push("/usr/lib64".into());
    folders.extend(children(Path::new("/usr/lib64")).filter(|child| is_llvm(child)).map(|child| child.join("lib64")));
    folders.push("/Library/Developer/CommandLineTools/usr/lib".into());
    folders.push("/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib".into());
    folders.iter().find_map(|folder| library_in(folder))
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = children(folder)
        .filter(|path| path.is_file())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name == "libclang.dylib"
                || name == "libclang.so"
                || name.starts_with("libclang.so.")
                || (name.starts_with("libclang-") && name.contains(".so") && !name.starts_with("libclang-cpp"))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

fn is_llvm(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm"))
}

fn is_multiarch(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-"))
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// libclang without its own headers (a runtime package alone) needs to borrow the compiler's.
fn header_variables(library: &Path) -> Variables {
    let folder = fs::canonicalize(library).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let of_llvm = children(Path::new("/usr/lib")).filter(|child| is_llvm(child)).map(|child| child.join("lib"));
    let has_headers = std::iter::once(folder)
        .chain(of_llvm)
        .flat_map(|folder| children(&folder.join("clang")).collect::<Vec<_>>())
        .any(|version| version.join("include/stdbool.h").is_file());
    if has_headers || cfg!(target_os = "macos") { Vec::new() } else { compiler_headers() }
}

fn compiler_headers() -> Variables {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    match process::capture(Command::new(compiler).arg("-print-file-name=include")) {
        Ok(folder) => vec![("BINDGEN_EXTRA_CLANG_ARGS".to_owned(), format!("-I{}", folder.trim()))],
        Err(_) => Vec::new(),
    }
}

fn install_as_root() -> bool {
    let root = process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !process::exists("apt-get") {
        return false;
    }
    eprintln!("libclang is missing: installing {} with apt-get.", advice::LIBCLANG.apt);
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    apt(&["update"]) && apt(&["install", "-y", "--no-install-recommends", advice::LIBCLANG.apt])
}

/// The wheel holds the library alone, 24 MB, and needs nobody's permission.
fn install_wheel(folder: &Path) -> Result<bool> {
    let _lock = cache::lock("libclang")?;
    eprintln!("libclang is missing: fetching {WHEEL} with pip into {}.", folder.display());
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-deps", "--upgrade", "--target"]);
    Ok(pip.arg(folder).arg(WHEEL).status().is_ok_and(|status| status.success()))
}

fn variables_of_wheel(folder: &Path) -> Option<Variables> {
    let native = folder.join("clang/native");
    library_in(&native)?;
    let mut variables = vec![("LIBCLANG_PATH".to_owned(), native.to_str()?.to_owned())];
    variables.extend(compiler_headers());
    Some(variables)
}

const WHEEL: &str = "libclang==18.1.1";
