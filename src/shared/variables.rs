//! Variables of one scope: a short list that is searched by hash. Those of the process are shared by all workers.

use crate::config::model::{Value, VariableName};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What `set-var` left, by name. Names of one scope only.
#[derive(Clone, Debug, Default)]
pub struct Variables(Vec<(u64, Arc<str>, Value)>);

impl Variables {
    fn position(&self, name: &VariableName) -> Option<usize> {
        self.0.iter().position(|(hash, other, _)| *hash == name.hash && **other == *name.name)
    }
    pub fn get(&self, name: &VariableName) -> Option<&Value> {
        self.position(name).and_then(|index| self.0.get(index)).map(|(_, _, value)| value)
    }
    pub fn set(&mut self, name: &VariableName, value: Value) {
        match self.position(name).and_then(|index| self.0.get_mut(index)) {
            Some(entry) => entry.2 = value,
            None => self.0.push((name.hash, name.name.clone(), value)),
        }
    }
    /// Whether it was there.
    pub fn unset(&mut self, name: &VariableName) -> bool {
        let position = self.position(name);
        if let Some(index) = position {
            self.0.swap_remove(index);
        }
        position.is_some()
    }
    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The scope `proc`: read without a lock; a change replaces the list.
#[derive(Default)]
pub struct ProcessVariables(ArcSwap<Variables>);

impl ProcessVariables {
    pub fn get(&self, name: &VariableName) -> Option<Value> {
        self.0.load().get(name).cloned()
    }
    pub fn set(&self, name: &VariableName, value: Value) {
        self.0.rcu(|variables| {
            let mut changed = Variables::clone(variables);
            changed.set(name, value.clone());
            changed
        });
    }
    pub fn unset(&self, name: &VariableName) {
        if self.0.load().get(name).is_some() {
            self.0.rcu(|variables| {
                let mut changed = Variables::clone(variables);
                changed.unset(name);
                changed
            });
        }
    }
}
