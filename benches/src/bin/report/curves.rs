//! Latency against load: a table of what was offered, and a curve for each store.

use std::{collections::BTreeSet, fmt::Write as _, ops::Range};

use mintage_benches::Failure;
use plotters::{coord::combinators::BindKeyPoints as _, prelude::*};

use crate::{
    plot::{INK, WIDTH},
    record::Record,
};

/// In pixels.
const HEIGHT: u32 = 460;

/// These can be told apart by those who see few colours, on white and on black.
const COLORS: [RGBColor; 3] =
    [RGBColor(56, 139, 253), RGBColor(219, 109, 40), RGBColor(163, 113, 247)];

/// What stands between the head of the section and its plot.
pub(crate) fn table(record: &Record) -> String {
    let mut text = WORDS.to_owned();
    for curve in curves(record) {
        for point in &curve.points {
            let Point { load, offered, done, median, p99, late, refused } = point;
            let (store, knee) =
                (&curve.store, if curve.is_knee(point) { ", the knee" } else { "" });
            // Writing to a string cannot fail.
            _ = writeln!(
                text,
                "| {store} | {load} %{knee} | {offered:.0} | {done:.0} | {median:.0} | {p99:.0} | \
                 {late:.0} | {refused:.0} |"
            );
        }
    }
    text
}

const WORDS: &str = "\
Whole exchanges through the engine, the client, the engine and the server all on the cores of this one
machine. They arrive by a Poisson process at parts of the store's *top rate*, which is what 256 callers
get who go on as soon as they are answered (in memory, a thread for each core). A latency runs from when
the exchange was due, and not from when it was sent. The *knee* is the highest load up to which nothing
is refused, 98 % of what is offered is done in the time that it is offered in, and the p99 is at most
five times that of a tenth of the top rate. Medians of the rounds; latencies in µs, of those that were
done. What was refused, because it had to wait too long, is the sum over all rounds.

| store | load | offered/s | done/s | median | p99 | sent late, p99 | refused |
|---|---|---|---|---|---|---|---|
";

/// An SVG of the medians (dashed) and the p99s of all stores.
pub(crate) fn plot(record: &Record) -> Result<String, Failure> {
    let curves = curves(record);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let rates = around(points().map(|point| point.offered));
    let latencies = around(points().flat_map(|point| [point.median, point.p99]));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .margin_right(20)
            .y_label_area_size(70)
            .x_label_area_size(46)
            .build_cartesian_2d(
                rates.clone().log_scale().with_key_points(ticks(&rates)),
                latencies.clone().log_scale().with_key_points(ticks(&latencies)),
            )?;
        chart
            .configure_mesh()
            .axis_style(INK)
            .bold_line_style(INK.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .x_label_formatter(&|rate| short(*rate, ""))
            .y_label_formatter(&|micros| short(micros / 1e6, "s"))
            .x_desc("exchanges/s that were offered")
            .y_desc("from due to answered: p99, and dashed the median")
            .draw()?;
        for (curve, color) in curves.iter().zip(COLORS.into_iter().cycle()) {
            let line = |of: fn(&Point) -> f64| {
                curve.points.iter().map(move |point| (point.offered, of(point)))
            };
            let p99: Vec<_> = line(|point| point.p99).collect();
            let style = color.stroke_width(2);
            chart
                .draw_series([PathElement::new(p99.clone(), style)])?
                .label(&curve.store)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
            chart.draw_series(p99.into_iter().map(|at| Circle::new(at, 3, color.filled())))?;
            // Dashes of a line between each two: a dashed element would need more of plotters.
            let medians: Vec<_> = line(|point| point.median).collect();
            chart.draw_series(dashes(&medians).map(|dash| PathElement::new(dash, color)))?;
            for knee in curve.points.iter().filter(|point| curve.is_knee(point)) {
                let at = (knee.offered, knee.p99);
                chart.draw_series([Circle::new(at, 8, style)])?;
                let word = ("sans-serif", 13).into_font().color(&color);
                let place = (knee.offered, knee.p99 / 1.6);
                chart.draw_series([Text::new("knee", place, word)])?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 14).into_font().color(&INK))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// What a store did at each load.
struct Curve {
    store: String,
    knee: f64,
    points: Vec<Point>,
}

/// The medians of a load's rounds.
struct Point {
    /// In hundredths of the top rate.
    load: u32,
    offered: f64,
    done: f64,
    median: f64,
    p99: f64,
    late: f64,
    /// In all rounds.
    refused: f64,
}

impl Curve {
    /// The knee is said as the rate that was aimed at; the one that was offered is close by.
    fn is_knee(&self, point: &Point) -> bool {
        (point.offered / self.knee - 1.0).abs() < 0.03
    }
}

/// In the order of the record.
fn curves(record: &Record) -> Vec<Curve> {
    let line = |name: &str| record.lines.iter().find(|line| line.name == name);
    let median = |name: String| line(&name).map_or(f64::NAN, |line| line.series().median());
    let mut stores: Vec<&str> = Vec::new();
    let mut loads = BTreeSet::new();
    for line in &record.lines {
        let Some((store, rest)) = line.name.split_once(", ") else { continue };
        if !stores.contains(&store) {
            stores.push(store);
        }
        loads.extend(rest.split_once(" %, ").and_then(|(load, _)| load.parse::<u32>().ok()));
    }
    let point = |store: &str, load: u32| {
        let of = |what: &str| median(format!("{store}, {load} %, {what}"));
        Point {
            load,
            offered: of("offered/s"),
            done: of("done/s"),
            median: of("median, µs"),
            p99: of("p99, µs"),
            late: of("sent late, p99, µs"),
            refused: line(&format!("{store}, {load} %, refused"))
                .map_or(f64::NAN, |line| line.rounds.iter().sum()),
        }
    };
    let curve = |store: &str| Curve {
        store: store.to_owned(),
        knee: median(format!("{store}, knee, exchanges/s")),
        points: loads.iter().map(|load| point(store, *load)).collect(),
    };
    stores.into_iter().map(curve).collect()
}

/// A range with room on both sides.
fn around(numbers: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) =
        numbers.fold((f64::INFINITY, 0.0_f64), |(least, most), n| (least.min(n), most.max(n)));
    least / 1.3..most * 1.3
}

/// 1, 2 and 5 of every power of ten in the range.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = (-1..8).map(|power| 10_f64.powi(power));
    let ticks = powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]);
    ticks.filter(|tick| range.contains(tick)).collect()
}

/// A number with the prefix that makes it short.
fn short(number: f64, unit: &str) -> String {
    let (number, prefix) = match number {
        1e3.. => (number / 1e3, "k"),
        1.0.. => (number, ""),
        1e-3.. => (number * 1e3, "m"),
        _ => (number * 1e6, "µ"),
    };
    format!("{number:.0} {prefix}{unit}")
}

/// Every other piece of the line, of four between each two of its points.
fn dashes(line: &[(f64, f64)]) -> impl Iterator<Item = [(f64, f64); 2]> {
    line.windows(2).flat_map(|ends| {
        let [(left, low), (right, high)] = [ends[0], ends[1]];
        // On scales of logarithms a straight line is drawn by powers.
        let at = move |part: f64| (left * (right / left).powf(part), low * (high / low).powf(part));
        [[at(0.0), at(0.25)], [at(0.5), at(0.75)]]
    })
}
