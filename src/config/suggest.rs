//! "did you mean": the keyword that a misspelled one is nearest to.

/// The known word nearest to `words[index]` among the keywords that agree with the words before it; `None` when
/// nothing is near enough to be worth saying.
pub fn word<'k>(words: &[&str], index: usize, keywords: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let written = words.get(index).copied().unwrap_or_default();
    let candidates = keywords.filter_map(|keyword| {
        let mut parts = keyword.split(' ');
        let agrees = words.iter().take(index).all(|given| parts.next() == Some(*given));
        if agrees { parts.next() } else { None }
    });
    nearest(written, candidates)
}

/// The candidate with the fewest edits (insertion, deletion, substitution, transposition of neighbours) from `written`, if at most
/// a third of the word is wrong.
pub fn nearest<'k>(written: &str, candidates: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let length = written.chars().count();
    // Anything is near to a word of one or two letters, and a very long word is no misspelling.
    if !(3..=64).contains(&length) {
        return None;
    }
    let limit = (length / 3).max(1);
    let lower = written.to_ascii_lowercase();
    candidates
        // No number of edits within the limit makes up for a greater difference, and this is much cheaper.
        .filter(|candidate| candidate.len().abs_diff(length) <= limit)
        .map(|candidate| (strsim::osa_distance(&lower, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, candidate)| (*edits, *candidate))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tutorials_own_misspelling() {
        assert_eq!(nearest("balnace", ["balance", "backlog"].into_iter()), Some("balance"));
    }

    #[test]
    fn looks_only_behind_the_words_that_are_right() {
        let keywords = ["option httplog", "timeout client", "httplog-not"];
        assert_eq!(word(&["option", "htplog"], 1, keywords.into_iter()), Some("httplog"));
        assert_eq!(word(&["timeout", "htplog"], 1, keywords.into_iter()), None);
    }

    #[test]
    fn stays_silent_about_words_that_are_far_off() {
        assert_eq!(nearest("zork", ["balance", "bind"].into_iter()), None);
        assert_eq!(nearest("x", ["id"].into_iter()), None);
    }
}
