//! `cargo xtask arrows`: the house drawn from its sources, floor by floor and room by room.
//!
//! A crate may depend on lower floors only. Inside a crate no file may use, directly or through others, a file that
//! uses it. Both are read from what cargo and the sources really say, and both fail here when broken.

mod floors;
mod rooms;

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::graph;
use crate::workspace::{Member, Workspace};

/// Draw the floors of crates and files; fail on an arrow that points up, sideways or in a circle
#[derive(Debug, Default, Args)]
pub(crate) struct Arrows {
    /// Draw the crates only
    #[arg(long)]
    crates: bool,

    /// Draw the files of this crate only, each with what it says of itself
    #[arg(conflicts_with = "crates", value_name = "CRATE")]
    of: Option<String>,
}

impl Arrows {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let members = workspace.members()?;
        if let Some(name) = &self.of {
            return tell(workspace, &members, name);
        }
        println!("An arrow points at what is used. It only ever points down.\n");
        print!("{}", floors::draw(&members));
        let mut faults = floors::faults(&members);
        for member in &members {
            let rooms = rooms_of(workspace, member)?;
            faults.extend(rooms.faults(&member.name));
            if !self.crates && graph::circles(rooms.arrows()).is_empty() {
                print!("{}", rooms.draw(&member.name));
            }
        }
        judge(faults)
    }
}

fn tell(workspace: &Workspace, members: &[Member], name: &str) -> Result<()> {
    let short = |name: &str| name.trim_start_matches("blockraft-").to_owned();
    let member = members.iter().find(|member| short(&member.name) == short(name));
    let member = member.with_context(|| format!("there is no crate {name}"))?;
    let rooms = rooms_of(workspace, member)?;
    if graph::circles(rooms.arrows()).is_empty() {
        print!("{}", rooms.tell(&member.name));
    }
    judge(rooms.faults(&member.name))
}

fn rooms_of(workspace: &Workspace, member: &Member) -> Result<rooms::Rooms> {
    let folder = member.folder.join("src");
    let mut sources = Vec::new();
    for file in workspace.files()? {
        let Ok(inside) = file.strip_prefix(&folder) else { continue };
        if inside.extension().is_some_and(|extension| extension == "rs") {
            let path = workspace.root().join(&file);
            let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
            sources.push((inside.to_string_lossy().into_owned(), text));
        }
    }
    rooms::Rooms::read(&sources).with_context(|| format!("can't read the sources of {}", member.name))
}

fn judge(faults: Vec<String>) -> Result<()> {
    if faults.is_empty() {
        println!("\nNo arrow points up, sideways or in a circle.");
        return Ok(());
    }
    for fault in &faults {
        eprintln!("\n{fault}");
    }
    bail!("{} of the arrows above must not be", faults.len())
}

#[cfg(test)]
mod tests {
    use super::{floors, rooms_of};
    use crate::workspace::Workspace;

    #[test]
    fn this_house_has_no_arrow_that_points_up_or_in_a_circle() {
        let workspace = Workspace::find().unwrap();
        let members = workspace.members().unwrap();
        let mut faults = floors::faults(&members);
        for member in &members {
            faults.extend(rooms_of(&workspace, member).unwrap().faults(&member.name));
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    }
}
