//! Every sentence and level below is what HAProxy 2.6.12 logged for the same event, but for times.

use super::fixture::{add, proxy, server};
use super::*;
use crate::config::model::{Config, Observe, OnError};
use crate::shared::mailbox::{Message, SessionKill};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const BACKEND: ProxyId = ProxyId(0);

fn report(status: CheckStatus, code: u16, description: &str) -> CheckReport {
    CheckReport { status, code, duration_ms: Some(0), description: description.to_string() }
}
fn refused() -> CheckReport {
    report(CheckStatus::Layer4ConnectionError, 0, "Connection refused")
}
fn accepted() -> CheckReport {
    report(CheckStatus::Layer4Ok, 0, "")
}
fn lines(logs: Vec<StateLog>) -> Vec<(u8, String)> {
    logs.into_iter().map(|log| (log.level, log.text)).collect()
}
fn fail(shared: &Shared, id: ServerId) -> Vec<(u8, String)> {
    lines(check_finished(shared, id, refused(), 1_000_000))
}
fn pass(shared: &Shared, id: ServerId) -> Vec<(u8, String)> {
    lines(check_finished(shared, id, accepted(), 2_000_000))
}
fn ask(shared: &Shared, id: ServerId, asked: AdminChange) -> Vec<(u8, String)> {
    lines(set_admin(shared, id, asked, 3_000_000, "changed from CLI").unwrap())
}
fn said(level: u8, text: &str) -> (u8, String) {
    (level, text.to_string())
}

/// backend b: s, t (backup); backend k: u tracks s.
fn tracked() -> (Arc<Shared>, ServerId, ServerId, ServerId) {
    let mut config = Config::default();
    let mut backup = server(BACKEND, "t");
    (backup.backup, backup.check) = (true, None);
    let ids = add(&mut config, proxy("b", false), vec![server(BACKEND, "s"), backup]);
    let mut tracker = server(BACKEND, "u");
    (tracker.track, tracker.check) = (Some(ids[0]), None);
    let u = add(&mut config, proxy("k", false), vec![tracker])[0];
    (super::fixture::shared(config), ids[0], ids[1], u)
}

fn lone(change: impl FnOnce(&mut Config)) -> (Arc<Shared>, ServerId) {
    let mut config = Config::default();
    let id = add(&mut config, proxy("b", false), vec![server(BACKEND, "s")])[0];
    change(&mut config);
    (super::fixture::shared(config), id)
}

#[test]
fn the_first_failed_check_takes_a_server_down_and_rise_brings_it_back() {
    let (shared, id) = lone(|_| {});
    let down = "Server b/s is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: \
                0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(fail(&shared, id), [said(ALERT, down), said(EMERGENCY, "backend b has no server available!")]);
    assert_eq!(fail(&shared, id), []);
    assert_eq!(shared.server(id).check_failures.load(Ordering::Relaxed), 1);
    assert_eq!(pass(&shared, id), []);
    let up = "Server b/s is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 backup servers \
              online. 0 sessions requeued, 0 total in queue.";
    assert_eq!(pass(&shared, id), [said(NOTICE, up)]);
    for _ in 0..2 {
        assert_eq!(fail(&shared, id), []);
    }
    assert_eq!(fail(&shared, id).len(), 2);
    assert_eq!(shared.server(id).down_transitions.load(Ordering::Relaxed), 2);
    assert_eq!(shared.proxy(BACKEND).down_transitions.load(Ordering::Relaxed), 2);
    assert_eq!(server_downtime_ms(&shared, id, 5_000_000), 1000 + 4000);
    assert_eq!(backend_downtime_ms(&shared, BACKEND, 5_000_000), 1000 + 4000);
}

#[test]
fn logged_health_checks_take_the_reason_out_of_the_state_line() {
    let (shared, id) = lone(|config| config.proxies[0].options.log_health_checks = true);
    assert_eq!(
        pass(&shared, id),
        [said(
            NOTICE,
            "Health check for server b/s succeeded, reason: Layer4 check passed, check duration: 0ms, status: 3/3 UP."
        )]
    );
    assert_eq!(pass(&shared, id), []);
    let failed = |status: &str| {
        said(
            NOTICE,
            &format!(
                "Health check for server b/s failed, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms, status: {status}."
            ),
        )
    };
    assert_eq!(fail(&shared, id), [failed("2/3 UP")]);
    assert_eq!(fail(&shared, id), [failed("1/3 UP")]);
    let down =
        "Server b/s is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    let nobody = said(EMERGENCY, "backend b has no server available!");
    assert_eq!(fail(&shared, id), [failed("0/2 DOWN"), said(ALERT, down), nobody]);
    let conditional = check_finished(&shared, id, report(CheckStatus::Layer7OkConditional, 404, ""), 0);
    assert_eq!(
        lines(conditional)[0],
        said(
            NOTICE,
            "Health check for server b/s conditionally succeeded, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms, status: 1/2 DOWN."
        )
    );
}

#[test]
fn drain_and_maintenance_pass_on_to_trackers() {
    let (shared, s, _, u) = tracked();
    pass(&shared, s);
    let enters = "enters drain state";
    assert_eq!(
        ask(&shared, s, AdminChange::Drain),
        [
            said(
                NOTICE,
                &format!(
                    "Server b/s {enters}. 0 active and 1 backup servers online. Running on backup. 0 sessions requeued, 0 total in queue."
                )
            ),
            said(
                NOTICE,
                &format!(
                    "Server k/u {enters} via b/s. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
                )
            ),
            said(EMERGENCY, "backend k has no server available!"),
        ]
    );
    assert_eq!(
        ask(&shared, s, AdminChange::Weight("5".into())),
        [said(NOTICE, "Server b/s remains in forced drain mode.")]
    );
    assert_eq!(
        ask(&shared, s, AdminChange::HealthDown),
        [
            said(
                NOTICE,
                "Server b/s is DOWN, changed from CLI. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue."
            ),
            said(NOTICE, "Server b/s remains in forced drain mode."),
            said(
                NOTICE,
                "Server k/u is DOWN via b/s. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
            ),
            said(NOTICE, "Server k/u is leaving forced drain but remains in drain mode via b/s."),
        ]
    );
    ask(&shared, s, AdminChange::HealthUp);
    assert_eq!(
        ask(&shared, s, AdminChange::Ready),
        [
            said(NOTICE, "Server b/s is UP (leaving forced drain)."),
            said(NOTICE, "Server k/u is UP (leaving forced drain).")
        ]
    );
    assert_eq!(
        ask(&shared, s, AdminChange::Maint),
        [
            said(
                ALERT,
                "Server b/s is going DOWN for maintenance. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue."
            ),
            said(
                ALERT,
                "Server k/u is going DOWN for maintenance via b/s. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
            ),
            said(EMERGENCY, "backend k has no server available!"),
        ]
    );
    assert_eq!(ask(&shared, s, AdminChange::HealthUp), []);
    assert_eq!(
        ask(&shared, s, AdminChange::Drain),
        [
            said(NOTICE, "Server b/s is UP/DRAIN (leaving forced maintenance)."),
            said(NOTICE, "Server b/s remains in forced drain mode."),
            said(NOTICE, "Server k/u is UP/DRAIN (leaving maintenance)."),
            said(NOTICE, "Server k/u is leaving forced drain but remains in drain mode via b/s."),
        ]
    );
    // From drain into maintenance is no alert.
    assert!(ask(&shared, s, AdminChange::Maint).iter().all(|(level, _)| *level == NOTICE));
    assert_eq!(
        ask(&shared, s, AdminChange::Ready),
        [
            said(NOTICE, "Server b/s is UP/READY (leaving forced maintenance)."),
            said(NOTICE, "Server k/u is UP/READY (leaving maintenance)."),
        ]
    );
    assert_eq!(shared.server(s).health.load(Ordering::Relaxed), 2);
    assert_eq!(
        set_admin(&shared, u, AdminChange::HealthDown, 0, ""),
        Err("cannot change health on a tracking server.".into())
    );
}

#[test]
fn a_tracker_keeps_its_own_maintenance() {
    let (shared, s, _, u) = tracked();
    ask(&shared, u, AdminChange::Maint);
    ask(&shared, s, AdminChange::Maint);
    assert_eq!(
        ask(&shared, u, AdminChange::Ready),
        [said(NOTICE, "Server k/u is leaving forced maintenance but remains in maintenance via b/s.")]
    );
    assert_eq!(ask(&shared, s, AdminChange::Ready).len(), 2);
    fail(&shared, s);
    assert_eq!(
        ask(&shared, s, AdminChange::Maint),
        [
            said(NOTICE, "Server b/s was DOWN and now enters maintenance."),
            said(NOTICE, "Server k/u was DOWN and now enters maintenance via b/s."),
        ]
    );
    // A server that was down before comes back up: the next check decides.
    ask(&shared, s, AdminChange::Ready);
    assert!(shared.server(s).is_usable() && shared.server(u).is_usable());
}

#[test]
fn stopping_servers_take_no_new_connections_and_come_back() {
    let (shared, id) = lone(|_| {});
    let found = check_finished(&shared, id, report(CheckStatus::Layer7OkConditional, 404, ""), 0);
    assert_eq!(
        lines(found),
        [
            said(
                NOTICE,
                "Server b/s is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
            ),
            said(EMERGENCY, "backend b has no server available!"),
        ]
    );
    assert_eq!(shared.server(id).run_state(), RunState::Stopping);
    assert!(!shared.server(id).is_usable());
    assert_eq!(pass(&shared, id).len(), 1);
    assert!(shared.server(id).is_usable());
    for _ in 0..2 {
        fail(&shared, id);
    }
    check_finished(&shared, id, report(CheckStatus::Layer7OkConditional, 404, ""), 0);
    for _ in 0..2 {
        assert_eq!(fail(&shared, id), []);
    }
    assert_eq!(fail(&shared, id)[0].0, NOTICE, "it took no connections any more: no alert");
}

#[test]
fn weights_alone_are_silent_until_nobody_is_left() {
    let (shared, id) = lone(|_| {});
    let nobody = [said(EMERGENCY, "backend b has no server available!")];
    assert_eq!(ask(&shared, id, AdminChange::Weight("0".into())), nobody);
    assert!(!shared.server(id).is_usable());
    assert_eq!(ask(&shared, id, AdminChange::Weight("300%".into())), []);
    assert_eq!(shared.server(id).effective_weight.load(Ordering::Relaxed), 3 * 16);
    assert!(set_admin(&shared, id, AdminChange::Weight("257".into()), 0, "").is_err());
}

#[test]
fn slow_start_begins_after_a_failure_only_and_ends_with_a_line() {
    let (shared, id) = lone(|config| {
        config.servers[0].slowstart = Some(Duration::from_secs(4));
        config.servers[0].weight = 10;
    });
    let weight = || shared.server(id).effective_weight.load(Ordering::Relaxed);
    assert_eq!((weight(), slowstart_tick(&shared, 9)), (160, (vec![], false)));
    fail(&shared, id);
    for _ in 0..2 {
        pass(&shared, id);
    }
    assert_eq!((shared.server(id).run_state(), weight()), (RunState::Starting, 10));
    assert_eq!(slowstart_tick(&shared, 4_000_000), (vec![], true));
    assert_eq!(weight(), 90);
    let up = "Server b/s is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.";
    let (logs, more) = slowstart_tick(&shared, 6_000_000);
    assert_eq!((lines(logs), more, weight()), (vec![said(NOTICE, up)], false, 160));
    assert_eq!(shared.server(id).last_change_us.load(Ordering::Relaxed), 6_000_000);
}

fn observed(on_error: OnError) -> (Arc<Shared>, ServerId, Vec<StateLog>) {
    let mut config = Config::default();
    let mut watched = server(BACKEND, "s");
    (watched.observe, watched.error_limit, watched.on_error) = (Observe::Layer4, 3, on_error);
    let id = add(&mut config, proxy("o", true), vec![watched])[0];
    let shared = super::fixture::shared(config);
    pass(&shared, id);
    observe_error(&shared, id, 0);
    observe_error(&shared, id, 0);
    observe_success(&shared, id, 0);
    observe_error(&shared, id, 0);
    assert_eq!(observe_error(&shared, id, 0), []);
    let logs = observe_error(&shared, id, 0);
    (shared, id, logs)
}

#[test]
fn observed_errors_do_what_on_error_says() {
    for (on_error, health) in
        [(OnError::Fastinter, 4), (OnError::FailCheck, 3), (OnError::SuddenDeath, 2), (OnError::MarkDown, 0)]
    {
        let (shared, id, logs) = observed(on_error);
        let state = shared.server(id);
        assert_eq!(state.health.load(Ordering::Relaxed), health, "{on_error:?}");
        assert_eq!(state.health_analysis_failures.load(Ordering::Relaxed), 1);
        assert_eq!(shared.control().mailbox.take(), Some(Message::CheckSoon { server: id }));
        if on_error == OnError::MarkDown {
            let down = "Server o/s is DOWN, reason: Health analyze, info: \"Detected 3 consecutive errors, last one was: \
                        L4 unsuccessful connection\". 0 active and 0 backup servers left. 0 sessions active, 0 requeued, \
                        0 remaining in queue.";
            assert_eq!(lines(logs), [said(ALERT, down), said(EMERGENCY, "proxy o has no server available!")]);
        } else {
            assert_eq!(logs, []);
        }
    }
}

#[test]
fn marked_servers_shut_sessions_down() {
    let mut config = Config::default();
    let (mut active, mut backup) = (server(BACKEND, "s"), server(BACKEND, "t"));
    (active.on_marked_down_shutdown_sessions, active.on_marked_up_shutdown_backup_sessions) = (true, true);
    backup.backup = true;
    let s = add(&mut config, proxy("b", false), vec![active, backup])[0];
    let shared = super::fixture::shared(config);
    let mailbox = &shared.workers[0].mailbox;
    assert_eq!(mailbox.take(), None);
    fail(&shared, s);
    assert_eq!(mailbox.take(), Some(Message::ShutdownServerSessions { server: s, why: SessionKill::Down }));
    pass(&shared, s);
    assert_eq!(mailbox.take(), None);
    pass(&shared, s);
    assert_eq!(mailbox.take(), Some(Message::ShutdownBackupSessions { backend: BACKEND }));
    ask(&shared, s, AdminChange::Maint);
    assert_eq!(mailbox.take(), Some(Message::ShutdownServerSessions { server: s, why: SessionKill::Down }));
}

#[test]
fn checks_that_could_not_be_made_change_no_state() {
    let (shared, id) = lone(|_| {});
    let report = || report(CheckStatus::SocketError, 0, "Too many open files");
    let logs = lines(check_impossible(&shared, id, report(), 0));
    assert_eq!(logs.len(), 1);
    assert_eq!(check_impossible(&shared, id, report(), 0), []);
    assert!(shared.server(id).is_usable());
    assert_eq!(shared.server(id).health.load(Ordering::Relaxed), 2);
}

#[test]
fn disabled_servers_start_in_maintenance_and_their_trackers_with_them() {
    let mut config = Config::default();
    let mut off = server(BACKEND, "d");
    off.disabled = true;
    let d = add(&mut config, proxy("b", false), vec![off])[0];
    let mut tracker = server(BACKEND, "u");
    (tracker.track, tracker.check) = (Some(d), None);
    let u = add(&mut config, proxy("k", false), vec![tracker])[0];
    let shared = super::fixture::shared(config);
    assert_eq!(shared.server(d).admin_state(), 5);
    assert_eq!(shared.server(u).admin_state(), admin_bits::INHERITED_MAINT);
    assert!(!shared.server(u).is_usable());
    assert!(!is_checked_now(&shared, d));
    ask(&shared, d, AdminChange::Ready);
    assert!(shared.server(d).is_usable() && shared.server(u).is_usable() && is_checked_now(&shared, d));
}

#[test]
fn what_a_server_says_cannot_forge_a_log_line() {
    let (shared, id) = lone(|_| {});
    let logs = check_finished(&shared, id, report(CheckStatus::Layer7Status, 500, "a\"b\r\nc\u{1b}"), 0);
    assert!(logs[0].text.contains("code: 500, info: \"a<22>b<0D><0A>c<1B>\", check"), "{}", logs[0].text);
}

proptest! {
    /// Whatever happens in whatever order: the counts are those of the usable servers, downs and ups alternate, and an
    /// emergency is told exactly when the last usable server goes.
    #[test]
    fn counts_hold_under_any_history(history in prop::collection::vec((0usize..3, 0u8..11), 0..120)) {
        let (shared, s, t, u) = tracked();
        let mut now_us = 0;
        for (which, what) in history {
            let id = [s, t, u][which];
            now_us += 400_000;
            let before: Vec<_> = [0, 1].map(|b| usable(&shared, ProxyId(b))).to_vec();
            let logs = match what {
                0 => check_finished(&shared, id, refused(), now_us),
                1 => check_finished(&shared, id, accepted(), now_us),
                2 => check_finished(&shared, id, report(CheckStatus::Layer7OkConditional, 404, ""), now_us),
                3 => slowstart_tick(&shared, now_us).0,
                _ => {
                    let asked = [
                        AdminChange::Ready, AdminChange::Drain, AdminChange::Maint, AdminChange::HealthUp,
                        AdminChange::HealthDown, AdminChange::HealthStopping, AdminChange::Weight("0".into()),
                    ][usize::from(what) - 4].clone();
                    set_admin(&shared, id, asked, now_us, "changed from CLI").unwrap_or_default()
                }
            };
            for backend in [ProxyId(0), ProxyId(1)] {
                let state = shared.proxy(backend);
                let counted = state.active_servers.load(Ordering::Relaxed) + state.backup_servers.load(Ordering::Relaxed);
                prop_assert_eq!(counted, usable(&shared, backend));
                let emergencies = logs.iter().filter(|log| log.proxy == backend && log.level == EMERGENCY).count();
                let lost = before[backend.index()] > 0 && counted == 0;
                prop_assert!(emergencies >= usize::from(lost));
            }
            // A tracker is never up while what it tracks is down.
            prop_assert!(shared.server(s).run_state() != RunState::Stopped || !shared.server(u).is_usable());
        }
    }
}

fn usable(shared: &Shared, backend: ProxyId) -> u32 {
    let half = shared.config.proxy(backend).backend.as_ref().unwrap();
    half.servers.iter().filter(|id| shared.server(**id).is_usable()).count() as u32
}
