//! A Rust file as tokens: which paths it names, in code that ships and in tests.
//!
//! The lexer is `proc-macro2`'s, so comments and strings are never mistaken for code and the insides of macros are
//! read like any other code. No names are resolved here; that needs the crate's files (see `arrows::rooms`).

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A path of at least two segments, as written: `crate::log::Entry`, `thread::spawn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) segments: Vec<String>,
    /// The inline modules of this file around it, outermost first.
    pub(crate) within: Vec<String>,
    pub(crate) line: usize,
}

/// A lexed file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    tokens: Vec<TokenTree>,
}

/// Which parts of a file to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything.
    Whole,
    /// What `#[cfg(test)]` does not hide from users.
    Shipped,
}

impl Source {
    /// # Errors
    ///
    /// If the text is not a sequence of Rust tokens.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let tokens: TokenStream = text
            .parse()
            .map_err(|error: proc_macro2::LexError| anyhow!("{error} at line {}", error.span().start().line))?;
        Ok(Self { tokens: tokens.into_iter().collect() })
    }

    /// The paths that `part` of the file names, in their order.
    pub(crate) fn paths(&self, part: Part) -> Vec<NamedPath> {
        let mut walk = Walk { part, within: Vec::new(), paths: Vec::new() };
        walk.code(&self.tokens);
        walk.paths
    }

    /// The modules that the file declares for tests alone: `#[cfg(test)] mod tests;`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let Some(end) = test_item(&self.tokens, at) else {
                at += 1;
                continue;
            };
            let item = &self.tokens[at..end];
            let name = item.iter().zip(item.iter().skip(1)).find_map(|pair| match pair {
                (TokenTree::Ident(word), TokenTree::Ident(name)) if word == "mod" => Some(name.to_string()),
                _ => None,
            });
            names.extend(name);
            at = end;
        }
        names
    }

    /// The first word of each item at the top of the file: `mod`, `use`, `fn`, `impl`; with its line.
    pub(crate) fn item_words(&self) -> Vec<(String, usize)> {
        let mut words = Vec::new();
        let mut fresh = true;
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ';' => fresh = true,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    fresh = !matches!(self.tokens.get(at + 1), Some(TokenTree::Punct(next)) if next.as_char() == ';');
                }
                TokenTree::Ident(word) if fresh && word != "pub" => {
                    words.push((word.to_string(), word.span().start().line));
                    fresh = false;
                }
                _ => {}
            }
        }
        words
    }

    /// The lines of attributes that begin with `word`, such as `ignore` in `#[ignore = "slow"]`.
    pub(crate) fn attributes(&self, word: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        find_attributes(&self.tokens, word, &mut lines);
        lines
    }
}

struct Walk {
    part: Part,
    within: Vec<String>,
    paths: Vec<NamedPath>,
}

impl Walk {
    fn code(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if self.part == Part::Shipped
                && let Some(end) = test_item(tokens, at)
            {
                at = end;
                continue;
            }
            match token {
                TokenTree::Ident(word) => at = self.word(tokens, at, word),
                TokenTree::Group(group) => {
                    self.group(group);
                    at += 1;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
            }
        }
    }

    fn group(&mut self, group: &Group) {
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        self.code(&inner);
    }

    /// Takes what begins with `word` at `at`; returns the place behind it.
    fn word(&mut self, tokens: &[TokenTree], at: usize, word: &Ident) -> usize {
        if word == "mod"
            && let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                (tokens.get(at + 1), tokens.get(at + 2))
        {
            self.within.push(name.to_string());
            self.group(body);
            self.within.pop();
            return at + 3;
        }
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let goes_on = match before {
            // `<T as Trait>::name`, `$crate::name` and `pub(in path)` name nothing new.
            Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), ':' | '$') && !is_type_colon(tokens, at),
            Some(TokenTree::Ident(keyword)) => keyword == "in" && word == "crate",
            _ => false,
        };
        if goes_on { skip_path(tokens, at) } else { self.path(&[], tokens, at) }
    }

    /// Takes a path, or the tree of a `use`, that begins at `at` and continues `prefix`.
    fn path(&mut self, prefix: &[String], tokens: &[TokenTree], mut at: usize) -> usize {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        while let Some(TokenTree::Ident(segment)) = tokens.get(at) {
            line = segment.span().start().line;
            segments.push(segment.to_string());
            at += 1;
            if !is_path_separator(tokens, at) {
                break;
            }
            at += 2;
            if let Some(TokenTree::Group(group)) = tokens.get(at)
                && group.delimiter() == Delimiter::Brace
            {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in branches.split(|token| is_punct(Some(token), ',')) {
                    self.path(&segments, branch, 0);
                }
                return at + 1;
            }
        }
        let is_macro = is_punct(tokens.get(at), '!') && !is_punct(tokens.get(at + 1), '=');
        if segments.len() > 1 && line > 0 && !is_macro {
            self.paths.push(NamedPath { segments, within: self.within.clone(), line });
        } else if is_punct(tokens.get(at), '*') && prefix.is_empty() && segments.len() == 1 {
            // `use super::*` keeps its one segment.
            self.glob(segments, tokens, at);
        }
        at
    }

    fn glob(&mut self, mut segments: Vec<String>, tokens: &[TokenTree], at: usize) {
        let Some(star) = tokens.get(at).filter(|_| at >= 2 && is_path_separator(tokens, at - 2)) else {
            return;
        };
        segments.push("*".to_owned());
        self.paths.push(NamedPath { segments, within: self.within.clone(), line: star.span().start().line });
    }
}

/// Where the item ends that begins at `at` with `#[cfg(test)]`.
fn test_item(tokens: &[TokenTree], at: usize) -> Option<usize> {
    if !is_punct(tokens.get(at), '#') {
        return None;
    }
    let TokenTree::Group(attribute) = tokens.get(at + 1)? else { return None };
    let words = attribute.stream().to_string();
    let condition = words.strip_prefix("cfg")?;
    let of_tests = condition.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "test");
    if !of_tests || condition.contains("not") {
        return None;
    }
    let end = tokens.iter().enumerate().skip(at + 2).find(|(_, token)| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    });
    Some(end.map_or(tokens.len(), |(end, _)| end + 1))
}

fn find_attributes(tokens: &[TokenTree], word: &str, lines: &mut Vec<usize>) {
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        let is_attribute = group.delimiter() == Delimiter::Bracket && at > 0 && is_punct(tokens.get(at - 1), '#');
        match inner.first() {
            Some(TokenTree::Ident(first)) if is_attribute && first == word => lines.push(first.span().start().line),
            _ => find_attributes(&inner, word, lines),
        }
    }
}

fn skip_path(tokens: &[TokenTree], mut at: usize) -> usize {
    at += 1;
    while is_path_separator(tokens, at) && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
        at += 3;
    }
    at
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// Whether the colon before `at` stands alone: `name: crate::Type`.
fn is_type_colon(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at - 1), ':') && !(at >= 2 && is_path_separator(tokens, at - 2))
}

#[cfg(test)]
mod tests;
