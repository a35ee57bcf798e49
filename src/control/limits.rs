//! How many descriptors a configuration needs, and how many connections a limit allows: pure arithmetic.
//!
//! Each worker has a descriptor table of its own (`unshare(CLONE_FILES)`), and RLIMIT_NOFILE bounds each table, not the
//! process. So what counts is what the fullest worker holds, not the sum.
//!
//! # Head-room
//! The kernel gives each new connection to one of the N listening sockets of a port by a hash of its addresses and ports
//! (SO_REUSEPORT), not by who has room. With M connections open a worker therefore holds about M/N of them, give or take
//! the deviation of a binomial distribution, √(M/N · (1 − 1/N)). A worker is given room for [`DEVIATIONS`] of them above
//! the mean: at 6 a worker overflows once in 10⁹ draws. Where the limit is too tight for that a full worker hands over to
//! one that has room (`worker::handover`), so that maxconn may be as high as all tables together allow.

use crate::config::model::{Config, ListenAddress, LogAddress};
use std::collections::HashSet;

/// Standard deviations of head-room a worker gets above its mean share.
const DEVIATIONS: f64 = 6.0;
/// stdin, stdout, stderr, the ring or epoll descriptor, its timer, and what libraries open for a moment
/// (`/etc/hosts`, `/proc`).
const DESCRIPTORS_OF_A_THREAD: u64 = 16;
/// Connections that were accepted but not counted yet when a limit is reached: multishot accept may deliver some more
/// before its cancellation takes effect.
const ACCEPTS_IN_FLIGHT: u64 = 32;
/// A pipe is two descriptors.
const DESCRIPTORS_PER_PIPE: u64 = 2;
/// One to the client, one to the server.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// The two ends of the socket by which a connection comes to a worker's table.
const DESCRIPTORS_PER_CHANNEL: u64 = 2;
/// Pipes a worker may hold when `maxpipes` says nothing. Each may pin up to 256 KiB of kernel memory, and only directions
/// that carry bulk at this moment hold one, so more do not help.
const PIPES_PER_WORKER: u32 = 128;
/// What a computed maxconn does not go below however tight the limit is: then the limit is hopeless and accept pauses.
const MAXCONN_MIN: u32 = 1;
/// What a computed maxconn does not go above: a quarter of u32's range keeps every sum in range, and no machine carries a
/// billion connections.
const MAXCONN_MAX: u32 = u32::MAX / 4;
/// `fd-hard-limit` when the file says nothing, as HAProxy's default: an "unlimited" hard limit must not make
/// maxconn a billion.
pub const FD_HARD_LIMIT: u64 = 1_048_576;

/// What a configuration wants of the descriptor tables, apart from connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    pub workers: u32,
    /// The fewest workers that share one bound address: `thread`/`process` on a `bind` narrow the spread.
    pub fewest_workers: u32,
    /// Listening sockets of the worker that has most.
    pub listeners: u32,
    /// Servers that are checked: a check may have one socket open.
    pub checks: u32,
    /// Distinct log addresses that need a socket, in every thread.
    pub log_sockets: u32,
    /// Runtime sockets, and connections that they accept together.
    pub runtime_sockets: u32,
    pub runtime_connections: u32,
    /// Pipes for the whole process; `None`: chosen here.
    pub maxpipes: Option<u32>,
}

/// A maxconn and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Connections of the whole process.
    pub maxconn: u32,
    /// Connections one worker takes at most.
    pub connections_per_worker: u32,
    pub pipes_per_worker: u32,
    /// Descriptors that a table has to hold: the fuller of a worker's and the control thread's.
    pub descriptors: u64,
}

impl Demand {
    /// What `config` wants with `workers` workers.
    pub fn of(config: &Config, workers: u32) -> Demand {
        let workers = workers.max(1);
        let listens_on = |worker: u32| {
            let accepts = |listener: &&crate::config::model::Listener| {
                listener.workers.as_ref().is_none_or(|chosen| chosen.contains(&worker))
            };
            config.listeners.iter().filter(accepts).count()
        };
        let own_sockets =
            config.listeners.iter().filter(|listener| matches!(listener.address, ListenAddress::Ip { .. }));
        let fewest = own_sockets
            .filter_map(|listener| listener.workers.as_ref())
            .map(|chosen| chosen.iter().filter(|worker| **worker < workers).count().max(1))
            .min();
        let logs: HashSet<&LogAddress> = std::iter::once(&config.global.log)
            .chain(config.proxies.iter().map(|proxy| &proxy.log))
            .flat_map(|log| &log.targets)
            .map(|target| &target.address)
            .filter(|address| !matches!(address, LogAddress::Descriptor(_)))
            .collect();
        let default_connections = config.global.stats_maxconn;
        let runtime = &config.global.runtime_sockets;
        let runtime_connections =
            runtime.iter().fold(0u32, |sum, socket| sum.saturating_add(socket.maxconn.unwrap_or(default_connections)));
        Demand {
            workers,
            fewest_workers: saturate(fewest.unwrap_or(workers as usize)).min(workers),
            listeners: saturate((0..workers).map(listens_on).max().unwrap_or(0)),
            checks: saturate(config.servers.iter().filter(|server| server.check.is_some()).count()),
            log_sockets: saturate(logs.len()),
            runtime_sockets: saturate(runtime.len()),
            runtime_connections,
            maxpipes: if config.global.nosplice { Some(0) } else { config.global.maxpipes },
        }
    }

    /// How many of `maxconn` connections one worker holds when all hold the same.
    fn even_share(&self, maxconn: u32) -> u32 {
        maxconn.div_ceil(self.fewest_workers.max(1))
    }

    /// How many of `maxconn` connections one worker has to have room for, so that hardly ever one is handed over.
    pub fn worker_share(&self, maxconn: u32) -> u32 {
        let workers = f64::from(self.fewest_workers.max(1));
        let mean = f64::from(maxconn) / workers;
        let deviation = (mean * (1.0 - 1.0 / workers)).sqrt();
        // `as` saturates; no worker ever holds more than all.
        ((mean + DEVIATIONS * deviation).ceil() as u32).min(maxconn)
    }

    /// Descriptors in every thread's table before the first connection.
    fn common(&self) -> u64 {
        // The wake-up descriptors of all threads are in every table, see `io::Driver::waker`.
        let channels = if self.workers > 1 { DESCRIPTORS_PER_CHANNEL * u64::from(self.workers) } else { 0 };
        DESCRIPTORS_OF_A_THREAD + u64::from(self.workers) + 1 + channels + u64::from(self.log_sockets)
    }

    fn worker_fixed(&self) -> u64 {
        self.common() + u64::from(self.listeners) + ACCEPTS_IN_FLIGHT
    }

    /// Descriptors of the control thread: checks, runtime sockets, and the listeners that all workers share.
    pub fn control_descriptors(&self) -> u64 {
        self.common()
            + u64::from(self.listeners)
            + u64::from(self.checks)
            + u64::from(self.runtime_sockets)
            + u64::from(self.runtime_connections)
    }

    fn pipes_wanted(&self, maxconn: u32) -> u32 {
        match self.maxpipes {
            Some(pipes) => pipes.div_ceil(self.workers.max(1)),
            // A connection uses two pipes at most, one a direction.
            None => PIPES_PER_WORKER.min(self.worker_share(maxconn).saturating_mul(2)),
        }
    }

    fn worker_descriptors(&self, connections: u32, pipes: u32) -> u64 {
        self.worker_fixed()
            + DESCRIPTORS_PER_CONNECTION * u64::from(connections)
            + DESCRIPTORS_PER_PIPE * u64::from(pipes)
    }

    /// What `maxconn` takes with all the pipes it may want.
    pub fn plan(&self, maxconn: u32) -> Plan {
        let (share, pipes) = (self.worker_share(maxconn), self.pipes_wanted(maxconn));
        Plan {
            maxconn,
            connections_per_worker: share,
            pipes_per_worker: pipes,
            descriptors: self.worker_descriptors(share, pipes).max(self.control_descriptors()),
        }
    }

    /// The most that tables of `limit` descriptors carry, not above `maxconn_max`.
    ///
    /// Pipes give way first (without one a direction is copied), then the head-room of each worker, then connections.
    pub fn fit(&self, limit: u64, maxconn_max: u32) -> Plan {
        let need = |maxconn: u32| self.worker_descriptors(self.even_share(maxconn), 0);
        self.within(limit, largest(maxconn_max, |maxconn| need(maxconn) <= limit).max(MAXCONN_MIN), 0)
    }

    /// `maxconn` in tables of `limit` descriptors, of which `pipes_kept` pipes are not given up for head-room.
    fn within(&self, limit: u64, maxconn: u32, pipes_kept: u32) -> Plan {
        let carried =
            |fixed: u64| u32::try_from(limit.saturating_sub(fixed) / DESCRIPTORS_PER_CONNECTION).unwrap_or(u32::MAX);
        // Where even one connection does not fit by the book the reserve is given up: what the limit leaves.
        let room = match carried(self.worker_descriptors(0, pipes_kept)) {
            0 => carried(self.worker_fixed() - ACCEPTS_IN_FLIGHT).min(1),
            room => room,
        };
        let share = self.worker_share(maxconn).min(room).max(1);
        let left = limit.saturating_sub(self.worker_descriptors(share, 0)) / DESCRIPTORS_PER_PIPE;
        let pipes = self.pipes_wanted(maxconn).min(u32::try_from(left).unwrap_or(u32::MAX));
        Plan {
            maxconn,
            connections_per_worker: share,
            pipes_per_worker: pipes,
            descriptors: self.worker_descriptors(share, pipes).max(self.control_descriptors()),
        }
    }

    /// The maxconn that a limit allows when the file names none: a pipe for every fourth connection, as HAProxy reckons,
    /// comes out of the connections, since nobody asked for this very number.
    pub fn automatic(&self, limit: u64) -> Plan {
        let pipes = |maxconn: u32| self.pipes_wanted(maxconn).min(self.even_share(maxconn).div_ceil(4));
        let need = |maxconn: u32| self.worker_descriptors(self.even_share(maxconn), pipes(maxconn));
        match largest(MAXCONN_MAX, |maxconn| need(maxconn) <= limit) {
            0 => self.fit(limit, MAXCONN_MAX),
            maxconn => self.within(limit, maxconn, pipes(maxconn)),
        }
    }
}

/// The largest number up to `max` for which `fits` holds, if it holds up to some number and not beyond; 0 if nowhere.
fn largest(max: u32, fits: impl Fn(u32) -> bool) -> u32 {
    if fits(max) {
        return max;
    }
    let (mut fitting, mut too_many) = (0u32, max);
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    fitting
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demand(workers: u32) -> Demand {
        Demand {
            workers,
            fewest_workers: workers,
            listeners: 2,
            checks: 2,
            log_sockets: 1,
            runtime_sockets: 1,
            runtime_connections: 10,
            maxpipes: None,
        }
    }

    #[test]
    fn one_worker_holds_all() {
        assert_eq!(demand(1).worker_share(51200), 51200);
        assert_eq!(demand(4).worker_share(3), 3);
        assert_eq!(demand(4).worker_share(0), 0);
    }

    #[test]
    fn several_workers_share_with_head_room() {
        // 25600 + 6 × √12800
        assert_eq!(demand(2).worker_share(51200), 26279);
        let narrowed = Demand { fewest_workers: 1, ..demand(2) };
        assert_eq!(narrowed.worker_share(51200), 51200);
    }

    #[test]
    fn the_tutorial_on_a_small_limit() {
        let plan = demand(2).fit(4096, 51200);
        assert!((3500..4096).contains(&plan.maxconn), "{plan:?}");
        assert!(plan.descriptors <= 4096);
        // In one table, as in HAProxy, less than half would fit.
        assert!(demand(1).fit(4096, 51200).maxconn < 2048);
    }

    #[test]
    fn fifty_thousand_in_tables_of_twenty_thousand() {
        let six = demand(6).fit(20_000, 50_000);
        assert_eq!((six.maxconn, six.pipes_per_worker), (50_000, PIPES_PER_WORKER));
        assert_eq!(six.connections_per_worker, demand(6).worker_share(50_000));
        assert!(six.descriptors <= 20_000);
        // No head-room is left in five tables when 49,000 are connected; together they carry them.
        let five = demand(5).fit(20_000, 49_600);
        assert_eq!((five.maxconn, five.connections_per_worker > 9_920), (49_600, true));
        assert!(five.connections_per_worker < demand(5).worker_share(49_600));
        // Two carry what two tables carry.
        assert!((19_800..20_000).contains(&demand(2).fit(20_000, 50_000).maxconn));
    }

    #[test]
    fn pipes_give_way_first() {
        let full = demand(2).plan(1000);
        let tight = demand(2).fit(full.descriptors - 100, 1000);
        assert_eq!(tight.maxconn, 1000);
        assert_eq!(tight.pipes_per_worker, full.pipes_per_worker - 50);
        assert_eq!(Demand { maxpipes: Some(0), ..demand(2) }.plan(1000).pipes_per_worker, 0);
        assert_eq!(Demand { maxpipes: Some(7), ..demand(2) }.plan(1000).pipes_per_worker, 4);
    }

    #[test]
    fn a_hopeless_limit_still_serves_someone() {
        let plan = demand(2).fit(10, 51200);
        assert_eq!((plan.maxconn, plan.connections_per_worker, plan.pipes_per_worker), (1, 1, 0));
    }

    #[test]
    fn automatic_maxconn_leaves_the_pipes_room() {
        let plan = demand(2).automatic(20000);
        assert_eq!(plan.pipes_per_worker, PIPES_PER_WORKER);
        assert!((18000..20000).contains(&plan.maxconn), "{plan:?}");
        assert!(plan.descriptors <= 20000);
    }

    #[test]
    fn automatic_maxconn_of_a_small_limit() {
        // A quarter of them may be spliced at once.
        let plan = demand(1).automatic(256);
        assert!((70..100).contains(&plan.maxconn) && plan.pipes_per_worker * 4 >= plan.maxconn, "{plan:?}");
        assert!(plan.descriptors <= 256);
        assert_eq!(demand(2).automatic(10).maxconn, 1);
    }

    proptest! {
        #[test]
        fn what_is_promised_fits(
            workers in 1u32..65, listeners in 0u32..200, limit in 256u64..2_000_000, wanted in 1u32..3_000_000,
            maxpipes in proptest::option::of(0u32..5000),
        ) {
            let demand = Demand { listeners, maxpipes, ..demand(workers) };
            let plan = demand.fit(limit, wanted);
            prop_assert!(plan.maxconn <= wanted);
            prop_assert!(plan.connections_per_worker <= plan.maxconn.max(1));
            // Unless the limit does not even carry one connection, everything promised is inside it …
            if demand.worker_descriptors(1, 0) <= limit {
                let share = plan.connections_per_worker;
                prop_assert!(demand.worker_descriptors(share, plan.pipes_per_worker) <= limit);
                prop_assert!(share >= demand.even_share(plan.maxconn) && share <= demand.worker_share(plan.maxconn));
                // … the workers together hold maxconn, and one more connection would not have fitted.
                prop_assert!(plan.connections_per_worker as u64 * workers as u64 >= plan.maxconn as u64);
                prop_assert!(plan.maxconn == wanted || demand.worker_descriptors(demand.even_share(plan.maxconn + 1), 0) > limit);
            }
            // What plan() asks for is enough.
            let whole = demand.plan(wanted);
            let fitted = demand.fit(whole.descriptors, wanted);
            prop_assert_eq!((fitted.maxconn, fitted.pipes_per_worker), (wanted, whole.pipes_per_worker));
        }

        #[test]
        fn more_limit_never_means_less(workers in 1u32..33, limit in 64u64..100_000, more in 0u64..10_000) {
            let demand = demand(workers);
            prop_assert!(demand.fit(limit + more, 1_000_000).maxconn >= demand.fit(limit, 1_000_000).maxconn);
            prop_assert!(demand.automatic(limit + more).maxconn >= demand.automatic(limit).maxconn);
        }
    }
}
