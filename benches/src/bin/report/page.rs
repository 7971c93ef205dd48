//! The page itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use mintage_benches::figures::Goal;

use crate::{
    curves,
    record::{Line, Record},
    words::{GROUPS, OPENING, what},
};

/// The page, and what it lacks.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) wanting: Vec<String>,
}

/// Why targets were missed, by name: from `notes.md`, the text under each `## name`.
pub(crate) fn notes(text: &str) -> BTreeMap<&str, &str> {
    let sections = text.split("\n## ").enumerate();
    sections
        .filter_map(|(nth, section)| {
            // What stands before the first heading is about the file.
            let section = if nth == 0 { section.strip_prefix("## ")? } else { section };
            let (name, note) = section.split_once('\n')?;
            Some((name.trim(), note.trim())).filter(|(_, note)| !note.is_empty())
        })
        .collect()
}

impl Page {
    pub(crate) fn of(records: &[Record], notes: &BTreeMap<&str, &str>, has_flame: bool) -> Self {
        let mut page = Self { text: OPENING.to_owned(), ..Self::default() };
        for record in records {
            page.group(record, notes);
            if has_flame && record.group == "exchange" {
                page.line(
                    "Where the time of an exchange goes, sampled by `./scripts/bench profile`:\n",
                );
                page.line("![Flame graph of an exchange](benchmarks/exchange-flame.svg)\n");
            }
        }
        // One at the end is enough.
        page.text.truncate(page.text.trim_end().len());
        page.text.push('\n');
        page
    }

    fn group(&mut self, record: &Record, notes: &BTreeMap<&str, &str>) {
        let group = &*record.group;
        let title =
            GROUPS.iter().find(|(name, _)| *name == group).map_or(group, |(_, title)| title);
        self.line(&format!("## {title}\n"));
        self.line(&format!("`./scripts/bench {group}`\n"));
        for (name, value) in &record.head {
            self.line(&format!("- {name}: {value}"));
        }
        self.line("");
        let shows = if record.targets().next().is_some() {
            self.targets(record);
            "Each round of each target"
        } else {
            self.line(&curves::table(record));
            "Latency against load"
        };
        self.line(&format!("![{shows}]({})\n", plot_of(group)));
        for (line, goal) in record.targets() {
            let name = &*line.name;
            if !goal.is_met(line.series().median()) {
                match notes.get(name) {
                    Some(note) => self.line(&format!("**{name}**: {note}\n")),
                    None => self.wanting.push(format!(
                        "{name} is MISSED, and no `## {name}` in benchmarks/notes.md says why"
                    )),
                }
            }
        }
        self.figures(record);
    }

    fn targets(&mut self, record: &Record) {
        self.line("| target | what | goal | reached | least–most | rounds | |");
        self.line("|---|---|---|---|---|---|---|");
        for (line, goal) in record.targets() {
            let name = &*line.name;
            let what = what(name).unwrap_or_else(|| {
                self.wanting.push(format!("nothing in report/words.rs says what {name} is"));
                ""
            });
            let word = if goal.is_met(line.series().median()) { "ok" } else { "**MISSED**" };
            let numbers = numbers(line, three_decimals);
            self.line(&format!("| `{name}` | {what} | {} | {numbers} | {word} |", told(goal)));
        }
        self.line("");
    }

    fn figures(&mut self, record: &Record) {
        let parts: BTreeSet<&str> = record.lines.iter().map(|line| &*line.part).collect();
        let (head, rule) = if parts.len() > 1 { ("| measured by ", "|---") } else { ("", "") };
        self.line("<details><summary>The figures behind them</summary>\n");
        self.line(&format!("{head}| figure | median | least–most | rounds |"));
        self.line(&format!("{rule}|---|---|---|---|"));
        for line in record.lines.iter().filter(|line| line.goal.is_none()) {
            let part = if parts.len() > 1 { format!("| {} ", line.part) } else { String::new() };
            let (name, numbers) = (line.name.trim(), numbers(line, few_digits));
            self.line(&format!("{part}| {name} | {numbers} |"));
        }
        self.line("\n</details>\n");
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        _ = writeln!(self.text, "{text}");
    }
}

/// Where the plot of a group lies, seen from the page.
fn plot_of(group: &str) -> String {
    format!("benchmarks/{group}.svg")
}

/// The goal, in the signs that people write.
pub(crate) fn told(goal: Goal) -> String {
    let sign = match goal {
        Goal::AtLeast(_) => "≥",
        Goal::AtMost(_) => "≤",
    };
    format!("{sign} {}", goal.bound())
}

/// The cells of the median, the spread and the number of rounds.
fn numbers(line: &Line, form: fn(f64) -> String) -> String {
    let series = line.series();
    let [least, median, most] = [0.0, 0.5, 1.0].map(|part| form(series.at(part)));
    format!("{median} | {least}–{most} | {}", line.rounds.len())
}

/// As ratios are written; the small ones more exactly.
fn three_decimals(ratio: f64) -> String {
    if ratio != 0.0 && ratio.abs() < 0.1 { format!("{ratio:.5}") } else { format!("{ratio:.3}") }
}

/// More digits than the machine repeats tell nothing.
fn few_digits(figure: f64) -> String {
    match figure.abs() {
        1000.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.3}"),
    }
}
