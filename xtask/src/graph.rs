//! Arrows between named things: which of them run in circles, and the order in which to read the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each thing with what it uses.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Circles among `arrows` that together name each thing on a circle: the shortest way from a thing back to itself, with
/// both ends.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut circles: Vec<Vec<String>> = Vec::new();
    for start in arrows.keys() {
        let known = circles.iter().any(|circle| circle.contains(start));
        if !known && let Some(circle) = way_back(arrows, start) {
            circles.push(circle);
        }
    }
    circles
}

fn way_back(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(from) = waiting.pop_front() {
        for to in arrows.get(from).into_iter().flatten() {
            if to == start {
                let mut way = vec![start.to_owned(), from.to_owned()];
                while let Some(before) = way.last().and_then(|at| reached_from.get(at.as_str())) {
                    way.push((*before).to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if !reached_from.contains_key(to.as_str()) {
                reached_from.insert(to, from);
                waiting.push_back(to);
            }
        }
    }
    None
}

/// All things of a graph without circles, each before what it uses; things of one height by name.
pub(crate) fn top_down(arrows: &Arrows) -> Vec<String> {
    let mut heights: BTreeMap<&str, usize> = BTreeMap::new();
    for thing in arrows.keys() {
        height(arrows, thing, &mut heights);
    }
    let mut things: Vec<(&str, usize)> = heights.into_iter().collect();
    things.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
    things.into_iter().map(|(thing, _)| thing.to_owned()).collect()
}

fn height<'a>(arrows: &'a Arrows, thing: &'a str, heights: &mut BTreeMap<&'a str, usize>) -> usize {
    if let Some(known) = heights.get(thing) {
        return *known;
    }
    let below = arrows.get(thing).into_iter().flatten().map(|used| height(arrows, used, heights) + 1);
    let height = below.max().unwrap_or(0);
    heights.insert(thing, height);
    height
}

#[cfg(test)]
mod tests {
    use super::{Arrows, circles, top_down};

    fn arrows(text: &str) -> Arrows {
        let mut arrows = Arrows::new();
        for pair in text.split_whitespace() {
            let (from, to) = pair.split_once('>').unwrap();
            arrows.entry(from.to_owned()).or_default().insert(to.to_owned());
            arrows.entry(to.to_owned()).or_default();
        }
        arrows
    }

    #[test]
    fn a_tree_has_no_circle_and_is_read_from_the_top() {
        let tree = arrows("a>b a>c b>c");
        assert!(circles(&tree).is_empty());
        assert_eq!(top_down(&tree), ["a", "b", "c"]);
    }

    #[test]
    fn a_circle_is_the_shortest_way_back_and_each_knot_is_named() {
        let knots = arrows("a>b b>c c>a b>a x>y y>x z>x");
        assert_eq!(circles(&knots), [vec!["a", "b", "a"], vec!["c", "a", "b", "c"], vec!["x", "y", "x"]]);
    }

    #[test]
    fn a_thing_that_uses_itself_is_a_circle() {
        assert_eq!(circles(&arrows("a>a")), [["a", "a"]]);
    }
}
