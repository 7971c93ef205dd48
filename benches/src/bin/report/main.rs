//! Writes what has been measured down as a page, with a plot for each group.
//!
//! usage: `report [folder]`
//!
//! It reads `benchmarks/*.tsv` and `benchmarks/notes.md` in that folder, `docs` if none is named, and
//! writes `BENCHMARKS.md` and `benchmarks/*.svg` there. It fails, once everything is written, where a
//! target is missed and no note explains why, and where nothing says what a target is.

mod curves;
mod page;
mod plot;
mod record;
mod words;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mintage_benches::Failure;

use crate::{page::Page, record::Record, words::GROUPS};

fn main() -> ExitCode {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("docs"), PathBuf::from);
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("report: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<(), Failure> {
    let benchmarks = folder.join("benchmarks");
    let records = records(&benchmarks)?;
    for record in &records {
        // A group without targets is one of curves.
        let has_targets = record.targets().next().is_some();
        let svg = if has_targets { plot::strips(record)? } else { curves::plot(record)? };
        fs::write(benchmarks.join(format!("{}.svg", record.group)), svg)?;
    }
    let notes = benchmarks.join("notes.md");
    let notes = if notes.exists() { fs::read_to_string(notes)? } else { String::new() };
    let has_flame = benchmarks.join("exchange-flame.svg").exists();
    let page = Page::of(&records, &page::notes(&notes), has_flame);
    fs::write(folder.join("BENCHMARKS.md"), &page.text)?;
    if page.wanting.is_empty() { Ok(()) } else { Err(page.wanting.join("\n  ").into()) }
}

/// Those that are there, in the order of the page.
fn records(benchmarks: &Path) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    for file in fs::read_dir(benchmarks)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "tsv") {
            let group = file.file_stem().and_then(|stem| stem.to_str()).ok_or("not UTF-8")?;
            let place = GROUPS.iter().position(|(name, _)| *name == group);
            let place = place.ok_or_else(|| format!("{group}: no group of that name is known"))?;
            let text = fs::read_to_string(&file)?;
            let record = Record::read(group, &text);
            records.push((place, record.map_err(|failure| format!("{group}: {failure}"))?));
        }
    }
    records.sort_by_key(|(place, _)| *place);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str =
        "# date\t2026-01-02\n# part\tsign\nmint, ns\t\t10 30 20\nmint\t<=1.08\t1.0 ";

    fn folder(record: &str, notes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let benchmarks = folder.path().join("benchmarks");
        fs::create_dir(&benchmarks).unwrap();
        fs::write(benchmarks.join("sign.tsv"), record).unwrap();
        fs::write(benchmarks.join("notes.md"), notes).unwrap();
        folder
    }

    fn page_of(folder: &tempfile::TempDir) -> String {
        fs::read_to_string(folder.path().join("BENCHMARKS.md")).unwrap()
    }

    #[test]
    fn what_is_reached_needs_no_note() {
        let folder = folder(&format!("{RECORD}1.05 1.5\n"), "");
        write(folder.path()).unwrap();
        let page = page_of(&folder);
        assert!(page.contains("| ≤ 1.08 | 1.050 | 1.000–1.500 | 3 | ok |"), "{page}");
        assert!(page.contains("| mint, ns | 20.0 | 10.0–30.0 | 3 |"), "{page}");
        assert!(folder.path().join("benchmarks/sign.svg").exists());
    }

    #[test]
    fn a_miss_without_a_note_fails_once_the_page_is_written() {
        let folder = folder(&format!("{RECORD}1.2 1.5\n"), "## mint_aws_lc\nOf another.\n");
        let failure = write(folder.path()).unwrap_err().to_string();
        assert!(failure.contains("mint is MISSED") && failure.contains("notes.md"), "{failure}");
        assert!(page_of(&folder).contains("| 1.200 | 1.000–1.500 | 3 | **MISSED** |"));
    }

    #[test]
    fn a_note_explains_a_miss() {
        let record = format!("{RECORD}1.2 1.5\n");
        let folder = folder(&record, "Words.\n\n## mint\nThe moon was full.\n\n## verify\nNo.\n");
        write(folder.path()).unwrap();
        let page = page_of(&folder);
        assert!(page.contains("**mint**: The moon was full.") && !page.contains("No."), "{page}");
    }

    #[test]
    fn a_target_that_nothing_describes_fails() {
        let folder = folder("# part\tsign\nmoon\t>=0.5\t0.7\n", "");
        let failure = write(folder.path()).unwrap_err().to_string();
        assert!(failure.contains("moon") && failure.contains("words.rs"), "{failure}");
    }

    #[test]
    fn a_group_without_targets_has_curves_and_their_knee() {
        let folder = tempfile::tempdir().unwrap();
        let benchmarks = folder.path().join("benchmarks");
        fs::create_dir(&benchmarks).unwrap();
        let loads = [(10, 100), (80, 300), (110, 90_000)].map(|(load, p99)| {
            let offered = load * 100;
            format!(
                "redis, {load} %, offered/s\t\t{offered}\nredis, {load} %, done/s\t\t7920\n\
                 redis, {load} %, median, µs\t\t50\nredis, {load} %, p99, µs\t\t{p99}\n\
                 redis, {load} %, sent late, p99, µs\t\t20\nredis, {load} %, refused\t\t0\n"
            )
        });
        let record = loads.concat() + "redis, knee, exchanges/s\t\t8020\n";
        fs::write(benchmarks.join("load.tsv"), record).unwrap();
        write(folder.path()).unwrap();
        let page = page_of(&folder);
        assert!(page.contains("| redis | 80 %, the knee | 8000 | 7920 | 50 | 300 | 20 | 0 |"));
        assert!(page.contains("| redis | 110 % |") && !page.contains("| target |"), "{page}");
        let svg = fs::read_to_string(benchmarks.join("load.svg")).unwrap();
        assert!(svg.matches("knee").count() == 1 && svg.contains("50 ms"), "{svg}");
    }

    #[test]
    fn what_is_no_record_is_told_as_such() {
        for text in ["mint\t<=1.08\n", "mint\t=1.08\t1.0\n", "mint\t<=1.08\tone\n", "mint\t<=1\t\n"]
        {
            let folder = folder(text, "");
            let failure = write(folder.path()).unwrap_err().to_string();
            assert!(failure.starts_with("sign: line 1: "), "{failure}");
        }
    }
}
