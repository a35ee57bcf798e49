//! A line of the runtime socket: commands between `;`, words between blanks, `\` in front of any of these and of
//! itself takes its meaning away (management.txt section 9.3).

/// The words of each command. An empty command has none.
pub fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    let end_word = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>| {
        if let (Some(word), Some(words)) = (word.take(), commands.last_mut()) {
            words.push(word);
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                // A backslash at the very end stands for itself.
                let escaped = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(escaped);
            }
            ' ' | '\t' => end_word(&mut word, &mut commands),
            ';' => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    end_word(&mut word, &mut commands);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_words_and_escapes() {
        assert_eq!(split("show  info;\tquit"), [vec!["show", "info"], vec!["quit"]]);
        assert_eq!(split(r"a\ b\;c\\ d"), [vec![r"a b;c\", "d"]]);
        assert_eq!(split("a;;b;"), [vec!["a"], vec![], vec!["b"], vec![]]);
        assert_eq!(split(""), [Vec::<String>::new()]);
        assert_eq!(split("a\\"), [vec!["a\\"]]);
    }

    proptest! {
        #[test]
        fn escaped_words_come_back(words in proptest::collection::vec("[ -~\t]{1,8}", 1..5)) {
            let escape = |word: &String| word.chars().flat_map(|c| ['\\', c]).collect::<String>();
            let line = words.iter().map(escape).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line), [words]);
        }
    }
}
