//! What an entry of a rule's list stands for: a word, a word's beginning (`team-*`), or everything (`*`).

use std::fmt;

/// One entry. `*` is special only at the end, where no Kubernetes name can have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    Any,
    Prefix(Box<str>),
    Exact(Box<str>),
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Exact(exact) if exact.is_empty() => f.write_str("\"\""),
            Self::Exact(exact) => f.write_str(exact),
        }
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |part: &Option<Box<str>>| part.as_deref().unwrap_or("*").to_owned();
        match self {
            Self::Everything => f.write_str("*"),
            Self::Resource(resource) => f.write_str(resource),
            Self::Subresource { resource, subresource } => write!(f, "{}/{}", word(resource), word(subresource)),
        }
    }
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Any),
            Some(prefix) if !prefix.contains('*') => Ok(Self::Prefix(prefix.into())),
            None if !text.contains('*') => Ok(Self::Exact(text.into())),
            Some(_) | None => Err("`*` may only stand at the end"),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => text.starts_with(prefix.as_ref()),
            Self::Exact(exact) => text == exact.as_ref(),
        }
    }

    /// Whether a name that begins with `prefix` and has `more` further characters could match.
    pub(crate) fn may_match_generated(&self, prefix: &str, more: usize) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(own) => prefix.starts_with(own.as_ref()) || own.starts_with(prefix),
            Self::Exact(exact) => exact.starts_with(prefix) && exact.len() == prefix.len() + more,
        }
    }
}

/// `resources:` entries: `pods`, `pods/exec`, `*/scale`, `pods/*`, `*`. As in RBAC, `pods` does not cover `pods/exec`
/// and `*` covers every resource and subresource
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResourcePattern {
    Everything,
    Resource(Box<str>),
    Subresource { resource: Option<Box<str>>, subresource: Option<Box<str>> },
}

impl ResourcePattern {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let word = |part: &str| match part {
            "*" => Ok(None),
            _ if part.is_empty() || part.contains(['*', '/']) => {
                Err("write a resource in the plural, `resource/subresource`, `*/subresource`, `resource/*` or `*`")
            }
            _ => Ok(Some(Box::from(part))),
        };
        match text.split_once('/') {
            None => Ok(word(text)?.map_or(Self::Everything, Self::Resource)),
            Some((resource, subresource)) => {
                Ok(Self::Subresource { resource: word(resource)?, subresource: word(subresource)? })
            }
        }
    }

    /// The one resource that it is about, if it is about one.
    pub(crate) fn resource(&self) -> Option<&str> {
        match self {
            Self::Everything => None,
            Self::Resource(resource) => Some(resource),
            Self::Subresource { resource, .. } => resource.as_deref(),
        }
    }

    pub(crate) fn matches(&self, resource: &str, subresource: Option<&str>) -> bool {
        let fits = |pattern: &Option<Box<str>>, text: &str| pattern.as_deref().is_none_or(|word| word == text);
        match self {
            Self::Everything => true,
            Self::Resource(own) => subresource.is_none() && own.as_ref() == resource,
            Self::Subresource { resource: own, subresource: below } => {
                subresource.is_some_and(|subresource| fits(own, resource) && fits(below, subresource))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_pods_does_not_cover_exec() {
        let pods = ResourcePattern::parse("pods").unwrap();
        assert!(pods.matches("pods", None));
        assert!(!pods.matches("pods", Some("exec")));
        assert!(!pods.matches("podtemplates", None));
    }

    #[test]
    fn every_notation_of_a_subresource() {
        let table = [
            ("*", "pods", Some("exec"), true),
            ("*", "pods", None, true),
            ("pods/exec", "pods", Some("exec"), true),
            ("pods/exec", "pods", Some("log"), false),
            ("pods/exec", "pods", None, false),
            ("*/scale", "deployments", Some("scale"), true),
            ("*/scale", "deployments", None, false),
            ("pods/*", "pods", Some("log"), true),
            ("pods/*", "pods", None, false),
            ("pods/*", "nodes", Some("proxy"), false),
        ];
        for (pattern, resource, subresource, expected) in table {
            let parsed = ResourcePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(resource, subresource), expected, "{pattern} on {resource}/{subresource:?}");
        }
        for wrong in ["", "po*", "pods/", "/exec", "pods/exec/more", "pods/ex*"] {
            assert!(ResourcePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_only_at_the_end() {
        assert!(Pattern::parse("team-*").unwrap().matches("team-a"));
        assert!(!Pattern::parse("team-*").unwrap().matches("teams"));
        assert!(Pattern::parse("*").unwrap().matches(""));
        for wrong in ["*-team", "a*b", "a**"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_generated_name_may_only_match_what_it_can_become() {
        let exact = Pattern::parse("web-abcde").unwrap();
        assert!(exact.may_match_generated("web-", 5));
        assert!(!exact.may_match_generated("web", 5));
        assert!(!exact.may_match_generated("db-", 5));
        assert!(Pattern::parse("web-prod-*").unwrap().may_match_generated("web-", 5));
        assert!(!Pattern::parse("db-*").unwrap().may_match_generated("web-", 5));
    }
}
