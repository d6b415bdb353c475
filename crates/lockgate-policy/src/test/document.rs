//! A `PolicyTest` as written, and what it means.

use std::fmt;

use lockgate_core::{MaskProfile, Subject, SubjectKind, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::request::{self, Details};
use super::{Case, Connection, Expectation, PolicyTest, Want};
use crate::TEST_CASES_MAX;
use crate::document::{ApproversDocument, Metadata};
use crate::error::PolicyError;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestDocument {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    must_allow: Vec<Spanned<CaseForm>>,
    #[serde(default)]
    must_ask: Vec<Spanned<CaseForm>>,
    #[serde(default)]
    must_deny: Vec<Spanned<CaseForm>>,
    #[serde(default)]
    must_mask: Vec<Spanned<CaseForm>>,
}

/// What a case takes from here unless it says otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Defaults {
    subject: Option<SubjectDocument>,
    cluster: Option<ClusterDocument>,
    now: Option<Spanned<String>>,
}

/// A case is its request alone, or a map.
#[derive(Debug)]
enum CaseForm {
    Request(String),
    Map(Box<CaseDocument>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseDocument {
    request: Option<Spanned<String>>,
    name: Option<String>,
    subject: Option<SubjectDocument>,
    cluster: Option<ClusterDocument>,
    now: Option<Spanned<String>>,
    object: Option<Value>,
    old_object: Option<Value>,
    argv: Option<Vec<String>>,
    content_type: Option<String>,
    rule: Option<String>,
    mask: Option<MaskProfile>,
    approvers: Option<ApproversDocument>,
    count: Option<u32>,
    four_eyes: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubjectDocument {
    id: String,
    kind: Option<SubjectKind>,
    #[serde(default)]
    issuer: String,
    owner: Option<String>,
    on_behalf_of: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClusterDocument {
    #[serde(default)]
    name: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    four_eyes: bool,
}

impl<'de> Deserialize<'de> for CaseForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = CaseForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request such as `get pods web -n shop`, or a map with `request:`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CaseForm, E> {
                Ok(CaseForm::Request(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CaseForm, A::Error> {
                CaseDocument::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(CaseForm::Map)
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl PolicyTest {
    /// Reads a document of kind `PolicyTest`.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        crate::document::check_length(text)?;
        let document: TestDocument = crate::yaml::read(text, &["object", "oldObject"])?;
        crate::document::expect(text, &document.api_version, "apiVersion", crate::API_VERSION)?;
        crate::document::expect(text, &document.kind, "kind", "PolicyTest")?;
        let reader = Reader { text, defaults: &document.defaults };
        let lists = [
            (Expectation::Allow, document.must_allow),
            (Expectation::Ask, document.must_ask),
            (Expectation::Deny, document.must_deny),
            (Expectation::Mask, document.must_mask),
        ];
        let mut cases = Vec::new();
        for (expectation, list) in lists {
            for written in list {
                cases.push(reader.case(expectation, written)?);
            }
        }
        if cases.is_empty() {
            let fix = "list requests under mustAllow, mustAsk, mustDeny or mustMask";
            return Err(PolicyError::whole("the test has no case", fix));
        }
        if cases.len() > TEST_CASES_MAX {
            let message = format!("the test has more than {TEST_CASES_MAX} cases");
            return Err(PolicyError::whole(message, "split it into several files"));
        }
        cases.sort_by_key(|case| case.line);
        Ok(Self { name: document.metadata.name, cases })
    }
}

struct Reader<'t> {
    text: &'t str,
    defaults: &'t Defaults,
}

impl Reader<'_> {
    fn case(&self, expectation: Expectation, written: Spanned<CaseForm>) -> Result<Case, PolicyError> {
        let mut place = written.referenced;
        let case = match written.value {
            CaseForm::Request(request) => {
                CaseDocument { request: Some(Spanned::new(request, place, place)), ..CaseDocument::default() }
            }
            CaseForm::Map(map) => *map,
        };
        let line = place.line();
        let Some(request) = case.request else {
            let fix = "add `request:`, such as `request: get pods web -n shop`";
            return Err(PolicyError::at(self.text, place, "a case has no request", fix));
        };
        place = request.referenced;
        let want = Want {
            expectation,
            rule: case.rule,
            mask: case.mask,
            approver_groups: case
                .approvers
                .map(|approvers| approvers.groups.value.into_iter().map(|group| group.value).collect()),
            count: case.count,
            four_eyes: case.four_eyes,
        };
        if let (true, false) = (want.is_about_approvers(), expectation == Expectation::Ask) {
            let message = "approvers, count and fourEyes are what an ask says";
            return Err(PolicyError::at(self.text, place, message, "move the case to mustAsk, or remove them"));
        }
        let details = Details { argv: case.argv, content_type: case.content_type, object: case.object.as_ref() };
        let asked = request::parse(&request.value, &details)
            .map_err(|wrong| PolicyError::at(self.text, place, wrong.message, wrong.fix))?;
        let now = match case.now.as_ref().or(self.defaults.now.as_ref()) {
            None => None,
            Some(now) => Some(self.instant(now)?),
        };
        Ok(Case {
            name: case.name.unwrap_or_else(|| request.value.clone()),
            line,
            request: request.value,
            subject: subject(case.subject.or_else(|| self.defaults.subject.clone())),
            connection: connection(case.cluster.or_else(|| self.defaults.cluster.clone())),
            now,
            asked,
            object: case.object,
            old_object: case.old_object,
            want,
        })
    }

    fn instant(&self, now: &Spanned<String>) -> Result<Timestamp, PolicyError> {
        now.value.parse().map_err(|_| {
            let shown: String = now.value.chars().take(64).collect();
            let fix = "write a time such as 2026-11-25T09:30:00Z";
            PolicyError::at(self.text, now.referenced, format!("now is `{shown}`"), fix)
        })
    }
}

fn subject(written: Option<SubjectDocument>) -> Subject {
    let written = written.unwrap_or_else(|| SubjectDocument {
        id: "test".into(),
        kind: None,
        issuer: String::new(),
        owner: None,
        on_behalf_of: None,
        groups: Vec::new(),
    });
    Subject {
        issuer: written.issuer,
        id: written.id,
        kind: written.kind.unwrap_or(SubjectKind::Agent),
        owner: written.owner,
        on_behalf_of: written.on_behalf_of,
        groups: written.groups,
        token_id: None,
    }
}

fn connection(written: Option<ClusterDocument>) -> Connection {
    let ClusterDocument { name, environment, four_eyes } = written.unwrap_or_default();
    Connection { name, environment, four_eyes }
}
