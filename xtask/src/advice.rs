//! Exact commands for this machine's package manager, so that an error says what to type.

use crate::process;

/// A thing that the build needs, with its package in each manager we know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) apt: &'static str,
    pub(crate) dnf: &'static str,
    pub(crate) apk: &'static str,
    pub(crate) pacman: &'static str,
    pub(crate) brew: &'static str,
}

/// A C and C++ compiler with its standard library.
pub(crate) const COMPILER: Package = Package { apt: "g++", dnf: "gcc-c++", apk: "g++", pacman: "gcc", brew: "llvm" };

/// libclang with its headers, which writes the Rust side of RocksDB's C interface.
pub(crate) const LIBCLANG: Package =
    Package { apt: "libclang-dev", dnf: "clang-devel", apk: "clang-dev", pacman: "clang", brew: "llvm" };

/// The command that installs `package` here; all of them when no package manager is found.
pub(crate) fn install(package: Package) -> String {
    let ways = [
        ("apt-get", format!("sudo apt-get update && sudo apt-get install -y {}", package.apt)),
        ("dnf", format!("sudo dnf install -y {}", package.dnf)),
        ("apk", format!("sudo apk add {}", package.apk)),
        ("pacman", format!("sudo pacman -S --needed {}", package.pacman)),
        ("brew", format!("brew install {}", package.brew)),
    ];
    match ways.iter().find(|(manager, _)| process::exists(manager)) {
        Some((_, command)) => command.clone(),
        None => ways.map(|(_, command)| command).join("\n  or "),
    }
}
