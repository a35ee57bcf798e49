//! What `bench/instructions.toml` allows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

const HEADER: &str = "\
# Instructions of one operation of each hot path (bench/benches/paths), as callgrind counts them, by Cargo profile.
# scripts/test fails when a path takes more than its count and the allowance: another compiler or processor (memchr has
# variants by instruction set) moves counts by some percent, a pass over the data too many by more.
# Written by: RINGWAY_UPDATE_INSTRUCTIONS=1 cargo test -p ringway-bench --profile tested --test instructions
";

#[derive(Deserialize, Serialize)]
pub struct Limits {
    /// What a count may be over its limit, in percent.
    allowance_percent: u64,
    /// Profile, path, instructions.
    profile: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Limits {
    pub fn read(file: &Path) -> anyhow::Result<Limits> {
        Ok(toml::from_str(&std::fs::read_to_string(file)?)?)
    }

    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, format!("{HEADER}{}", toml::to_string(self)?))?)
    }

    pub fn set(&mut self, profile: &str, counts: Vec<(&'static str, u64)>) {
        let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        self.profile.insert(profile.to_owned(), counts);
    }

    /// `None`: the profile has no limits.
    pub fn judge(&self, profile: &str, counts: &[(&'static str, u64)]) -> Option<Vec<Verdict>> {
        let limits = self.profile.get(profile)?;
        let allowance_percent = self.allowance_percent;
        let judge = |&(name, count)| Verdict { name, count, limit: limits.get(name).copied(), allowance_percent };
        Some(counts.iter().map(judge).collect())
    }
}

pub struct Verdict {
    name: &'static str,
    count: u64,
    limit: Option<u64>,
    allowance_percent: u64,
}

impl Verdict {
    /// A path without a limit is one that nobody has looked at.
    pub fn is_failure(&self) -> bool {
        let allowed = |limit: u64| limit.saturating_mul(100 + self.allowance_percent) / 100;
        self.limit.is_none_or(|limit| self.count > allowed(limit))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:36} {:>12}", self.name, self.count)?;
        let Some(limit) = self.limit else { return write!(f, "  FAILED: no limit") };
        let percent = (self.count as f64 / limit.max(1) as f64 - 1.0) * 100.0;
        write!(f, "  limit {limit:>12} {percent:+6.1} %")?;
        if self.is_failure() {
            return write!(f, "  FAILED: more than {} % over", self.allowance_percent);
        }
        if percent < -(self.allowance_percent as f64) {
            return write!(f, "  better: write the new limit down");
        }
        Ok(())
    }
}
