//! Sets of processes and threads: `bind-process`, `process` and `thread` of a `bind`, `cpu-map`.

use super::values::parse_u32;
use super::written::WorkerSet;

/// HAProxy's largest process or thread number (LONGBITS).
const NUMBER_MAX: u32 = 64;

/// Reads `all`, `odd`, `even`, `N`, `N-M` or `N-`.
/// # Errors
/// What is wrong with `text`.
pub fn parse_worker_set(text: &str) -> Result<WorkerSet, String> {
    match text {
        "all" => return Ok(WorkerSet::All),
        "odd" => return Ok(WorkerSet::Odd),
        "even" => return Ok(WorkerSet::Even),
        _ => {}
    }
    let number = |part: &str| {
        parse_u32(part, 1, NUMBER_MAX, "process")
            .map_err(|_| format!("'{text}' is not 'all', 'odd', 'even', a number from 1 to {NUMBER_MAX} or a range"))
    };
    match text.split_once('-') {
        None => number(text).map(|number| WorkerSet::Range(number, number)),
        Some((first, "")) => number(first).map(|first| WorkerSet::Range(first, NUMBER_MAX)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            // HAProxy takes a range from either end.
            Ok(WorkerSet::Range(first.min(last), first.max(last)))
        }
    }
}

/// Reads the CPUs of a `cpu-map` line: numbers and ranges, blanks or commas between them.
/// # Errors
/// What is wrong with `text`.
pub fn parse_cpus(text: &str) -> Result<Vec<u32>, String> {
    const CPU_MAX: u32 = 1023;
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let number = |part: &str| {
            parse_u32(part, 0, CPU_MAX, "cpu-map").map_err(|_| format!("'{part}' is not a CPU number (0 to {CPU_MAX})"))
        };
        match part.split_once('-') {
            None => cpus.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                cpus.extend(first.min(last)..=first.max(last));
            }
        }
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        assert_eq!(parse_worker_set("2-4"), Ok(WorkerSet::Range(2, 4)));
        assert_eq!(parse_worker_set("4-2"), Ok(WorkerSet::Range(2, 4)));
        assert_eq!(parse_worker_set("3-"), Ok(WorkerSet::Range(3, 64)));
        assert_eq!(parse_worker_set("7"), Ok(WorkerSet::Range(7, 7)));
        assert!(parse_worker_set("0").is_err());
        assert!(parse_worker_set("65").is_err());
        assert!(parse_worker_set("x").is_err());
        assert!(WorkerSet::Odd.contains(3) && !WorkerSet::Even.contains(3));
    }

    #[test]
    fn cpus() {
        assert_eq!(parse_cpus("0-2,5"), Ok(vec![0, 1, 2, 5]));
        assert!(parse_cpus("1-x").is_err());
        assert!(parse_cpus("99999").is_err());
    }
}
