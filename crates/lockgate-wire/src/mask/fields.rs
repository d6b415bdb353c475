//! Fields of custom resources that are secret: told by the configuration, since only their owners know.
//!
//! Owns the rules and where in an object they stand. A rule holds for objects of its group and kind; as long as an
//! object has not said what it is, every rule may be meant. Lists are looked through: `spec.users.password` is the
//! password of every user.

use thiserror::Error;

/// Most rules.
pub const FIELD_RULES_MAX: usize = 256;

/// Most names in a path.
const PATH_NAMES_MAX: usize = 32;

/// One field, or all fields of one name in a list, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// The API group; empty for core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// From the object's root, names between dots: `spec.database.password`. `*` is any name; a dot in a name is
    /// written `\.`.
    pub path: String,
}

/// A rule that cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldRuleError {
    /// Too many.
    #[error("more than {FIELD_RULES_MAX} field rules")]
    TooMany,
    /// Its kind is missing.
    #[error("the field rule for {path:?} names no kind")]
    NoKind {
        /// The path.
        path: String,
    },
    /// Its path is empty, has an empty name, or is too long.
    #[error(
        "{path:?} is no path of a field: names between dots, at most {PATH_NAMES_MAX} of them, such as spec.password"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// It would mask what tells an object apart.
    #[error("{path:?} is part of every object, and cannot be masked")]
    Identity {
        /// The path.
        path: String,
    },
}

/// Rules, ready to be followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    group: String,
    kind: String,
    path: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Any,
}

/// How far a rule has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    rule: usize,
    steps: usize,
}

/// An object or list on the path of some rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    /// How many brackets are open in it.
    pub(super) frames: usize,
    pub(super) places: Vec<Place>,
    /// The track of the API object that it is in.
    pub(super) root: usize,
}

/// What an API object has said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) kind: Option<String>,
    pub(super) api_version: Option<String>,
}

/// What becomes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    Masked,
    On(Vec<Place>),
}

impl FieldRules {
    /// # Errors
    /// The first rule that cannot hold.
    pub fn compile(rules: &[FieldRule]) -> Result<Self, FieldRuleError> {
        if rules.len() > FIELD_RULES_MAX {
            return Err(FieldRuleError::TooMany);
        }
        let rules: Result<_, _> = rules.iter().map(Rule::compile).collect();
        Ok(Self { rules: rules? })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Where an API object begins.
    pub(super) fn begin(&self) -> Vec<Place> {
        (0..self.rules.len()).map(|rule| Place { rule, steps: 0 }).collect()
    }

    /// What becomes of the member `name`.
    pub(super) fn follow(&self, places: &[Place], name: &[u8], said: &Said) -> Follow {
        let mut on = Vec::new();
        for place in places {
            let Some(rule) = self.rules.get(place.rule).filter(|rule| rule.may_mean(said)) else { continue };
            match rule.path.get(place.steps) {
                Some(Step::Name(step)) if step.as_bytes() != name => {}
                None => {}
                Some(_) if place.steps + 1 == rule.path.len() => return Follow::Masked,
                Some(_) => on.push(Place { steps: place.steps + 1, ..*place }),
            }
        }
        Follow::On(on)
    }
}

impl Rule {
    fn compile(rule: &FieldRule) -> Result<Self, FieldRuleError> {
        let path = || rule.path.clone();
        if rule.kind.is_empty() {
            return Err(FieldRuleError::NoKind { path: path() });
        }
        let mut steps = vec![String::new()];
        let mut escaped = false;
        for character in rule.path.chars() {
            match (character, steps.last_mut()) {
                ('\\', _) if !escaped => {
                    escaped = true;
                    continue;
                }
                ('.', _) if !escaped => steps.push(String::new()),
                (character, Some(step)) => step.push(character),
                (_, None) => {}
            }
            escaped = false;
        }
        if escaped || steps.len() > PATH_NAMES_MAX || steps.iter().any(String::is_empty) {
            return Err(FieldRuleError::Path { path: path() });
        }
        let steps: Vec<Step> =
            steps.into_iter().map(|name| if name == "*" { Step::Any } else { Step::Name(name) }).collect();
        let is = |at: usize, name: &str| matches!(steps.get(at), Some(Step::Name(step)) if step == name);
        let whole =
            steps.len() == 1 && (is(0, "kind") || is(0, "apiVersion") || is(0, "metadata") || steps == [Step::Any]);
        let identity = steps.len() == 2
            && is(0, "metadata")
            && ["name", "namespace", "uid", "resourceVersion", "labels"].iter().any(|name| is(1, name));
        if whole || identity {
            return Err(FieldRuleError::Identity { path: path() });
        }
        Ok(Self { group: rule.group.clone(), kind: rule.kind.clone(), path: steps })
    }

    fn may_mean(&self, said: &Said) -> bool {
        let group = |api_version: &String| {
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            group == self.group
        };
        said.kind.as_ref().is_none_or(|kind| *kind == self.kind) && said.api_version.as_ref().is_none_or(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str) -> FieldRule {
        FieldRule { group: "example.com".into(), kind: "Database".into(), path: path.into() }
    }

    #[test]
    fn rules_that_cannot_hold_are_refused() {
        for path in ["", ".", "a..b", "a.", ".a", "a\\", &"a.".repeat(40)] {
            assert_eq!(FieldRules::compile(&[rule(path)]), Err(FieldRuleError::Path { path: path.into() }));
        }
        for path in ["kind", "apiVersion", "metadata", "*", "metadata.name", "metadata.uid"] {
            assert_eq!(FieldRules::compile(&[rule(path)]), Err(FieldRuleError::Identity { path: path.into() }));
        }
        let no_kind = FieldRule { kind: String::new(), ..rule("spec.a") };
        assert_eq!(FieldRules::compile(&[no_kind]), Err(FieldRuleError::NoKind { path: "spec.a".into() }));
        assert_eq!(FieldRules::compile(&vec![rule("spec.a"); 257]), Err(FieldRuleError::TooMany));
        assert!(FieldRules::compile(&[rule("spec.a\\.b.*.c"), rule("metadata.annotations.x")]).is_ok());
    }

    #[test]
    fn rules_are_followed_name_by_name() {
        let rules = FieldRules::compile(&[rule("spec.a\\.b"), rule("spec.*.c")]).unwrap();
        let said = Said::default();
        let Follow::On(spec) = rules.follow(&rules.begin(), b"spec", &said) else { panic!() };
        assert_eq!(spec.len(), 2);
        assert_eq!(rules.follow(&spec, b"a.b", &said), Follow::Masked);
        let Follow::On(any) = rules.follow(&spec, b"x", &said) else { panic!() };
        assert_eq!(rules.follow(&any, b"c", &said), Follow::Masked);
        assert_eq!(rules.follow(&any, b"d", &said), Follow::On(vec![]));
        let other = Said { kind: Some("Other".into()), api_version: None };
        assert_eq!(rules.follow(&any, b"c", &other), Follow::On(vec![]));
        let said = Said { kind: Some("Database".into()), api_version: Some("example.com/v1".into()) };
        assert_eq!(rules.follow(&any, b"c", &said), Follow::Masked);
        let said = Said { kind: None, api_version: Some("v1".into()) };
        assert_eq!(rules.follow(&any, b"c", &said), Follow::On(vec![]));
    }
}
