//! Lists and maps of JSON as CEL values. Their entries are made when an expression first looks into them, once for all
//! expressions of a policy: most of an object is never looked at. To CEL they are its own lists and maps: equal to those,
//! compared and converted as those.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cel::common::traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Type};
use cel::common::value::{Builtin, BuiltinRef, Val};
use serde_json::{Map, Value};

/// The value of a piece of JSON.
pub(crate) fn value<'d>(json: &'d Value) -> Box<dyn Val + 'd> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(boolean) => Box::new(CelBool::from(*boolean)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => Box::new(CelInt::from(signed)),
            (None, Some(unsigned)) => Box::new(CelUInt::from(unsigned)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(List(Arc::new(Lazy { json: items.as_slice(), made: OnceLock::new() }))),
        Value::Object(fields) => Box::new(Fields(Arc::new(Lazy { json: fields, made: OnceLock::new() }))),
    }
}

/// What is shared by all copies of a value.
#[derive(Debug)]
struct Lazy<J, M> {
    json: J,
    made: OnceLock<M>,
}

/// A list.
#[derive(Debug, Clone)]
struct List<'d>(Arc<Lazy<&'d [Value], CelList<'d>>>);

/// A map.
#[derive(Debug, Clone)]
struct Fields<'d>(Arc<Lazy<&'d Map<String, Value>, CelMap<'d>>>);

impl<'d> List<'d> {
    fn made(&self) -> &CelList<'d> {
        self.0.made.get_or_init(|| CelList::from(self.0.json.iter().map(value).collect::<Vec<_>>()))
    }
}

impl<'d> Fields<'d> {
    fn made(&self) -> &CelMap<'d> {
        self.0.made.get_or_init(|| {
            let entry = |(name, field): (&'d String, &'d Value)| {
                (CelMapKey::String(CelString::from(name.as_str())), value(field))
            };
            CelMap::from(self.0.json.iter().map(entry).collect::<HashMap<_, _>>())
        })
    }
}

/// Everything but the making is CEL's own.
macro_rules! as_its_own {
    ($lazy:ident, $own:ident) => {
        impl<'d> Val for $lazy<'d> {
            fn get_type(&self) -> &Type {
                <Self as Val>::cel_type()
            }

            fn cel_type() -> &'static Type {
                <$own<'d> as Val>::cel_type()
            }

            fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
            where
                Self: 'v,
            {
                self.made().as_adder()
            }

            fn as_container(&self) -> Option<&dyn Container> {
                self.made().as_container()
            }

            fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
            where
                Self: 'v,
            {
                self.made().as_indexer()
            }

            fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
            where
                Self: 'v,
            {
                Box::new(self.made().clone()).into_indexer()
            }

            fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
            where
                Self: 'v,
            {
                self.made().as_iterable()
            }

            fn as_sizer(&self) -> Option<&dyn Sizer> {
                self.made().as_sizer()
            }

            fn as_zeroer(&self) -> Option<&dyn Zeroer> {
                self.made().as_zeroer()
            }

            fn equals(&self, other: &dyn Val) -> bool {
                self.made().equals(other)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(self.clone())
            }

            fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
            where
                Self: 'v,
            {
                self.made().as_builtin()
            }

            fn into_builtin<'v>(self: Box<Self>) -> Option<Builtin<'v>>
            where
                Self: 'v,
            {
                Box::new(self.made().clone()).into_builtin()
            }
        }
    };
}

as_its_own!(List, CelList);
as_its_own!(Fields, CelMap);
