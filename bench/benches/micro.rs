//! The hot paths by the clock: `cargo bench -p ringway-bench --bench micro [-- FILTER]`. Under `cargo test` each runs a
//! few times, so that none rots.

mod paths;

use criterion::Criterion;

fn main() {
    // Cargo says `--bench` when it measures; the other arguments under test are libtest's, which criterion refuses.
    if !std::env::args().any(|argument| argument == "--bench") {
        for mut path in paths::all() {
            (0..path.repeats).for_each(|_| (path.operation)());
            println!("{} ... ok", path.name);
        }
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for mut path in paths::all() {
        criterion.bench_function(path.name, |bencher| bencher.iter(|| (path.operation)()));
    }
    criterion.final_summary();
}
