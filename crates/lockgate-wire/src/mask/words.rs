//! The words of a command line: `command`, `args`, a probe's `exec`.
//!
//! In the profile `strict` the program and the names of flags and variables stay, with everything that only refers to
//! a value (`$(NAME)`), and `true` and `false`; everything else is masked, since nobody can tell a host name from a
//! password. In `balanced` a value goes whose flag or variable says by its name that it is secret.

use super::names;
use super::profile::Values;

/// What is known of the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The first of a `command`.
    Program,
    /// Any other.
    Plain,
    /// The one behind a flag whose name says that its value is secret.
    SecretValue,
}

/// What becomes of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// So many bytes of it stay, the rest is masked.
    Mask(usize),
}

/// A program's name longer than this is none.
const PROGRAM_BYTES_MAX: usize = 256;

impl Word {
    /// What becomes of `text`, and what is known of the word behind it.
    pub(super) fn judge(self, text: &str, values: Values) -> (Verdict, Self) {
        match values {
            Values::Pass => (Verdict::Keep, Self::Plain),
            Values::ByName => self.judge_by_name(text),
            Values::All => (self.judge_strictly(text), Self::Plain),
        }
    }

    fn judge_by_name(self, text: &str) -> (Verdict, Self) {
        if self == Self::SecretValue && !text.starts_with('-') {
            return (masked_behind(text, 0), Self::Plain);
        }
        if let Some((name, _)) = text.split_once('=') {
            let secret = is_name(name.trim_start_matches('-')) && names::is_secret(name);
            return (if secret { masked_behind(text, name.len() + 1) } else { Verdict::Keep }, Self::Plain);
        }
        let flag = text.strip_prefix('-').is_some_and(names::is_secret);
        (Verdict::Keep, if flag { Self::SecretValue } else { Self::Plain })
    }

    fn judge_strictly(self, text: &str) -> Verdict {
        if self == Self::Program && is_program(text) {
            return Verdict::Keep;
        }
        if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_name(name.trim_start_matches('-'))) {
            return masked_behind(text, name.len() + 1);
        }
        let Some(flag) = text.strip_prefix('-') else { return masked_behind(text, 0) };
        match flag.strip_prefix('-') {
            Some(name) if name.is_empty() || is_name(name) => Verdict::Keep,
            Some(_) => masked_behind(text, 0),
            // `-p`, and `-phunter2`.
            None => match flag.chars().next() {
                Some(letter) if letter.is_ascii_alphanumeric() => masked_behind(text, 2),
                Some(_) => masked_behind(text, 0),
                None => Verdict::Keep,
            },
        }
    }
}

/// All from `kept` on is masked, unless it tells nothing.
fn masked_behind(text: &str, kept: usize) -> Verdict {
    let value = text.get(kept..).unwrap_or_default();
    let harmless = value.is_empty() || value == "true" || value == "false" || is_reference(value);
    if harmless { Verdict::Keep } else { Verdict::Mask(kept) }
}

/// The name of a flag or variable, without dashes.
fn is_name(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// `$(NAME)`, which the kubelet fills in.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')).is_some_and(is_name)
}

/// `/usr/bin/python3.12`, not `DB=x ./run` nor a script.
fn is_program(text: &str) -> bool {
    text.len() <= PROGRAM_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(words: &[&str], first: Word, values: Values) -> Vec<String> {
        let mut word = first;
        let mut output = Vec::new();
        for text in words {
            let (verdict, next) = word.judge(text, values);
            word = next;
            output.push(match verdict {
                Verdict::Keep => (*text).to_owned(),
                Verdict::Mask(kept) => format!("{}#", text.get(..kept).unwrap()),
            });
        }
        output
    }

    #[test]
    fn strict_keeps_programs_names_and_references() {
        let words = [
            "/bin/sh",
            "-c",
            "export A=hunter2 && run",
            "--password=hunter2",
            "--password",
            "hunter2",
            "-phunter2",
            "-p",
            "DB_PASSWORD=hunter2",
            "--verbose=true",
            "--token=$(TOKEN)",
            "--",
            "-",
            "",
            "$(HOST)",
            "serve",
            "--a b=c",
            "-é",
            "--url=http://u:p@h",
            "true",
        ];
        let expected = [
            "/bin/sh",
            "-c",
            "#",
            "--password=#",
            "--password",
            "#",
            "-p#",
            "-p",
            "DB_PASSWORD=#",
            "--verbose=true",
            "--token=$(TOKEN)",
            "--",
            "-",
            "",
            "$(HOST)",
            "#",
            "#",
            "#",
            "--url=#",
            "true",
        ];
        assert_eq!(masked(&words, Word::Program, Values::All), expected);
        assert_eq!(masked(&["serve"], Word::Plain, Values::All), ["#"]);
        assert_eq!(masked(&["run me now"], Word::Program, Values::All), ["#"]);
        assert_eq!(masked(&["A=hunter2"], Word::Program, Values::All), ["A=#"]);
    }

    #[test]
    fn balanced_believes_names() {
        let words = [
            "run",
            "--db-password=hunter2",
            "--db-password",
            "hunter2",
            "--password",
            "--level",
            "debug",
            "API_KEY=hunter2",
            "LEVEL=debug",
            "--password-file=/etc/p",
            "--token=$(TOKEN)",
            "-password",
            "hunter2",
        ];
        let expected = [
            "run",
            "--db-password=#",
            "--db-password",
            "#",
            "--password",
            "--level",
            "debug",
            "API_KEY=#",
            "LEVEL=debug",
            "--password-file=/etc/p",
            "--token=$(TOKEN)",
            "-password",
            "#",
        ];
        assert_eq!(masked(&words, Word::Program, Values::ByName), expected);
    }
}
