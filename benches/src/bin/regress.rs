//! Compares two builds of the benches `sign` and `exchange`, by turns in one run.
//!
//! usage: `regress base here`
//!
//! Each is a folder with the two programs. They run in short form, in turns whose order changes, and
//! what they print is read, so that the base may be any that prints targets. SLOWER is what is worse
//! by more than 5 % in the median of the turns' ratios, where also the better quarter of this tree's
//! own runs ends above the worse quarter of the base's. The program ends with 1 where something is
//! SLOWER, and with 2 where nothing could be compared.

use std::{env, path::Path, process::Command, process::ExitCode};

use mintage_benches::{Failure, figures::Series};

/// How often both sides have their turn, and how many runs of each program are in one.
const TURNS: usize = 7;
const PROGRAMS: [(&str, usize); 2] = [("sign", 2), ("exchange", 1)];

/// What counts as slower.
const TOO_MUCH: f64 = 1.05;

fn main() -> ExitCode {
    let folders: Vec<_> = env::args_os().skip(1).collect();
    let outcome = match &folders[..] {
        [base, here] => compare([Path::new(base), Path::new(here)]),
        _ => Err("two folders are wanted".into()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(slower) => {
            println!("{slower} SLOWER");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("regress: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Says of each figure how this tree stands against the base, and how many are slower.
fn compare(sides: [&Path; 2]) -> Result<usize, Failure> {
    let mut figures = Vec::new();
    for turn in 0..TURNS {
        for (program, runs) in PROGRAMS {
            for run in 0..runs {
                eprintln!("turn {} of {TURNS}: {program}", turn + 1);
                let order = if (turn + run) % 2 == 0 { [0, 1] } else { [1, 0] };
                let mut printed = [String::new(), String::new()];
                for side in order {
                    printed[side] = output(&sides[side].join(program))?;
                }
                note(&mut figures, program, &printed);
            }
        }
    }
    println!("{:<44} {:>7}  {:>13}  {:>9}  {:>9}", "", "ratio", "least to most", "base", "here");
    let compared = figures.iter().filter(|figure| figure.is_compared());
    let mut count = 0;
    let slower = compared.inspect(|_| count += 1).filter(|figure| figure.tell()).count();
    if count > 0 { Ok(slower) } else { Err("the two have no figure in common".into()) }
}

/// What the program prints when it runs in short form.
fn output(program: &Path) -> Result<String, Failure> {
    let run = Command::new(program)
        .env("MINTAGE_BENCH_QUICK", "1")
        .env("MINTAGE_BENCH_GRANTS", "40000")
        .env_remove("MINTAGE_BENCH_RECORD")
        .output()?;
    if run.status.success() {
        Ok(String::from_utf8(run.stdout)?)
    } else {
        let told = String::from_utf8_lossy(&run.stderr);
        Err(format!("{}: {}", program.display(), told.trim()).into())
    }
}

/// Adds what both have printed in a turn.
fn note(figures: &mut Vec<Figure>, program: &str, printed: &[String; 2]) {
    let [base, here] = printed.each_ref().map(|printed| printed.lines().filter_map(Printed::read));
    let here: Vec<Printed> = here.collect();
    for base in base {
        let Some(here) = here.iter().find(|here| here.name == base.name) else { continue };
        let name = format!("{program}: {}", base.name);
        let index = figures.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
            figures.push(Figure { name, is_rate: base.is_rate, base: vec![], here: vec![] });
            figures.len() - 1
        });
        figures[index].base.push(base.value);
        figures[index].here.push(here.value);
    }
}

/// One line of what a bench prints.
struct Printed<'a> {
    name: &'a str,
    /// Whether more is better.
    is_rate: bool,
    value: f64,
}

impl<'a> Printed<'a> {
    /// A target, or a figure in nanoseconds.
    fn read(line: &'a str) -> Option<Self> {
        let (name, is_rate, value) = if let Some(line) = line.strip_prefix("TARGET ") {
            let (name, line) = line.split_once(" reached=")?;
            let (value, goal) = line.split_once(" goal=")?;
            (name, goal.starts_with(">="), value)
        } else {
            let (line, _) = line.strip_suffix(" rounds")?.rsplit_once("   ")?;
            let (name, value) = line.rsplit_once(' ')?;
            (Some(name.trim_end()).filter(|name| name.ends_with(", ns"))?, false, value)
        };
        // Were the last digit a large part of it, any change would look large.
        let digits = value.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
        if digits.count() < 3 {
            return None;
        }
        Some(Self { name, is_rate, value: value.parse().ok()? })
    }
}

/// What both sides came to, a pair for each turn.
struct Figure {
    name: String,
    is_rate: bool,
    base: Vec<f64>,
    here: Vec<f64>,
}

impl Figure {
    /// A figure that most turns could not tell says nothing.
    fn is_compared(&self) -> bool {
        self.base.len() >= TURNS
    }

    /// Says how this tree stands, and whether it is slower.
    fn tell(&self) -> bool {
        let ratios =
            Series::of(self.here.iter().zip(&self.base).map(|(here, base)| here / base).collect());
        let [base, here] = [&self.base, &self.here].map(|side| Series::of(side.clone()));
        let is_slower = if self.is_rate {
            1.0 / ratios.median() > TOO_MUCH && here.at(0.75) < base.at(0.25)
        } else {
            ratios.median() > TOO_MUCH && here.at(0.25) > base.at(0.75)
        };
        let [least, median, most] = [0.0, 0.5, 1.0].map(|part| ratios.at(part));
        println!(
            "{:<44} {median:>7.3}  {least:.3} to {most:.3}  {:>9.3}  {:>9.3}  {}",
            self.name,
            base.median(),
            here.median(),
            if is_slower { "SLOWER" } else { "ok" }
        );
        is_slower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(is_rate: bool, base: [f64; TURNS], here: [f64; TURNS]) -> Figure {
        Figure { name: "it".to_owned(), is_rate, base: base.into(), here: here.into() }
    }

    const STEADY: [f64; TURNS] = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0];

    #[test]
    fn what_is_worse_by_more_than_the_spread_is_slower() {
        assert!(figure(false, STEADY, STEADY.map(|ns| ns * 1.06)).tell());
        assert!(figure(true, STEADY, STEADY.map(|rate| rate * 0.93)).tell());
    }

    #[test]
    fn what_is_better_or_hardly_worse_is_not() {
        for by in [0.5, 1.0, 1.04] {
            assert!(!figure(false, STEADY, STEADY.map(|ns| ns * by)).tell());
        }
        for by in [2.0, 1.0, 0.96] {
            assert!(!figure(true, STEADY, STEADY.map(|rate| rate * by)).tell());
        }
    }

    #[test]
    fn what_strays_as_far_by_itself_is_not() {
        let strays = [100.0, 130.0, 90.0, 140.0, 95.0, 120.0, 105.0];
        assert!(!figure(false, strays, strays.map(|ns| ns * 1.06)).tell());
    }

    #[test]
    fn targets_and_nanoseconds_are_read() {
        let read = |line| Printed::read(line).map(|it| (it.name, it.is_rate, it.value));
        assert_eq!(read("TARGET mint reached=0.981 goal=<=1.08 ok"), Some(("mint", false, 0.981)));
        assert_eq!(read("TARGET x reached=0.856 goal=>=0.95 MISSED"), Some(("x", true, 0.856)));
        let line = "verify, remembered, ns      584.3   576.8 to 592.5 in 3 rounds";
        assert_eq!(read(line), Some(("verify, remembered, ns", false, 584.3)));
        // Too coarse, another unit, no figure.
        assert_eq!(read("TARGET verify_cached reached=0.014 goal=<=0.02 ok"), None);
        assert_eq!(read("gain of a thread, %      186.1   143.4 to 212.9 in 3 rounds"), None);
        assert_eq!(read("a token of 725 bytes"), None);
    }
}
