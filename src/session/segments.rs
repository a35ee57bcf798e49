//! Received bytes that wait to be sent: a queue that costs nothing while it is empty.

use crate::io::BufferId;
use std::collections::VecDeque;

/// Part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub buffer: BufferId,
    pub offset: u32,
    pub length: u32,
}

/// First in, first out. The head is inline, since with a reader that keeps up there is never a second one; what
/// piles up behind a slow reader goes to a heap queue that is freed when it is empty again.
#[derive(Debug, Default)]
pub struct Segments {
    head: Option<Segment>,
    #[allow(clippy::box_collection)] // 8 bytes in an idle session instead of 32
    rest: Option<Box<VecDeque<Segment>>>,
}

impl Segments {
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }
    pub fn len(&self) -> usize {
        self.head.is_some() as usize + self.rest.as_ref().map_or(0, |rest| rest.len())
    }
    pub fn head(&mut self) -> Option<&mut Segment> {
        self.head.as_mut()
    }
    pub fn push(&mut self, segment: Segment) {
        match self.head {
            None => self.head = Some(segment),
            Some(_) => self.rest.get_or_insert_default().push_back(segment),
        }
    }
    /// Puts a segment before all others: bytes that were taken and are not used after all.
    pub fn push_front(&mut self, segment: Segment) {
        if let Some(second) = self.head.replace(segment) {
            self.rest.get_or_insert_default().push_front(second);
        }
    }
    pub fn pop(&mut self) -> Option<Segment> {
        let first = self.head.take();
        if let Some(rest) = &mut self.rest {
            self.head = rest.pop_front();
            if rest.is_empty() {
                self.rest = None;
            }
        }
        first
    }
    /// Every waiting segment, for one that must be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.head.iter_mut().chain(self.rest.iter_mut().flat_map(|rest| rest.iter_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_frees_the_overflow() {
        let mut segments = Segments::default();
        let make = |n| Segment { buffer: BufferId(n), offset: 0, length: 1 };
        (0..5).for_each(|n| segments.push(make(n)));
        assert_eq!(segments.len(), 5);
        for n in 0..5 {
            assert_eq!(segments.pop(), Some(make(n)));
        }
        assert!(segments.is_empty() && segments.rest.is_none() && segments.pop().is_none());
    }
}
