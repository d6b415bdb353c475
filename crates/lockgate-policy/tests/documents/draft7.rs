//! As much of JSON Schema, draft 7, as our schemas use. A keyword that it does not know is an error, not a yes.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// A schema.
pub(crate) struct Schema {
    root: Value,
    patterns: RefCell<HashMap<String, Regex>>,
}

impl Schema {
    pub(crate) fn new(text: &str) -> Self {
        Self { root: serde_json::from_str(text).unwrap(), patterns: RefCell::default() }
    }

    pub(crate) const fn root(&self) -> &Value {
        &self.root
    }

    /// Whether `value` fits; else what is wrong first.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        self.fits(&self.root, value, "")
    }

    fn fits(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{place}: nothing fits here")),
            other => other.as_object().ok_or_else(|| format!("{place}: no schema"))?,
        };
        for (keyword, wanted) in keywords {
            self.keyword(keyword, wanted, schema, value, place)?;
        }
        Ok(())
    }

    fn keyword(&self, keyword: &str, wanted: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let fits = |schema: &Value| self.fits(schema, value, place);
        let alternatives = || wanted.as_array().unwrap().iter().filter(|schema| fits(schema).is_ok()).count();
        let length = |value: &Value| match value {
            Value::Array(items) => Some(items.len()),
            Value::Object(fields) => Some(fields.len()),
            Value::String(text) => Some(text.chars().count()),
            _ => None,
        };
        let bound = || usize::try_from(wanted.as_u64().unwrap()).unwrap();
        let holds = match keyword {
            "$schema" | "title" | "description" | "definitions" | "then" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                return fits(self.root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")));
            }
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "type" => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("type {other}"),
            },
            "required" => value.as_object().is_none_or(|fields| {
                wanted.as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
            }),
            "properties" => return self.properties(wanted, value, place),
            "additionalProperties" => return self.further(schema, wanted, value, place),
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                return items.try_for_each(|(index, item)| self.fits(wanted, item, &format!("{place}/{index}")));
            }
            "oneOf" => alternatives() == 1,
            "anyOf" => alternatives() > 0,
            "allOf" => return wanted.as_array().unwrap().iter().try_for_each(fits),
            "not" => fits(wanted).is_err(),
            "if" => fits(wanted).is_err() || fits(&schema["then"]).is_ok(),
            "minItems" => !value.is_array() || length(value) >= Some(bound()),
            "maxItems" => !value.is_array() || length(value) <= Some(bound()),
            "minProperties" => !value.is_object() || length(value) >= Some(bound()),
            "maxLength" => !value.is_string() || length(value) <= Some(bound()),
            "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= wanted.as_i64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| self.matches(wanted.as_str().unwrap(), text)),
            other => return Err(format!("{place}: the keyword {other} is not known here")),
        };
        if holds { Ok(()) } else { Err(format!("{place}: {keyword} {wanted}")) }
    }

    fn properties(&self, wanted: &Value, value: &Value, place: &str) -> Result<(), String> {
        let Some(fields) = value.as_object() else { return Ok(()) };
        for (name, schema) in wanted.as_object().unwrap() {
            if let Some(field) = fields.get(name) {
                self.fits(schema, field, &format!("{place}/{name}"))?;
            }
        }
        Ok(())
    }

    fn further(&self, schema: &Value, wanted: &Value, value: &Value, place: &str) -> Result<(), String> {
        let Some(fields) = value.as_object() else { return Ok(()) };
        for (name, field) in fields.iter().filter(|(name, _)| schema["properties"].get(name.as_str()).is_none()) {
            self.fits(wanted, field, &format!("{place}/{name}"))?;
        }
        Ok(())
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
    }
}
