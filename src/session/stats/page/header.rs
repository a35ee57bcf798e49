//! Title, process figures, colour legend, links, and how the last form went.

use super::super::product;
use super::{PageContext, duration_text, escape, grouped};
use crate::shared::ProcessState;
use std::sync::atomic::Ordering::Relaxed;

/// Everything above the tables.
pub fn write(page: &PageContext, output: &mut String) {
    output.push_str("<header>\n<h1>");
    if page.settings.hide_version {
        output.push_str("Statistics");
    } else {
        output.push_str(&format!("{} <small>{}</small>", product::NAME, escape(product::VERSION)));
    }
    output.push_str(&format!(" <span class=\"pid\">pid {}</span>", page.pid));
    if let Some(node) = page.node() {
        output.push_str(&format!(" <span class=\"node\">{}</span>", escape(node)));
    }
    output.push_str("</h1>\n");
    if let Some(description) = page.description() {
        output.push_str(&format!("<p class=\"description\">{}</p>\n", escape(description)));
    }
    write_banner(page, output);
    write_process(page, output);
    write_legend(output);
    write_links(page, output);
    output.push_str("</header>\n");
}

fn write_banner(page: &PageContext, output: &mut String) {
    let Some(code) = &page.options.form_result else { return };
    let (class, sentence) = match code.as_str() {
        "DONE" => ("good", "Done: all checked servers were changed."),
        "NONE" => ("neutral", "Nothing has changed: no server was checked or no action chosen."),
        "PART" => ("bad", "Only some of the checked servers were changed; the others are unknown or refused it."),
        "ERRP" => {
            ("bad", "Nothing has changed: the form named an unknown server, backend or action, or none could take it.")
        }
        "EXCD" => ("bad", "Nothing has changed: too many servers at once. Check fewer and try again."),
        "DENY" => ("bad", "Nothing has changed: you may not administer servers from here."),
        "IVAL" => ("bad", "Nothing has changed: the request was invalid."),
        _ => ("bad", "The result of the last action is not known."),
    };
    let address = page.address();
    output.push_str(&format!(
        "<p class=\"banner {class}\" role=\"status\">{sentence} <a href=\"{}\" title=\"Close\">✕</a></p>\n",
        escape(&address)
    ));
}

/// The engine in words, as [`ProcessState::engine`] numbers it.
pub fn engine_name(process: &ProcessState) -> &'static str {
    match process.engine.load(Relaxed) {
        1 => "io_uring",
        2 => "epoll",
        3 => "simulated",
        _ => "starting",
    }
}

fn write_process(page: &PageContext, output: &mut String) {
    let snapshot = page.snapshot;
    let shared = snapshot.shared;
    let process = &shared.process;
    let (pipes_used, pipes_free) = shared.pipes();
    let workers = &shared.workers[..shared.workers.len().saturating_sub(1)];
    let uptime_s = snapshot.wall_us.saturating_sub(process.started_wall_us.load(Relaxed)) / 1_000_000;
    let unlimited = |value: u64| if value == 0 { "unlimited".to_string() } else { grouped(&value.to_string()) };
    let number = |value: u32| grouped(&value.to_string());
    let idle = workers.iter().map(|worker| u32::from(worker.idle_percent.load(Relaxed))).sum::<u32>();
    let idle_percent = idle.checked_div(workers.len() as u32).unwrap_or(100);
    let state = if process.stopping.load(Relaxed) { " (stopping)" } else { "" };
    let figures = [
        ("Uptime", format!("{}{state}", duration_text(uptime_s))),
        (
            "Engine",
            format!("{}, {} workers (nbproc {})", engine_name(process), workers.len(), shared.config.global.nbproc),
        ),
        ("System limits", format!("memmax unlimited, ulimit-n {}", unlimited(process.ulimit_n.load(Relaxed)))),
        ("maxsock", number(process.maxsock.load(Relaxed))),
        ("maxconn", number(process.maxconn.load(Relaxed))),
        ("maxpipes", number(process.maxpipes.load(Relaxed))),
        (
            "Current conns",
            format!(
                "{} (max {})",
                number(process.connections.load(Relaxed)),
                number(process.connections_max.load(Relaxed))
            ),
        ),
        ("Current pipes", format!("{} used, {} free", number(pipes_used), number(pipes_free))),
        (
            "Conn rate",
            format!(
                "{}/s (max {}/s)",
                number(process.connection_rate.per_second(snapshot.now_us)),
                number(process.connection_rate.maximum())
            ),
        ),
        (
            "Session rate",
            format!(
                "{}/s (max {}/s)",
                number(process.session_rate.per_second(snapshot.now_us)),
                number(process.session_rate.maximum())
            ),
        ),
        ("Idle", format!("{idle_percent} %")),
        ("Dropped logs", grouped(&process.dropped_logs.load(Relaxed).to_string())),
    ];
    output.push_str("<dl class=\"process\">\n");
    for (name, value) in figures {
        output.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    }
    output.push_str("</dl>\n");
}

fn write_legend(output: &mut String) {
    let entries = [
        ("up", "active UP"),
        ("backup-up", "backup UP"),
        ("up-failing", "UP, going down"),
        ("down-recovering", "DOWN, going up"),
        ("down", "DOWN"),
        ("maint", "in maintenance (MAINT)"),
        ("drain", "DRAIN, NOLB: no new sessions"),
        ("no-check", "not checked"),
    ];
    output.push_str("<ul class=\"legend\">\n");
    for (class, text) in entries {
        output.push_str(&format!("<li class=\"{class}\"><span class=\"swatch\"></span>{text}</li>\n"));
    }
    output.push_str("</ul>\n");
}

fn write_links(page: &PageContext, output: &mut String) {
    let options = page.options;
    let base = &page.settings.uri;
    let with = |up: bool, no_refresh: bool| {
        let changed = super::PageOptions { up_only: up, no_refresh, ..options.clone() };
        format!("{base}{}", changed.kept())
    };
    let mut links = vec![("Refresh now", page.address())];
    if page.settings.refresh.is_some() {
        let label = if options.no_refresh { "Enable refresh" } else { "Disable refresh" };
        links.push((label, with(options.up_only, !options.no_refresh)));
    }
    let label = if options.up_only { "Show all servers" } else { "Hide DOWN servers" };
    links.push((label, with(!options.up_only, options.no_refresh)));
    links.push(("CSV export", format!("{base};csv;norefresh")));
    links.push(("JSON export", format!("{base};json;norefresh")));
    output.push_str("<nav>");
    for (label, address) in links {
        output.push_str(&format!("<a href=\"{}\">{label}</a> ", escape(&address)));
    }
    output.push_str("</nav>\n");
}
