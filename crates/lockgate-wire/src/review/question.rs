//! The question of a SelfSubjectAccessReview, as the request that it is about
//! (`k8s.io/api/authorization/v1`, `ResourceAttributes` and `NonResourceAttributes`).

use lockgate_core::{Options, Verb};
use serde_json::Value;

use crate::{RequestInfo, Target, WireError, options};

/// Stands for every verb, resource or API group.
const ANY: &str = "*";

/// The API version where none is named: policy is told that it is open.
const SOME_VERSION: &str = "v1";

/// The name where none is given; it never leaves here.
const SOME_NAME: &str = "lockgate-some-name";

/// Longest part of a question that is read, in bytes.
const PART_BYTES_MAX: usize = 1_024;

const RESOURCE_VERBS: [Verb; 8] =
    [Verb::Get, Verb::List, Verb::Watch, Verb::Create, Verb::Update, Verb::Patch, Verb::Delete, Verb::DeleteCollection];

const PATH_VERBS: [Verb; 7] = [Verb::Get, Verb::Head, Verb::Options, Verb::Post, Verb::Put, Verb::Patch, Verb::Delete];

/// What a review asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A verb on a resource.
    Resource {
        /// As asked: a verb, or `*`.
        verb: String,
        /// On what.
        resource: Resource,
    },
    /// A verb on a path.
    Path {
        /// As asked: a verb, or `*`.
        verb: String,
        /// The path; a tree ends in `*`.
        path: String,
    },
}

/// The resource, and where; what is empty is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Resource in the plural.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Field selector.
    pub field_selector: String,
    /// Label selector.
    pub label_selector: String,
}

/// Where objects of the resource live, as far as the one who asks knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the namespace that the question names, or in any.
    Namespace,
    /// In none: the namespace that the question names means nothing (kubectl always sends one).
    Cluster,
}

/// A request that nobody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it asks for. Without a name or namespace where the question has none.
    pub info: RequestInfo,
    /// The options that the question tells: selectors.
    pub options: Options,
    /// Whether the API version is open.
    pub any_version: bool,
}

impl Question {
    /// Reads the body of a SelfSubjectAccessReview; `None` if it asks nothing, or two things.
    pub fn of(review: &Value) -> Option<Self> {
        let spec = review.get("spec")?;
        let given = |field: &str| spec.get(field).filter(|value| !value.is_null());
        match (given("resourceAttributes"), given("nonResourceAttributes")) {
            (Some(attributes), None) => {
                let text = |field: &str| part(attributes, field);
                let resource = Resource {
                    group: text("group")?,
                    version: text("version")?,
                    resource: text("resource")?,
                    subresource: text("subresource")?,
                    namespace: text("namespace")?,
                    name: text("name")?,
                    field_selector: selector(attributes.get("fieldSelector")),
                    label_selector: selector(attributes.get("labelSelector")),
                };
                Some(Self::Resource { verb: text("verb")?, resource })
            }
            (None, Some(attributes)) => {
                Some(Self::Path { verb: part(attributes, "verb")?, path: part(attributes, "path")? })
            }
            _ => None,
        }
    }

    /// The verbs that it is about: all for `*`, none for a verb that no request has (`use`, `bind`).
    pub fn verbs(&self) -> Vec<Verb> {
        let (verb, all) = match self {
            Self::Resource { verb, .. } => (verb, RESOURCE_VERBS.as_slice()),
            Self::Path { verb, .. } => (verb, PATH_VERBS.as_slice()),
        };
        all.iter().copied().filter(|known| verb == ANY || known.as_str() == verb).collect()
    }

    /// The request that it is about, with one of its [verbs](Self::verbs).
    ///
    /// # Errors
    /// When there is no such request, or it would be refused whatever the policy says.
    pub fn request(&self, verb: Verb, place: Place) -> Result<Asked, WireError> {
        match self {
            Self::Path { path, .. } => path_request(verb, path),
            Self::Resource { resource, .. } if resource.is_any() => Ok(resource.any(verb, place)),
            Self::Resource { resource, .. } => resource.request(verb, place),
        }
    }
}

impl Resource {
    /// Whether it stands for more than one.
    pub fn is_any(&self) -> bool {
        [&self.group, &self.resource, &self.subresource].into_iter().any(|part| part == ANY)
            || self.resource.contains("*/")
            || self.resource.ends_with("/*")
    }

    fn any(&self, verb: Verb, place: Place) -> Asked {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let info = RequestInfo {
            verb,
            server_verb: verb,
            api_group: self.group.clone(),
            api_version: SOME_VERSION.to_owned(),
            resource: ANY.to_owned(),
            subresource: None,
            namespace: text(&self.namespace).filter(|_| place == Place::Namespace),
            name: text(&self.name),
            proxy_path: None,
            stream: lockgate_core::Stream::None,
            path: String::new(),
            query: String::new(),
        };
        Asked { info, options: Options::default(), any_version: true }
    }

    fn request(&self, verb: Verb, place: Place) -> Result<Asked, WireError> {
        let collection = matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let is_namespaces = self.group.is_empty() && self.resource == "namespaces";
        let named = !collection && (verb != Verb::Create || !self.subresource.is_empty());
        let mut segments = match self.group.as_str() {
            "" => vec!["api"],
            group => vec!["apis", group],
        };
        segments.push(if self.version.is_empty() || self.version == ANY { SOME_VERSION } else { &self.version });
        if !self.namespace.is_empty() && place == Place::Namespace && !is_namespaces {
            segments.extend(["namespaces", &self.namespace]);
        }
        segments.push(&self.resource);
        if named {
            segments.push(if self.name.is_empty() { SOME_NAME } else { &self.name });
        }
        if !self.subresource.is_empty() {
            segments.push(&self.subresource);
        }
        let target = self.target(&segments, verb, collection)?;
        let mut info = RequestInfo::of(method(verb), &target)?;
        let has = |own: &Option<String>, asked: &str| own.as_deref().unwrap_or_default() == asked;
        if info.resource != self.resource
            || !has(&info.subresource, &self.subresource)
            || named && info.name.is_none()
            || info.server_verb != verb
        {
            return Err(WireError::Path("no request has this resource, subresource and verb together"));
        }
        let options = match verb {
            Verb::List | Verb::Watch | Verb::DeleteCollection => options::effective(&info, &target, None, None)?,
            _ => Options::default(),
        };
        if self.name.is_empty() && named {
            info.name = None;
            info.namespace = info.namespace.filter(|_| !is_namespaces);
        }
        // A create names its object in the body; RequestInfo does not see it, decisions do.
        if verb == Verb::Create && !named && !self.name.is_empty() {
            info.name = Some(self.name.clone());
        }
        Ok(Asked { info, options, any_version: self.version.is_empty() || self.version == ANY })
    }

    fn target(&self, segments: &[&str], verb: Verb, collection: bool) -> Result<Target, WireError> {
        let target = target(segments)?;
        let mut query: Vec<(&str, Option<String>)> = Vec::new();
        if verb == Verb::Watch {
            query.push(("watch", Some("true".to_owned())));
        }
        if collection {
            let name = (!self.name.is_empty()).then(|| format!("metadata.name={}", self.name));
            let fields: Vec<String> = name
                .into_iter()
                .chain((!self.field_selector.is_empty()).then(|| self.field_selector.clone()))
                .collect();
            if !fields.is_empty() {
                query.push(("fieldSelector", Some(fields.join(","))));
            }
            if !self.label_selector.is_empty() {
                query.push(("labelSelector", Some(self.label_selector.clone())));
            }
        }
        Target::parse(&format!("/clusters/asked{}", target.path_and_query_with(&query)))
    }
}

fn path_request(verb: Verb, path: &str) -> Result<Asked, WireError> {
    if !path.starts_with('/') || path.contains(['?', '%']) {
        return Err(WireError::Path("it is no path"));
    }
    let target = Target::parse(&format!("/clusters/asked{path}"))?;
    let info = RequestInfo::of(method(verb), &target)?;
    Ok(Asked { info, options: Options::default(), any_version: false })
}

/// A path of these segments, none of which may hold another.
fn target(segments: &[&str]) -> Result<Target, WireError> {
    if segments.iter().any(|segment| segment.contains(['/', '?', '%', '#'])) {
        return Err(WireError::Path("a name holds a character that no path can hold"));
    }
    Target::parse(&format!("/clusters/asked/{}", segments.join("/")))
}

const fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => "GET",
        Verb::Create | Verb::Post => "POST",
        Verb::Update | Verb::Put => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete | Verb::DeleteCollection => "DELETE",
        Verb::Head => "HEAD",
        Verb::Options => "OPTIONS",
    }
}

/// A text that may be left out; `None` for what is no text, or too long.
fn part(attributes: &Value, field: &str) -> Option<String> {
    match attributes.get(field) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) if text.len() <= PART_BYTES_MAX => Some(text.clone()),
        Some(_) => None,
    }
}

/// A selector as text. Requirements that it cannot say (`in` several values) are left out, which narrows nothing.
fn selector(attributes: Option<&Value>) -> String {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(attributes) = attributes else { return String::new() };
    let raw = text(attributes, "rawSelector");
    if !raw.is_empty() {
        return raw;
    }
    let requirements = attributes.get("requirements").and_then(Value::as_array).into_iter().flatten();
    let plain = requirements.filter_map(|one| {
        let values: Vec<&str> = one.get("values")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let operator = match text(one, "operator").as_str() {
            "In" => "=",
            "NotIn" => "!=",
            _ => return None,
        };
        let [value] = values.as_slice() else { return None };
        let key = text(one, "key");
        let is_plain = |text: &str| !text.contains([',', '=', '!', '\\', '(', ')']);
        (is_plain(&key) && is_plain(value)).then(|| format!("{key}{operator}{value}"))
    });
    plain.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(attributes: Value, place: Place) -> Result<String, WireError> {
        let question = Question::of(&json!({"spec": {"resourceAttributes": attributes}})).unwrap();
        let verb = *question.verbs().first().expect("a verb");
        let Asked { info, options, .. } = question.request(verb, place)?;
        let text = |part: Option<String>| part.unwrap_or_else(|| "-".into());
        let selectors = [options.field_selector, options.label_selector].into_iter().flatten().collect::<String>();
        Ok(format!(
            "{} {}/{} {}/{} {} {} {selectors}",
            info.verb,
            info.api_group,
            info.api_version,
            info.resource,
            text(info.subresource),
            text(info.namespace),
            text(info.name),
        ))
    }

    #[test]
    fn a_question_is_read_as_the_request_that_it_is_about() {
        use Place::{Cluster, Namespace};
        for (attributes, place, expected) in [
            (
                json!({"verb": "get", "resource": "pods", "namespace": "a", "name": "p"}),
                Namespace,
                "get /v1 pods/- a p ",
            ),
            (json!({"verb": "get", "resource": "pods", "namespace": "a"}), Namespace, "get /v1 pods/- a - "),
            (json!({"verb": "list", "resource": "pods"}), Namespace, "list /v1 pods/- - - "),
            (
                json!({"verb": "watch", "resource": "pods", "namespace": "a", "name": "p"}),
                Namespace,
                "watch /v1 pods/- a p metadata.name=p",
            ),
            (
                json!({"verb": "create", "resource": "pods", "namespace": "a", "name": "p"}),
                Namespace,
                "create /v1 pods/- a p ",
            ),
            (
                json!({"verb": "get", "resource": "pods", "subresource": "exec", "namespace": "a"}),
                Namespace,
                "create /v1 pods/exec a - ",
            ),
            (
                json!({"verb": "patch", "group": "apps", "version": "v1beta2", "resource": "deployments", "subresource": "scale", "namespace": "a", "name": "web"}),
                Namespace,
                "patch apps/v1beta2 deployments/scale a web ",
            ),
            (
                json!({"verb": "deletecollection", "resource": "pods", "namespace": "a"}),
                Namespace,
                "deletecollection /v1 pods/- a - ",
            ),
            (
                json!({"verb": "get", "resource": "nodes", "namespace": "a", "name": "n"}),
                Cluster,
                "get /v1 nodes/- - n ",
            ),
            (
                json!({"verb": "get", "resource": "namespaces", "namespace": "a", "name": "b"}),
                Cluster,
                "get /v1 namespaces/- b b ",
            ),
            (
                json!({"verb": "delete", "resource": "namespaces", "namespace": "a"}),
                Cluster,
                "delete /v1 namespaces/- - - ",
            ),
            (
                json!({"verb": "list", "resource": "pods", "labelSelector": {"requirements": [
                    {"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Exists"},
                ]}, "fieldSelector": {"rawSelector": "spec.nodeName=n"}}),
                Namespace,
                "list /v1 pods/- - - spec.nodeName=na=b",
            ),
            (json!({"verb": "get", "group": "*", "resource": "*", "namespace": "a"}), Namespace, "get */v1 */- a - "),
        ] {
            assert_eq!(asked(attributes.clone(), place), Ok(expected.to_owned()), "{attributes}");
        }
    }

    #[test]
    fn what_no_request_can_ask_for_is_an_error() {
        for attributes in [
            json!({"verb": "get", "resource": "pods", "namespace": "a", "name": "p/exec"}),
            json!({"verb": "get", "resource": "pods", "namespace": "a/pods/p", "name": "exec"}),
            json!({"verb": "get", "resource": "pods", "subresource": "shell", "namespace": "a"}),
            json!({"verb": "get", "resource": "pods/exec", "namespace": "a"}),
            json!({"verb": "get", "resource": "pods", "namespace": "a", "name": "x?watch=1"}),
            json!({"verb": "get", "resource": "pods", "namespace": "..", "name": "x"}),
            json!({"verb": "delete", "resource": "pods", "subresource": "exec", "namespace": "a", "name": "p"}),
            json!({"verb": "get", "resource": ""}),
        ] {
            assert!(asked(attributes.clone(), Place::Namespace).is_err(), "{attributes}");
        }
    }

    #[test]
    fn one_question_at_a_time() {
        for review in [
            json!({}),
            json!({"spec": {}}),
            json!({"spec": {"resourceAttributes": {}, "nonResourceAttributes": {}}}),
            json!({"spec": {"resourceAttributes": {"verb": 5}}}),
        ] {
            assert_eq!(Question::of(&review), None, "{review}");
        }
        let verbs = |verb: &str| Question::Path { verb: verb.into(), path: "/api".into() }.verbs().len();
        assert_eq!((verbs("*"), verbs("head"), verbs("list")), (7, 1, 0));
        let path =
            |path: &str| Question::Path { verb: "get".into(), path: path.into() }.request(Verb::Get, Place::Cluster);
        assert_eq!(path("/healthz/*").unwrap().info.path, "/healthz/*");
        for bad in ["healthz", "/a?b", "/a//b", "/%61", "/a b"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
