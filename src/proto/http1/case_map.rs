//! Spellings of header names for peers that take case for a difference (`h1-case-adjust`, configuration.txt section 3).

use std::cmp::Ordering;

/// The names, each in the one spelling in which it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseMap {
    /// In the order of [`compare`].
    names: Vec<Box<[u8]>>,
}

/// Why a pair was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// The first is no header's name.
    NoName,
    /// The two differ in more than case.
    Different,
    /// There is one already.
    Duplicate,
}

impl CaseMap {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// From now on `from` is sent as `to`.
    pub fn add(&mut self, from: &[u8], to: &[u8]) -> Result<(), CaseError> {
        if !super::is_token(from) {
            return Err(CaseError::NoName);
        }
        if !from.eq_ignore_ascii_case(to) {
            return Err(CaseError::Different);
        }
        match self.names.binary_search_by(|other| compare(other, to)) {
            Ok(_) => Err(CaseError::Duplicate),
            Err(place) => {
                self.names.insert(place, to.into());
                Ok(())
            }
        }
    }

    /// How `name` is sent.
    pub fn spelled<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        match self.names.binary_search_by(|other| compare(other, name)) {
            Ok(index) => self.names.get(index).map_or(name, |spelled| spelled),
            Err(_) => name,
        }
    }
}

/// By length, then by letters whatever their case.
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| {
        let pairs =
            left.iter().zip(right).map(|(left, right)| left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase()));
        pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_each() {
        let mut map = CaseMap::default();
        for (from, to) in [("content-length", "Content-Length"), ("etag", "ETag"), ("x-a", "X-a"), ("x-b", "x-B")] {
            assert_eq!(map.add(from.as_bytes(), to.as_bytes()), Ok(()));
        }
        assert_eq!(map.add(b"etag", b"Etag"), Err(CaseError::Duplicate));
        assert_eq!(map.add(b"fo o", b"FO O"), Err(CaseError::NoName));
        assert_eq!(map.add(b"", b""), Err(CaseError::NoName));
        assert_eq!(map.add(b"foo", b"Fob"), Err(CaseError::Different));
        assert_eq!(map.spelled(b"ETAG"), b"ETag");
        assert_eq!(map.spelled(b"X-B"), b"x-B");
        assert_eq!(map.spelled(b"X-C"), b"X-C");
    }
}
