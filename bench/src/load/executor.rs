//! One glommio executor: opens its connections, lets each be a task, and follows the phases.

use super::arguments::Kind;
use super::board::Board;
use super::connect::Routes;
use super::orders::{Event, Orders, Phase, Share};
use super::tally::Tally;
use super::{http, idle, mqtt, tcp};
use crate::cpu;
use crossbeam_channel::Sender;
use glommio::sync::Semaphore;
use glommio::timer::sleep;
use glommio::{LocalExecutorBuilder, Placement};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often the executor looks whether the phase has changed.
const LOOK: Duration = Duration::from_millis(2);
const REPORT: Duration = Duration::from_millis(500);

/// Does a share of the load until the phase is Stop.
pub fn run(kind: &Kind, share: &Share, orders: &Orders, events: &Sender<Event>) -> anyhow::Result<Tally> {
    let placement = share.core.map_or(Placement::Unbound, Placement::Fixed);
    let executor = LocalExecutorBuilder::new(placement)
        .name("load")
        // Only files use it; it would count against the locked memory that is allowed.
        .io_memory(64 << 10)
        .ring_depth(1024)
        .make()
        .map_err(|error| anyhow::anyhow!("glommio: {error}"))?;
    let (kind, share, orders, events) = (kind.clone(), share.clone(), orders.clone(), events.clone());
    executor.run(async move {
        let common = kind.common();
        let routes = Routes::new(&common.to, common.sources)?;
        let board = Rc::new(Board::new(&share, orders, routes, kind.rate(), common.timeout_seconds));
        glommio::spawn_local(ramp(Rc::new(kind.clone()), share.clone(), Rc::clone(&board))).detach();
        lead(&kind, &share, &board, &events).await
    })
}

/// Opens the connections, some at a time.
async fn ramp(kind: Rc<Kind>, share: Share, board: Rc<Board>) {
    let window = Rc::new(Semaphore::new(share.window));
    let begun = Instant::now();
    for index in 0..share.connections {
        if let Some(rate) = share.ramp_rate {
            let due = begun + Duration::from_secs_f64(index as f64 / rate);
            if let Some(early) = due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
                sleep(early).await;
            }
        }
        let Ok(permit) = window.acquire_static_permit(1).await else { return };
        let client = board.client(share.first + index, permit);
        let kind = Rc::clone(&kind);
        let task = async move {
            match kind.as_ref() {
                Kind::TcpPingPong(kind) => tcp::ping_pong(client, kind).await,
                Kind::TcpBulkUp(kind) => tcp::bulk_up(client, kind).await,
                Kind::TcpBulkDown(_) => tcp::bulk_down(client).await,
                Kind::TcpClose(kind) => tcp::close(client, kind).await,
                Kind::HttpKeepAlive(kind) => http::keep_alive(client, kind).await,
                Kind::HttpClose(kind) => http::close(client, kind).await,
                Kind::Mqtt(kind) => mqtt::client(client, kind).await,
                Kind::Idle(kind) => idle::hold(client, kind).await,
            }
        };
        glommio::spawn_local(task).detach();
    }
}

/// Follows the phases, reports, and ends with what was counted.
async fn lead(kind: &Kind, share: &Share, board: &Board, events: &Sender<Event>) -> anyhow::Result<Tally> {
    let (mut phase, mut ready, mut cpu_before) = (Phase::Ramp, false, 0);
    let (mut reported, mut swept) = (Instant::now(), Instant::now());
    let mut storm_at = None;
    loop {
        let now = board.orders.phase();
        if now != phase {
            if phase == Phase::Ramp {
                board.begin();
                storm_at = storm_time(kind).map(|after| Instant::now() + after);
            }
            if phase < Phase::Measure && now >= Phase::Measure {
                cpu_before = cpu::thread_nanoseconds();
                board.tally.borrow_mut().connections_at_start = board.connected.get();
            }
            phase = now;
        }
        if phase == Phase::Stop {
            break;
        }
        if !ready && board.opened.get() == share.connections {
            ready = true;
            events.send(Event::Ready { share: share.number })?;
        }
        if let (Kind::Mqtt(mqtt), Some(at)) = (kind, storm_at)
            && Instant::now() >= at
        {
            storm_at = None;
            board.storm(mqtt.storm);
        }
        if swept.elapsed() >= Duration::from_secs(1).min(board.timeout / 4) {
            swept = Instant::now();
            board.end_overdue();
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            events.send(board.progress(share.number))?;
        }
        sleep(LOOK).await;
    }
    if !ready {
        let missing = share.connections - board.opened.get();
        board.tally.borrow_mut().errors_of("not connected when the ramp's time was over", missing);
    }
    let mut tally = board.tally.take();
    tally.own_cpu_ns = cpu::thread_nanoseconds().saturating_sub(cpu_before);
    tally.connections_at_end = board.connected.get();
    if matches!(kind, Kind::Idle(_)) {
        tally.operations = tally.connections_at_end;
    }
    Ok(tally)
}

/// When the storm comes, from the ramp's end.
fn storm_time(kind: &Kind) -> Option<Duration> {
    match kind {
        Kind::Mqtt(kind) if kind.storm > 0.0 => {
            Some(kind.storm_after_seconds.unwrap_or(kind.common.warmup_seconds + kind.common.seconds / 2))
        }
        _ => None,
    }
}
