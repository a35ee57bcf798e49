//! One picture as SVG.

use super::pictures::{Axis, Line, Picture};
use anyhow::anyhow;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::FontTransform;
use std::ops::Range;

const SIZE: (u32, u32) = (900, 560);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Told apart by people who do not tell red from green (Okabe and Ito).
fn colour(engine: &str) -> RGBColor {
    match engine {
        "ringway-uring" => RGBColor(0, 114, 178),
        "ringway-epoll" => RGBColor(86, 180, 233),
        "haproxy" => RGBColor(213, 94, 0),
        "haproxy-splice" => RGBColor(230, 159, 0),
        "nginx" => RGBColor(0, 158, 115),
        "relay" => RGBColor(204, 121, 167),
        _ => RGBColor(120, 120, 120),
    }
}

/// The picture's SVG.
pub fn draw(picture: &Picture) -> anyhow::Result<String> {
    let horizontal =
        range(picture.lines.iter().flat_map(|line| line.points.iter().map(|point| point.at)), &picture.horizontal);
    let values =
        picture.lines.iter().flat_map(|line| line.points.iter().flat_map(|point| [point.value.min, point.value.max]));
    let vertical = range(values, &picture.vertical);
    let mut svg = String::new();
    let drawn = match (picture.horizontal.is_logarithmic, picture.vertical.is_logarithmic) {
        (false, false) => draw_on(picture, horizontal, vertical, &mut svg),
        (true, false) => draw_on(picture, horizontal.log_scale(), vertical, &mut svg),
        (false, true) => draw_on(picture, horizontal, vertical.log_scale(), &mut svg),
        (true, true) => draw_on(picture, horizontal.log_scale(), vertical.log_scale(), &mut svg),
    };
    drawn.map_err(|error| anyhow!("{}: {error}", picture.name))?;
    Ok(svg)
}

/// All values with some air; a linear axis begins at nothing, so that heights can be compared.
fn range(values: impl Iterator<Item = f64>, axis: &Axis) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, 0f64), |(low, high), value| (low.min(value), high.max(value)));
    let high = if high > 0.0 { high } else { 1.0 };
    if axis.is_logarithmic {
        let low = if low.is_finite() && low > 0.0 { low } else { high / 10.0 };
        return low / 1.3..high * 1.3;
    }
    0.0..high * 1.08
}

fn draw_on<X, Y>(
    picture: &Picture,
    horizontal: X,
    vertical: Y,
    svg: &mut String,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw_text(&picture.title, &(FONT, 20).into_font().color(&INK), (24, 14))?;
    area.draw_text(&picture.below, &(FONT, 12).into_font().color(&INK.mix(0.7)), (24, SIZE.1 as i32 - 20))?;
    let inner = area.margin(44, 28, 12, 24);
    let mut chart = ChartBuilder::on(&inner)
        .x_label_area_size(44)
        .y_label_area_size(78)
        .build_cartesian_2d(horizontal, vertical)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_desc(&picture.horizontal.title)
        .y_desc(&picture.vertical.title)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for line in &picture.lines {
        let colour = colour(&line.engine);
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().map(|point| (point.at, point.value.median)), style))?
            .label(&line.engine)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
        let bars = line.points.iter().map(|point| {
            PathElement::new(
                [(point.at, point.value.min), (point.at, point.value.max)],
                colour.mix(0.6).stroke_width(1),
            )
        });
        chart.draw_series(bars)?;
        let dots = line.points.iter().map(|point| Circle::new((point.at, point.value.median), 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(legend_corner(picture))
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font((FONT, 13).into_font().transform(FontTransform::None).color(&INK))
        .draw()?;
    area.present()?;
    Ok(())
}

/// The upper corner whose lines are lower.
fn legend_corner(picture: &Picture) -> SeriesLabelPosition {
    let end = |pick: fn(&Line) -> Option<f64>| picture.lines.iter().filter_map(pick).fold(0f64, f64::max);
    let first = end(|line| line.points.first().map(|point| point.value.max));
    let last = end(|line| line.points.last().map(|point| point.value.max));
    if first < last { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::UpperRight }
}

/// 12000 as `12k`: axes have little room.
fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = if scaled.abs() >= 100.0 || scaled.fract() == 0.0 { 0 } else { 2 };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_right() {
        for (value, label) in
            [(0.0, "0"), (0.25, "0.25"), (64.0, "64"), (1500.0, "1500"), (20_000.0, "20k"), (2_500_000.0, "2.5M")]
        {
            assert_eq!(short(value), label);
        }
    }
}
