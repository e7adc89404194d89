//! Arrows between crates, judged by the floor that each names in `[package.metadata.blockraft]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::workspace::Member;

/// The crates by floor, the highest first, each with what it uses below.
pub(crate) fn draw(members: &[Member]) -> String {
    let width = members.iter().map(|member| short(&member.name).len()).max().unwrap_or(0);
    let mut floors: BTreeMap<Option<u8>, Vec<&Member>> = BTreeMap::new();
    for member in members {
        floors.entry(member.floor).or_default().push(member);
    }
    let mut drawing = String::new();
    for (floor, members) in floors.iter().rev() {
        let name = floor.map_or_else(|| "floor ?".to_owned(), |floor| format!("floor {floor}"));
        for (at, member) in members.iter().enumerate() {
            let label = if at == 0 { name.as_str() } else { "" };
            let line = format!("{label:<7}  {:<width$}  {}", short(&member.name), arrow("→", &member.needs));
            writeln!(drawing, "{}", line.trim_end()).expect("a String takes everything");
        }
        drawing.push('\n');
    }
    let tests: Vec<&Member> = members.iter().filter(|member| !member.tests_need.is_subset(&member.needs)).collect();
    if !tests.is_empty() {
        drawing.push_str("Used by tests and examples alone\n");
    }
    for member in tests {
        let own: BTreeSet<String> = member.tests_need.difference(&member.needs).cloned().collect();
        writeln!(drawing, "         {:<width$}  {}", short(&member.name), arrow("⇢", &own))
            .expect("a String takes everything");
    }
    drawing
}

/// What is wrong with the arrows between crates, each with its remedy. Tests may look sideways, never up.
pub(crate) fn faults(members: &[Member]) -> Vec<String> {
    let floors: BTreeMap<&str, Option<u8>> =
        members.iter().map(|member| (member.name.as_str(), member.floor)).collect();
    let mut faults = Vec::new();
    for member in members {
        let Some(floor) = member.floor else {
            faults.push(format!(
                "{} names no floor.\n  Fix: say `[package.metadata.blockraft]` and `floor = N` in {}/Cargo.toml; \
                 ARCHITECTURE.md tells what each floor is for.",
                member.name,
                member.folder.display()
            ));
            continue;
        };
        let below = |used: &str| floors.get(used).copied().flatten();
        for used in &member.needs {
            if let Some(other) = below(used).filter(|other| *other >= floor) {
                let way = if other == floor { "sideways" } else { "up" };
                faults.push(format!(
                    "{} (floor {floor}) points {way} at {used} (floor {other}).\n  Fix: move the type that both need \
                     into a crate below both, or let the upper crate hand it down as data or as a trait object.",
                    member.name
                ));
            }
        }
        for used in &member.tests_need {
            if let Some(other) = below(used).filter(|other| *other > floor) {
                faults.push(format!(
                    "The tests of {} (floor {floor}) point up at {used} (floor {other}).\n  Fix: a test that needs \
                     upper floors belongs to the member crate `tests`.",
                    member.name
                ));
            }
        }
    }
    faults
}

fn arrow(sign: &str, used: &BTreeSet<String>) -> String {
    if used.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = used.iter().map(|name| short(name)).collect();
    format!("{sign} {}", names.join(", "))
}

fn short(name: &str) -> &str {
    name.strip_prefix("blockraft-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{draw, faults};
    use crate::workspace::Member;

    fn member(name: &str, floor: Option<u8>, needs: &[&str], tests_need: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            folder: format!("crates/{name}").into(),
            description: None,
            floor,
            needs: needs.iter().map(ToString::to_string).collect(),
            tests_need: tests_need.iter().map(ToString::to_string).collect(),
            features: Vec::new(),
        }
    }

    #[test]
    fn downward_arrows_pass_and_are_drawn_by_floor() {
        let house = [
            member("blockraft-core", Some(1), &["blockraft-types"], &[]),
            member("blockraft-types", Some(0), &[], &[]),
        ];
        assert!(faults(&house).is_empty());
        assert_eq!(draw(&house), "floor 1  core   → types\n\nfloor 0  types\n\n");
    }

    #[test]
    fn an_upward_arrow_is_named() {
        let house = [member("low", Some(0), &["high"], &[]), member("high", Some(1), &[], &[])];
        assert!(faults(&house).first().unwrap().starts_with("low (floor 0) points up at high (floor 1)"));
    }

    #[test]
    fn a_sideways_arrow_is_named_unless_only_tests_need_it() {
        let house = [member("left", Some(1), &["right"], &[]), member("right", Some(1), &[], &["left"])];
        let faults = faults(&house);
        assert_eq!(faults.len(), 1);
        assert!(faults.first().unwrap().starts_with("left (floor 1) points sideways at right"));
    }

    #[test]
    fn tests_that_look_up_are_named() {
        let house = [member("low", Some(0), &[], &["high"]), member("high", Some(1), &[], &[])];
        assert!(faults(&house).first().unwrap().starts_with("The tests of low (floor 0) point up"));
    }

    #[test]
    fn a_crate_without_a_floor_is_named() {
        assert!(faults(&[member("lost", None, &[], &[])]).first().unwrap().contains("names no floor"));
    }
}
