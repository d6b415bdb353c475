//! Documents as people write them: what they get wrong and are told, what the schemas say, and every example of the guide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_policy::test::PolicyTest;
use lockgate_policy::{Policy, PolicyError, schema};
use serde_json::Value;

mod dead_words;
mod draft7;
mod golden;
mod guide;
mod mistakes;
mod schemas;
mod warnings;

use draft7::Schema;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Policy,
    PolicyTest,
}

impl Kind {
    fn schema(self) -> Schema {
        Schema::new(match self {
            Self::Policy => schema::POLICY,
            Self::PolicyTest => schema::POLICY_TEST,
        })
    }

    fn head(self) -> String {
        format!("apiVersion: lockgate.dev/v1\nkind: {self:?}\n")
    }

    fn parse(self, text: &str) -> Result<(), PolicyError> {
        match self {
            Self::Policy => Policy::parse(text).map(drop),
            Self::PolicyTest => PolicyTest::parse(text).map(drop),
        }
    }
}

/// A document as editors read it, by YAML 1.2: `off` is a word.
fn json(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{text}\n{error}"))
}
