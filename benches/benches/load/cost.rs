//! What an exchange costs, and what the issue of its token had cost: counters of the system and of the
//! server, before and after.
//!
//! What is ours includes whoever makes the calls, and the client's side of the store. The system counts
//! CPU time in hundredths of a second, so the runs are long.

use mintage_benches::{Failure, arrivals, figures::figure};

use super::{
    Sizes,
    counts::Counts,
    round::Round,
    site::{Pace, Site},
};

/// At half the top rate, where calls travel together, and of a caller who is alone, with whom each
/// makes its own way.
pub(crate) async fn measure(site: &Site, top: f64, sizes: Sizes) -> Result<(), Failure> {
    let Sizes { rounds, .. } = sizes;
    let half = sizes.costly(top / 2.0);
    let alone = sizes.calls(Round::of(site, 2_000, Pace::Callers(1)).await?.run.rate);
    let mut costs = [Costs::of("half load"), Costs::of("one caller"), Costs::of("issue")];
    for number in 0..rounds {
        eprintln!("{}: costs, round {} of {rounds}", site.name, number + 1);
        site.server.checkpoint().await?;
        let due =
            arrivals(top / 2.0, number.into()).take(usize::try_from(half)?).collect::<Vec<_>>();
        let [at_half, by_one, issues] = &mut costs;
        exchange(site, half, Pace::Due(due), at_half, Some(issues)).await?;
        exchange(site, alone, Pace::Callers(1), by_one, None).await?;
    }
    for costs in costs {
        costs.tell(site.name);
    }
    Ok(())
}

/// What it costs PostgreSQL to drop a grant, which must keep step with the exchanges. Vacuum comes after,
/// in its own time. Redis drops by itself what is dead, and memory as it finds it.
pub(crate) async fn purge(site: &Site) -> Result<(), Failure> {
    if site.name != "postgres" {
        return Ok(());
    }
    eprintln!("postgres: all grants are purged");
    let before = site.server.counts().await?;
    let mut purged = 0;
    loop {
        match site.world.purge_early().await? {
            0 => break,
            dropped => purged += dropped,
        }
    }
    let after = site.server.counts().await?;
    let costs = Costs { of: "purge", rounds: vec![each(&before, &after, purged)] };
    figure("postgres, purge, grants", [f64::from(purged)].into_iter());
    costs.tell(site.name);
    Ok(())
}

async fn exchange(
    site: &Site,
    count: u32,
    pace: Pace,
    costs: &mut Costs,
    issues: Option<&mut Costs>,
) -> Result<(), Failure> {
    let before = site.server.counts().await?;
    let tokens = site.issue(count).await?;
    let between = site.server.counts().await?;
    let calls = site.exchange(tokens.clone(), pace).await?;
    let after = site.server.counts().await?;
    if Round::checked(&site.world, &tokens, &calls)?.refused > 0 {
        return Err(format!("{}: some were refused where the costs were counted", site.name).into());
    }
    if let Some(issues) = issues {
        issues.rounds.push(each(&before, &between, count));
    }
    costs.rounds.push(each(&between, &after, count));
    Ok(())
}

/// What one of so many has cost.
fn each(before: &Counts, after: &Counts, count: u32) -> Counts {
    let both = before.iter().zip(after);
    both.map(|((name, before), (_, after))| (*name, (after - before) / f64::from(count))).collect()
}

/// The costs of something, for each round.
struct Costs {
    of: &'static str,
    rounds: Vec<Counts>,
}

impl Costs {
    fn of(of: &'static str) -> Self {
        Self { of, rounds: Vec::new() }
    }

    fn tell(&self, name: &str) {
        let counted = self.rounds.first().into_iter().flatten();
        for (nth, (what, _)) in counted.enumerate() {
            let rounds = self.rounds.iter().map(|counts| counts[nth].1);
            figure(&format!("{name}, {}, {what}", self.of), rounds);
        }
    }
}
