//! How many workers there are and which CPUs they run on (configuration.txt section 3.1: `nbproc`, `nbthread`,
//! `cpu-map`).

use crate::config::model::Global;

/// What `nbproc` and `nbthread` say; otherwise one worker for each CPU that this process may use.
pub fn worker_count(global: &Global) -> u32 {
    let cpus = crate::sys::affinity::allowed_cpus().len();
    global.workers.unwrap_or_else(|| u32::try_from(cpus).unwrap_or(u32::MAX)).clamp(1, 4096)
}

/// The CPUs of each worker; an empty list leaves it to the system.
///
/// `cpu-map` decides where it says something. The others get one CPU each as long as there are enough: with more
/// workers than CPUs, pinning would only keep the scheduler from evening things out.
pub fn place(global: &Global, workers: u32, allowed: &[usize]) -> Vec<Vec<usize>> {
    let mapped: Vec<usize> = global.cpu_map.values().flatten().map(|cpu| *cpu as usize).collect();
    let mut free = allowed.iter().filter(|cpu| !mapped.contains(cpu));
    let enough = workers as usize <= allowed.len();
    (0..workers)
        .map(|worker| match global.cpu_map.get(&worker) {
            Some(cpus) => cpus.iter().map(|cpu| *cpu as usize).collect(),
            None if enough => free.next().into_iter().copied().collect(),
            None => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_each_where_there_are_enough() {
        let global = Global::default();
        assert_eq!(place(&global, 2, &[1, 3, 5]), [vec![1], vec![3]]);
        assert_eq!(place(&global, 3, &[1, 3]), [vec![], vec![], Vec::<usize>::new()]);
        assert_eq!(worker_count(&Global { workers: Some(7), ..Global::default() }), 7);
        assert!(worker_count(&global) >= 1);
    }

    #[test]
    fn cpu_map_wins_and_its_cpus_are_left_to_it() {
        let global = Global { cpu_map: [(1, vec![0, 1])].into(), ..Global::default() };
        assert_eq!(place(&global, 3, &[0, 1, 2]), [vec![2], vec![0, 1], vec![]]);
    }
}
