//! The rounds of each target as points on a strip, measured by its goal.

use mintage_benches::{Failure, figures::Goal};
use plotters::{coord::combinators::BindKeyPoints as _, prelude::*};

use crate::{
    page::told,
    record::{Line, Record},
};

/// In pixels.
pub(crate) const WIDTH: u32 = 860;
const STRIP: u32 = 26;
const LABELS: u32 = 270;
const AXIS: u32 = 46;

/// Nothing is painted behind the plot, and these can be read on white and on black.
pub(crate) const INK: RGBColor = RGBColor(125, 133, 144);
const REACHED: RGBColor = RGBColor(46, 160, 67);
const MISSED: RGBColor = RGBColor(218, 54, 51);

/// What is farther from its goal is drawn at the edge.
const EDGE: f64 = 4.0;

/// An SVG of all targets of the group.
pub(crate) fn strips(record: &Record) -> Result<String, Failure> {
    let targets: Vec<(&Line, Goal)> = record.targets().collect();
    let count = u32::try_from(targets.len())?;
    let tenths = i32::try_from(10 * count)?;
    let mut svg = String::new();
    {
        let size = (WIDTH, STRIP * count + AXIS + 10);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let ticks = vec![0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0];
        let mut chart = ChartBuilder::on(&root)
            .margin(5)
            .margin_right(20)
            .y_label_area_size(LABELS)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(
                (1.0 / EDGE..EDGE).log_scale().with_key_points(ticks),
                // In tenths of a strip; the first is at the top.
                (tenths..0).with_key_points((5..tenths).step_by(10).collect::<Vec<_>>()),
            )?;
        let label = |middle: &i32| {
            let target = usize::try_from(middle / 10).ok().and_then(|nth| targets.get(nth));
            target
                .map_or_else(String::new, |(line, goal)| format!("{}  {}", line.name, told(*goal)))
        };
        chart
            .configure_mesh()
            .axis_style(INK)
            .bold_line_style(INK.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .x_label_formatter(&|ratio| format!("{ratio}"))
            .y_label_formatter(&label)
            .x_desc("round ÷ goal; the shaded side of 1 is the good one")
            .draw()?;
        for ((line, goal), top) in targets.iter().zip((0_i32..).step_by(10)) {
            let good = match goal {
                Goal::AtLeast(_) => EDGE,
                Goal::AtMost(_) => 1.0 / EDGE,
            };
            let shade = REACHED.mix(0.12).filled();
            chart.draw_series([Rectangle::new([(1.0, top + 1), (good, top + 9)], shade)])?;
            let bound = INK.stroke_width(2);
            chart.draw_series([PathElement::new([(1.0, top + 1), (1.0, top + 9)], bound)])?;
            chart.draw_series(line.rounds.iter().map(|round| {
                let color = if goal.is_met(*round) { REACHED } else { MISSED };
                Circle::new((by_goal(*round, *goal), top + 5), 3, color.mix(0.6).filled())
            }))?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// The round in parts of the goal, no farther from it than the edge.
fn by_goal(round: f64, goal: Goal) -> f64 {
    let ratio = round / goal.bound();
    // None where none is the goal is what was wanted.
    if ratio.is_nan() { 1.0 } else { ratio.clamp(1.0 / EDGE, EDGE) }
}
