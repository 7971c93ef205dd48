//! Latency against load: the top rate in a closed loop, and then arrivals at parts of it.

use mintage_benches::{
    Failure, arrivals,
    figures::{Series, figure},
};

use super::{
    Sizes,
    counts::ticks,
    round::Round,
    site::{MANY, Pace, Site},
};

/// What is offered, in hundredths of the top rate. The first is what the others are held against.
const LOADS: [u32; 7] = [10, 25, 50, 70, 80, 90, 100];

/// The knee is the highest load up to which nothing is refused in any round, all that is offered is done
/// (98 %, in the time that it is offered in), and the p99 is at most so many times that of the first
/// load; both in the median of the rounds.
const STEEP: f64 = 5.0;
const DONE: f64 = 0.98;

/// How many exchanges a second `MANY` callers get who go on as soon as they are answered.
pub(crate) async fn top(site: &Site, sizes: Sizes) -> Result<f64, Failure> {
    let mut rate = 1000.0;
    let mut rates = Vec::new();
    // The first two find out how many are enough, and warm up.
    for number in 0..sizes.rounds + 2 {
        let count = sizes.calls(rate);
        rate = Round::of(site, count, Pace::Callers(MANY)).await?.run.rate;
        if number >= 2 {
            rates.push(rate);
        }
    }
    figure(&format!("{}, top rate, exchanges/s", site.name), rates.iter().copied());
    Ok(Series::of(rates).median())
}

/// Offers every load once a round, in an order that changes.
pub(crate) async fn measure(site: &Site, top: f64, sizes: Sizes) -> Result<(), Failure> {
    let mut points: Vec<Point> = LOADS.into_iter().map(|load| Point::at(load, top)).collect();
    let [ticks_before, stolen_before] = ticks()?;
    for number in 0..sizes.rounds {
        let count = LOADS.len();
        for step in 0..count {
            // Steps of 3 meet each of the seven, and no neighbours.
            let point = &mut points[(3 * step + number as usize) % count];
            eprintln!("{}: {} %, round {} of {}", site.name, point.load, number + 1, sizes.rounds);
            point.offer(site, number, sizes).await?;
        }
    }
    let [ticks_after, stolen_after] = ticks()?;
    let stolen = 100.0 * (stolen_after - stolen_before) / (ticks_after - ticks_before);
    figure(&format!("{}, stolen by the hypervisor, %", site.name), [stolen].into_iter());
    for point in &points {
        point.tell(site.name);
    }
    let first = points.first().ok_or("no load")?;
    let sound = points.iter().take_while(|point| point.is_sound(first));
    let knee = sound.last().ok_or("a tenth of what the store can do was not done")?;
    figure(&format!("{}, knee, exchanges/s", site.name), [knee.rate].into_iter());
    println!("\n{}: the knee is at {} % of the top rate\n", site.name, knee.load);
    Ok(())
}

/// One load, and what came of it in each round.
struct Point {
    /// In hundredths of the top rate.
    load: u32,
    /// The same as exchanges a second.
    rate: f64,
    rounds: Vec<(f64, Round)>,
}

impl Point {
    fn at(load: u32, top: f64) -> Self {
        Self { load, rate: top * f64::from(load) / 100.0, rounds: Vec::new() }
    }

    async fn offer(&mut self, site: &Site, number: u32, sizes: Sizes) -> Result<(), Failure> {
        let count = sizes.calls(self.rate);
        let due = arrivals(self.rate, u64::from(1000 * number + self.load))
            .take(usize::try_from(count)?)
            .collect::<Vec<_>>();
        let last = due.last().copied().unwrap_or_default();
        let offered = f64::from(count) / last.as_secs_f64();
        let round = Round::of(site, count, Pace::Due(due)).await?;
        self.rounds.push((offered, round));
        Ok(())
    }

    /// What `of` says of the rounds.
    fn each(&self, of: impl Fn(&Round) -> f64) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(move |(_, round)| of(round))
    }

    fn tell(&self, name: &str) {
        let Self { load, .. } = self;
        let told = |what: &str| format!("{name}, {load} %, {what}");
        figure(&told("offered/s"), self.rounds.iter().map(|(offered, _)| *offered));
        figure(&told("done/s"), self.each(|round| round.run.rate));
        figure(&told("median, µs"), self.each(|round| round.run.percentile(50)));
        figure(&told("p99, µs"), self.each(|round| round.run.percentile(99)));
        figure(&told("sent late, p99, µs"), self.each(|round| round.late.percentile(99)));
        figure(&told("refused"), self.each(|round| f64::from(round.refused)));
    }

    fn is_sound(&self, first: &Self) -> bool {
        let p99 = |point: &Self| median(point.each(|round| round.run.percentile(99)));
        let done = median(self.rounds.iter().map(|(offered, round)| round.run.rate / offered));
        self.rounds.iter().all(|(_, round)| round.refused == 0)
            && done >= DONE
            && p99(self) <= STEEP * p99(first)
    }
}

fn median(rounds: impl Iterator<Item = f64>) -> f64 {
    Series::of(rounds.collect()).median()
}
