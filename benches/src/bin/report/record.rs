//! What `./scripts/bench` keeps of a group.

use mintage_benches::{
    Failure,
    figures::{Goal, Series},
};

/// A group of measurements that were made in one run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) group: String,
    /// When, where and of what: name and value.
    pub(crate) head: Vec<(String, String)>,
    pub(crate) lines: Vec<Line>,
}

/// What was measured under one name.
#[derive(Debug)]
pub(crate) struct Line {
    /// The program that measured it.
    pub(crate) part: String,
    pub(crate) name: String,
    /// None where it is a figure beside the targets.
    pub(crate) goal: Option<Goal>,
    pub(crate) rounds: Vec<f64>,
}

impl Record {
    /// Reads the file of a group: lines of `# name`, value; and lines of name, goal or nothing, and
    /// the rounds; all parted by tabs. A `# part` holds for the lines after it.
    pub(crate) fn read(group: &str, text: &str) -> Result<Self, Failure> {
        let mut record = Self { group: group.to_owned(), head: Vec::new(), lines: Vec::new() };
        let mut part = String::new();
        for (number, line) in text.lines().enumerate() {
            let told = |failure: Failure| format!("line {}: {failure}", number + 1);
            if let Some(line) = line.strip_prefix("# ") {
                let (name, value) = line.split_once('\t').ok_or_else(|| told("no tab".into()))?;
                if name == "part" {
                    value.clone_into(&mut part);
                } else {
                    record.head.push((name.to_owned(), value.to_owned()));
                }
            } else {
                record.lines.push(Line::read(&part, line).map_err(told)?);
            }
        }
        Ok(record)
    }

    /// The targets among the lines.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&Line, Goal)> {
        self.lines.iter().filter_map(|line| Some((line, line.goal?)))
    }
}

impl Line {
    fn read(part: &str, line: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, goal, rounds] = fields[..] else { return Err("not three fields".into()) };
        let goal = if goal.is_empty() { None } else { Some(goal.parse()?) };
        let rounds = rounds.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        Ok(Self { part: part.to_owned(), name: name.to_owned(), goal, rounds })
    }

    pub(crate) fn series(&self) -> Series {
        Series::of(self.rounds.clone())
    }
}
