//! The scripts: the files of `lua/`, put together once.
//!
//! A line `@part argument …` becomes the file of that name in `lua/parts/`, with the arguments in the
//! places of `$1`, `$2`, so that a rule that several scripts share is written once. Parts are text and
//! no functions: a function would be made anew at every call.

use std::fmt;

macro_rules! scripts {
    ($($name:ident,)+) => {
        /// Every script of the store.
        #[derive(Debug, Clone)]
        pub(crate) struct Scripts {
            $(pub(crate) $name: Script,)+
        }

        impl Scripts {
            pub(crate) fn new(guard: Guard) -> Self {
                Self {
                    $($name: Script::compose(
                        include_str!(concat!("../lua/", stringify!($name), ".lua")),
                        guard,
                    ),)+
                }
            }

            /// Each of them by its name.
            pub(crate) fn all(&self) -> Vec<(&'static str, &Script)> {
                vec![$((stringify!($name), &self.$name),)+]
            }
        }
    };
}

scripts! {
    issue, redeem, step_up, open, elevate, touch, read_bearer, read_one_time, revoke, revoke_all,
    epoch, raise_epoch,
}

/// Every script that the store sends, by its name: to be reviewed.
#[must_use]
pub fn scripts() -> Vec<(&'static str, String)> {
    let scripts = Scripts::new(Guard::default());
    scripts.all().into_iter().map(|(name, script)| (name, script.text.clone())).collect()
}

/// Lua that goes before every script: a test's watch over what the scripts do. None by default.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard(pub &'static str);

/// A script, and its name at the server: the SHA-1 of its text.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) sha: String,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sha)
    }
}

impl Script {
    fn compose(text: &str, Guard(guard): Guard) -> Self {
        let mut composed = guard.to_owned();
        fill(&mut composed, text, &[]);
        let sha = redis::Script::new(&composed).get_hash().to_owned();
        Self { text: composed, sha }
    }
}

macro_rules! parts {
    ($($name:literal,)+) => {
        const PARTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../lua/parts/", $name, ".lua"))),)+];
    };
}

parts! {
    "again", "bearer", "bearer_event", "for_identity", "grant", "head", "held", "live", "login",
    "redeem", "revoke", "rewrite", "slide", "spent", "stands", "state", "strength", "terms", "usual",
}

/// Appends the text without its comments, its parts filled in.
fn fill(composed: &mut String, text: &str, arguments: &[&str]) {
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        let mut line = line.to_owned();
        for (number, place) in ["$1", "$2"].iter().enumerate() {
            line = line.replace(place, arguments.get(number).unwrap_or(&""));
        }
        if let Some(part) = line.strip_prefix('@') {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default();
            let part = PARTS.iter().find(|(own, _)| *own == name).map_or("", |(_, part)| part);
            fill(composed, part, &words.collect::<Vec<_>>());
        } else {
            composed.push_str(&line);
            composed.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_there_and_every_place_is_filled() {
        for (name, script) in scripts() {
            assert!(!script.contains(['$', '@']), "{name}:\n{script}");
        }
        for (_, part) in PARTS {
            for line in part.lines().filter_map(|line| line.trim().strip_prefix('@')) {
                let name = line.split(' ').next().unwrap();
                assert!(PARTS.iter().any(|(own, _)| *own == name), "{name}");
            }
        }
    }
}
