//! Who is calling.

use serde::{Deserialize, Serialize};

/// What kind of caller a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A program that acts by itself.
    Agent,
    /// A person.
    Human,
}

/// An authenticated caller, as mapped from the claims of its token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The issuer's URL, exactly as the token's `iss`.
    pub issuer: String,
    /// The subject id within the issuer; never empty.
    pub id: String,
    /// Agent or human.
    pub kind: SubjectKind,
    /// The person or team that answers for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The person for whom the agent acts in this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Mapped groups, in the token's order. Sent upstream as `lockgate:<group>`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The token's `jti`, or the first 16 bytes (hex) of its SHA-256: names the credential, never shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

impl Subject {
    /// Whether both are the same caller for the purposes of a ticket: issuer, id, kind and owner. Groups and token change on renewal.
    pub fn same_principal(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.id == other.id && self.kind == other.kind && self.owner == other.owner
    }

    /// How policies, logs and messages name this caller: `agent:<id>` or `human:<id>`. Also the user name impersonated upstream.
    pub fn name(&self) -> String {
        match self.kind {
            SubjectKind::Agent => format!("agent:{}", self.id),
            SubjectKind::Human => format!("human:{}", self.id),
        }
    }
}
