//! Makes the descriptor limit and maxconn agree: raises RLIMIT_NOFILE as far as allowed, lowers maxconn to what the
//! limit carries, and says so in one line with its cure (configuration.txt section 3.1: `ulimit-n`, `fd-hard-limit`,
//! `strict-limits`).

use super::limits::{Demand, FD_HARD_LIMIT, Plan};
use crate::config::model::{Config, Global};
use crate::sys;
use std::io;

/// What this process has and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    pub soft: u64,
    pub hard: u64,
    /// `fs.nr_open`: nobody gets more.
    pub ceiling: u64,
    /// CAP_SYS_RESOURCE: the hard limit may be raised up to the ceiling. (Root in a container often lacks it.)
    pub may_raise_hard: bool,
}

impl Situation {
    /// As it is now.
    pub fn of_process() -> io::Result<Situation> {
        let limit = sys::limits::descriptors()?;
        Ok(Situation {
            soft: limit.soft,
            hard: limit.hard,
            ceiling: sys::limits::descriptors_ceiling().unwrap_or(FD_HARD_LIMIT),
            may_raise_hard: has_resource_capability(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()),
        })
    }

    /// The highest limit that can be had.
    pub fn reachable(&self) -> u64 {
        if self.may_raise_hard { self.hard.max(self.ceiling) } else { self.hard }
    }
}

/// Whether the effective capabilities in the text of `/proc/self/status` hold CAP_SYS_RESOURCE (bit 24).
fn has_resource_capability(status: &str) -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits & CAP_SYS_RESOURCE != 0)
}

/// How the limit and maxconn came to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub plan: Plan,
    /// RLIMIT_NOFILE to set: of each worker's table.
    pub soft: u64,
    pub hard: u64,
    /// maxconn was computed, not written.
    pub automatic: bool,
    /// The one line, when less than asked for could be had.
    pub shortage: Option<String>,
}

/// Computes limit and maxconn for `config` with `workers` workers.
///
/// # Errors
/// `strict-limits` is written and what is written cannot be met: the message of the refusal.
pub fn settle(config: &Config, workers: u32, situation: Situation) -> Result<Settlement, String> {
    let demand = Demand::of(config, workers);
    let global = &config.global;
    let allowed = situation.reachable().min(global.fd_hard_limit.unwrap_or(u64::MAX));
    let Some(wanted) = global.maxconn else {
        // As HAProxy: computed from the hard limit, which is not raised for a number that nobody wrote.
        let limit =
            global.ulimit_n.unwrap_or(situation.hard).min(allowed).min(global.fd_hard_limit.unwrap_or(FD_HARD_LIMIT));
        let plan = demand.automatic(limit);
        return Ok(Settlement { plan, soft: limit, hard: situation.hard.max(limit), automatic: true, shortage: None });
    };
    let need = demand.plan(wanted);
    // An explicit `ulimit-n` is honoured up and down; otherwise a limit that is high enough stays as it is.
    let asked = global.ulimit_n.unwrap_or(need.descriptors.max(situation.soft));
    let soft = asked.min(allowed);
    let plan = demand.fit(soft, wanted);
    let hard = situation.hard.max(soft);
    if plan.maxconn == wanted {
        // Fewer pipes than wanted is no shortage: what has no pipe is copied. Nor is less head-room in each worker: a full
        // one hands over.
        return Ok(Settlement { plan, soft, hard, automatic: false, shortage: None });
    }
    let text = shortage(global, workers, &need, &plan, soft, situation);
    if global.strict_limits {
        return Err(format!("{text} Not starting, because 'strict-limits' is set."));
    }
    Ok(Settlement { plan, soft, hard, automatic: false, shortage: Some(text) })
}

/// What was needed, what there is, what comes of it, and what to do.
fn shortage(global: &Global, workers: u32, need: &Plan, plan: &Plan, limit: u64, situation: Situation) -> String {
    let needed = need.descriptors;
    let who = if workers == 1 { "the worker needs".to_owned() } else { format!("each of {workers} workers needs") };
    let cure = if global.ulimit_n.is_some_and(|written| written < needed && written <= situation.reachable()) {
        format!("remove 'ulimit-n' from the global section or set it to {needed}")
    } else if global.fd_hard_limit.is_some_and(|written| written < needed && written <= situation.reachable()) {
        format!("set 'fd-hard-limit' in the global section to {needed}")
    } else {
        let ceiling = if needed > situation.ceiling {
            format!("run 'sudo sysctl -w fs.nr_open={needed}', then ")
        } else {
            String::new()
        };
        format!(
            "{ceiling}run 'sudo prlimit --pid $$ --nofile={needed}:{needed}' in the shell that starts it \
             (systemd unit: LimitNOFILE={needed})"
        )
    };
    format!(
        "FD limit ({limit}) too low for maxconn={}: {who} {needed} descriptors; the effective maxconn is {}. To lift it: {cure}.",
        need.maxconn, plan.maxconn,
    )
}

/// [`settle`], then sets the limit for this process and the threads it starts.
///
/// # Errors
/// As [`settle`]; or the limit could not be read.
pub fn apply(config: &Config, workers: u32) -> Result<Settlement, String> {
    let unreadable = |error: io::Error| format!("Cannot read the FD limit: {error}.");
    let mut situation = Situation::of_process().map_err(unreadable)?;
    let mut settlement = settle(config, workers, situation)?;
    let set = |settlement: &Settlement| {
        sys::limits::set_descriptors(sys::limits::Limit { soft: settlement.soft, hard: settlement.hard })
    };
    if set(&settlement).is_err() && situation.may_raise_hard {
        // A security module may refuse what the capability allows: go on with what there is.
        situation.may_raise_hard = false;
        settlement = settle(config, workers, situation)?;
        set(&settlement).map_err(|error| format!("Cannot set the FD limit to {}: {error}.", settlement.soft))?;
    }
    Ok(settlement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn situation(hard: u64, may_raise_hard: bool) -> Situation {
        Situation { soft: 1024.min(hard), hard, ceiling: 1_048_576, may_raise_hard }
    }

    fn config(maxconn: Option<u32>, change: impl FnOnce(&mut Global)) -> Config {
        let mut config = Config::default();
        config.global.maxconn = maxconn;
        change(&mut config.global);
        config
    }

    #[test]
    fn the_tutorial_starts_on_4096() {
        let settled = settle(&config(Some(51200), |_| ()), 2, situation(4096, false)).unwrap();
        assert_eq!((settled.soft, settled.hard), (4096, 4096));
        let line = settled.shortage.unwrap();
        assert!(!line.contains('\n'));
        let needed = Demand::of(&config(None, |_| ()), 2).plan(51200).descriptors;
        for part in [
            "FD limit (4096) too low for maxconn=51200",
            &format!("{needed} descriptors"),
            &format!("the effective maxconn is {}.", settled.plan.maxconn),
            &format!("LimitNOFILE={needed}"),
            &format!("--nofile={needed}:{needed}"),
        ] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }

    #[test]
    fn soft_is_raised_then_hard() {
        let needed = Demand::of(&config(None, |_| ()), 2).plan(51200).descriptors;
        let soft = settle(&config(Some(51200), |_| ()), 2, situation(200_000, false)).unwrap();
        assert_eq!((soft.soft, soft.hard, soft.plan.maxconn, soft.shortage), (needed, 200_000, 51200, None));
        let hard = settle(&config(Some(51200), |_| ()), 2, situation(4096, true)).unwrap();
        assert_eq!((hard.soft, hard.hard, hard.shortage), (needed, needed, None));
        // A limit that is high enough stays.
        let small = settle(&config(Some(10), |_| ()), 1, situation(4096, true)).unwrap();
        assert_eq!((small.soft, small.hard, small.shortage), (1024, 4096, None));
    }

    #[test]
    fn strict_limits_refuse() {
        let refused = settle(&config(Some(51200), |global| global.strict_limits = true), 2, situation(4096, false));
        assert!(refused.unwrap_err().contains("strict-limits"));
        assert!(settle(&config(Some(51200), |global| global.strict_limits = true), 2, situation(4096, true)).is_ok());
    }

    #[test]
    fn ulimit_n_is_honoured_and_named() {
        let settled =
            settle(&config(Some(1000), |global| global.ulimit_n = Some(500)), 1, situation(4096, true)).unwrap();
        assert_eq!(settled.soft, 500);
        assert!(settled.shortage.unwrap().contains("remove 'ulimit-n'"));
        let higher =
            settle(&config(Some(10), |global| global.ulimit_n = Some(65535)), 1, situation(4096, true)).unwrap();
        assert_eq!((higher.soft, higher.hard), (65535, 65535));
        let capped =
            settle(&config(Some(9000), |global| global.fd_hard_limit = Some(3000)), 1, situation(4096, true)).unwrap();
        assert_eq!(capped.soft, 3000);
        assert!(capped.shortage.unwrap().contains("fd-hard-limit"));
    }

    #[test]
    fn maxconn_is_computed_when_absent() {
        let settled = settle(&config(None, |_| ()), 1, situation(20_000, true)).unwrap();
        assert!(settled.automatic && settled.shortage.is_none());
        assert_eq!((settled.soft, settled.hard), (20_000, 20_000));
        assert!((9_500..10_000).contains(&settled.plan.maxconn), "{settled:?}");
        let unlimited = settle(&config(None, |_| ()), 1, situation(u64::MAX, false)).unwrap();
        assert_eq!(unlimited.soft, FD_HARD_LIMIT);
    }

    #[test]
    fn more_than_the_kernel_allows_names_the_sysctl() {
        let settled = settle(&config(Some(2_000_000), |_| ()), 1, situation(4096, true)).unwrap();
        assert_eq!(settled.soft, 1_048_576);
        assert!(settled.shortage.unwrap().contains("sysctl -w fs.nr_open="));
    }

    #[test]
    fn capabilities() {
        assert!(has_resource_capability("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!has_resource_capability("CapEff:\t00000000a80425fb\n"));
        assert!(!has_resource_capability(""));
    }

    proptest! {
        #[test]
        fn never_above_what_is_reachable(
            maxconn in proptest::option::of(1u32..4_000_000), workers in 1u32..65, hard in 64u64..2_000_000,
            may_raise in any::<bool>(), ulimit in proptest::option::of(10u64..3_000_000),
            cap in proptest::option::of(100u64..3_000_000),
        ) {
            let config = config(maxconn, |global| { global.ulimit_n = ulimit; global.fd_hard_limit = cap; });
            let situation = situation(hard, may_raise);
            let settled = settle(&config, workers, situation).unwrap();
            prop_assert!(settled.soft <= situation.reachable() && settled.soft <= settled.hard);
            prop_assert!(settled.hard == hard || may_raise);
            prop_assert!(settled.soft <= cap.unwrap_or(u64::MAX));
            prop_assert!(maxconn.is_none_or(|wanted| settled.plan.maxconn <= wanted));
            prop_assert_eq!(
                settled.shortage.is_some(),
                maxconn.is_some_and(|wanted| settled.plan.maxconn < wanted)
            );
        }
    }
}
