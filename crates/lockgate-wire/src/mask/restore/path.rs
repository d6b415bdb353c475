//! The names of fields, as Kubernetes writes them: `spec.containers[0].env[1].value`, `data[tls.crt]`.

use std::fmt;

/// Longest path that is told, in characters.
const PATH_CHARACTERS_MAX: usize = 200;

/// Where a value stands in the object.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Element(usize),
    /// Into the object that a string holds.
    Inside,
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Self = Self { above: None, step: Step::Root };

    pub(super) const fn member<'n>(&'n self, name: &'n str) -> Path<'n> {
        Path { above: Some(self), step: Step::Member(name) }
    }

    pub(super) const fn element(&self, index: usize) -> Path<'_> {
        Path { above: Some(self), step: Step::Element(index) }
    }

    pub(super) const fn inside(&self) -> Path<'_> {
        Path { above: Some(self), step: Step::Inside }
    }

    /// Whether it is these members of the object itself.
    pub(super) fn is(&self, names: &[&str]) -> bool {
        match (self.step, self.above, names.split_last()) {
            (Step::Root, None, None) => true,
            (Step::Member(name), Some(above), Some((last, rest))) => name == *last && above.is(rest),
            _ => false,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        let first = self.above.is_none_or(|above| matches!(above.step, Step::Root | Step::Inside));
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) if is_plain(name) => write!(f, "{}{name}", if first { "" } else { "." }),
            Step::Member(name) => write!(f, "[{}]", name.chars().take(PATH_CHARACTERS_MAX).collect::<String>()),
            Step::Element(index) => write!(f, "[{index}]"),
            Step::Inside => f.write_str("#"),
        }
    }
}

/// The path as it is told: a caller chose its names.
pub(super) fn told(path: &Path<'_>) -> String {
    let text = path.to_string();
    if text.chars().count() <= PATH_CHARACTERS_MAX {
        return text;
    }
    text.chars().take(PATH_CHARACTERS_MAX).chain("…".chars()).collect()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_kubernetes_writes_them() {
        let (spec, data) = (Path::ROOT.member("spec"), Path::ROOT.member("data"));
        let (list, key) = (spec.member("env"), data.member("tls.crt"));
        let element = list.element(3);
        assert_eq!(told(&element.member("value")), "spec.env[3].value");
        assert_eq!(told(&key), "data[tls.crt]");
        let inside = key.inside();
        assert_eq!(told(&inside.member("a")), "data[tls.crt]#a");
        assert!(key.is(&["data", "tls.crt"]) && !key.is(&["tls.crt"]) && !element.is(&["spec", "env"]));
        let long = "x".repeat(1000);
        assert!(told(&data.member(&long)).chars().count() <= PATH_CHARACTERS_MAX + 1);
    }
}
