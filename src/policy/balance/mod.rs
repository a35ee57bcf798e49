//! Which server next: the tables of each algorithm, rebuilt when a server comes, goes or changes its weight
//! (configuration.txt section 4.2, `balance`, `hash-type`).

pub mod hash;
pub mod map;
pub mod ring;
pub mod rotation;

use crate::config::model::{Backend, BalanceAlgorithm, HashMethod, ProxyId, ServerId};
use crate::shared::Shared;
use crate::shared::schedule::{Candidate, Schedule, Table};
use crate::shared::server::WEIGHT_SCALE;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Builds the schedule of every backend. For the start; later changes go through [`rebuild`].
pub fn rebuild_all(shared: &Shared) {
    for backend in shared.config.proxy_ids() {
        rebuild(shared, backend);
    }
}

/// Takes note of who is usable and how heavy, counts active and backup servers, sends away who waits for a server
/// that is gone, and hands free slots to who waits in the backend's queue.
///
/// Call it with [`Shared::administration`] held, after any change of a server's usability, effective weight or maxconn.
pub fn rebuild(shared: &Shared, backend: ProxyId) {
    let Some(settings) = &shared.config.proxy(backend).backend else { return };
    let (mut active, mut backup) = (Vec::new(), Vec::new());
    for &server in &settings.servers {
        if shared.server(server).is_usable() {
            if shared.config.server(server).backup { backup.push(server) } else { active.push(server) }
        }
    }
    let proxy = shared.proxy(backend);
    proxy.active_servers.store(active.len() as u32, Ordering::Relaxed);
    proxy.backup_servers.store(backup.len() as u32, Ordering::Relaxed);

    let chosen = if !active.is_empty() {
        active
    } else if shared.config.proxy(backend).options.allbackups {
        backup
    } else {
        backup.truncate(1);
        backup
    };
    let schedule = build(shared, backend, settings, chosen);
    if *proxy.balance.schedule.load_full() != schedule {
        proxy.balance.schedule.store(Arc::new(schedule));
    }
    for &server in &settings.servers {
        if shared.server(server).is_usable() {
            super::assign::serve_queues(shared, server);
        } else {
            super::assign::evict_queue(shared, server);
        }
    }
}

fn build(shared: &Shared, backend: ProxyId, settings: &Backend, mut chosen: Vec<ServerId>) -> Schedule {
    if settings.balance == BalanceAlgorithm::First {
        chosen.sort_by_key(|&server| shared.config.server(server).sid);
    }
    let is_static = match settings.balance {
        BalanceAlgorithm::StaticRoundRobin => true,
        ref algorithm => algorithm.is_hash() && settings.hash_type.method == HashMethod::MapBased,
    };
    let mut total_weight = 0;
    let candidates: Vec<_> = chosen
        .iter()
        .map(|&server| {
            let state = shared.server(server);
            // The static algorithms know no slow start.
            let weight = if is_static {
                state.user_weight.load(Ordering::Relaxed).saturating_mul(WEIGHT_SCALE)
            } else {
                state.effective_weight.load(Ordering::Relaxed)
            };
            let weight = weight.max(1);
            let candidate = Candidate { server, weight, cumulative_weight: total_weight };
            total_weight += u64::from(weight);
            candidate
        })
        .collect();
    let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
    let table = match settings.balance {
        BalanceAlgorithm::RoundRobin => Table::Sequence(rotation::sequence(&weights).into()),
        _ if is_static => {
            // HAProxy divides by what all the backend's weights have in common, usable or not.
            let all = settings.servers.iter().map(|&server| shared.server(server).user_weight.load(Ordering::Relaxed));
            let divisor = all.fold(0, rotation::greatest_common_divisor).max(1).saturating_mul(WEIGHT_SCALE);
            let reduced: Vec<u32> = weights.iter().map(|weight| (weight / divisor).max(1)).collect();
            Table::Sequence(map::sequence(&reduced).into())
        }
        ref algorithm if algorithm.is_hash() => {
            let ids = chosen.iter().map(|&server| shared.config.server(server).sid);
            Table::Ring(ring::nodes(ids.zip(weights.iter().copied())).into())
        }
        _ => Table::None,
    };
    Schedule { is_built: true, candidates, total_weight, table, fullconn: fullconn(shared, backend, settings) }
}

/// `fullconn`, by default 10 % of the maxconns of the frontends that come here.
fn fullconn(shared: &Shared, backend: ProxyId, settings: &Backend) -> u32 {
    if let Some(fullconn) = settings.fullconn {
        return fullconn;
    }
    let config = &shared.config;
    let limits = config.proxy_ids().filter_map(|id| {
        let frontend = config.proxy(id).frontend.as_ref()?;
        let comes_here =
            frontend.default_backend == Some(backend) || (id == backend && frontend.default_backend.is_none());
        let limit = frontend.maxconn.or(config.global.maxconn);
        comes_here.then(|| u64::from(limit.unwrap_or_else(|| shared.process.maxconn.load(Ordering::Relaxed))))
    });
    (limits.sum::<u64>() / 10).clamp(1, u64::from(u32::MAX)) as u32
}
