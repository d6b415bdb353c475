//! Takes out of an answer what its caller may not see: the filter of `lockgate-wire`, asked by the view of
//! `lockgate-policy`. Decides what is sent so that the answer can be filtered. Refuses to know: HTTP heads, bodies.

use std::sync::Arc;

use lockgate_core::{Clock, Options, Stream, Verb};
use lockgate_policy::{Item, Needs, View};
use lockgate_wire::accept::Wanted;
use lockgate_wire::filter::{self, Filter, FilterError, FilterLimits, FilterSummary, Form, Reads, Verdict};
use lockgate_wire::{RequestInfo, Target};

/// A filter with its view.
pub(crate) struct Sieve {
    filter: Filter,
    view: View,
    clock: Arc<dyn Clock>,
}

impl Sieve {
    pub(crate) fn new(info: &RequestInfo, view: View, clock: Arc<dyn Clock>) -> Self {
        let reads = match view.needs() {
            Needs::Head => Reads::Head,
            Needs::Object => Reads::Object,
        };
        Self { filter: Filter::new(form(info), reads, FilterLimits::default()), view, clock }
    }

    pub(crate) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), FilterError> {
        let Self { filter, view, clock } = self;
        let mut judge = |item: &filter::Item<'_>| {
            let filter::Item { name, namespace, labels, object } = *item;
            let shown = view.shows(&Item { name, namespace, labels, object }, Some(clock.now()));
            if shown { Verdict::Show } else { Verdict::Hide }
        };
        filter.push(input, &mut judge, output)
    }

    pub(crate) fn finish(&mut self) -> Result<FilterSummary, FilterError> {
        self.filter.finish()
    }

    pub(crate) const fn summary(&self) -> FilterSummary {
        self.filter.summary()
    }
}

/// What the answer to a request holds, if it is one of those that can be filtered.
pub(crate) const fn form(info: &RequestInfo) -> Form {
    match (info.stream, info.verb) {
        (Stream::Watch, _) => Form::Events,
        (_, Verb::List) => Form::List,
        _ => Form::One,
    }
}

/// The target that is sent so that its answer can be filtered: with the selector that settles what is visible, in one
/// piece (an empty page would count what is hidden, and a `continue` token names the object before it; the API allows
/// servers to ignore `limit`), and with enough of each object in a Table's rows to tell whose it is.
pub(crate) fn target(target: &Target, info: &RequestInfo, view: &View) -> String {
    let mut values: Vec<(&str, Option<String>)> = Vec::new();
    if let Some(selector) = view.selector() {
        values.push(("labelSelector", Some(selector.to_owned())));
    }
    if form(info) == Form::List && view.is_partial() {
        values.push(("limit", None));
    }
    match (view.needs(), target.parameter("includeObject")) {
        (Needs::Object, _) => values.push(("includeObject", Some("Object".to_owned()))),
        (Needs::Head, Some("None")) => values.push(("includeObject", Some("Metadata".to_owned()))),
        (Needs::Head, _) => {}
    }
    target.path_and_query_with(&values)
}

/// The options of the request that is sent, where they differ from what the client sent.
pub(crate) fn options(options: &Options, info: &RequestInfo, view: &View) -> Options {
    let limit = options.limit.filter(|_| form(info) != Form::List || !view.is_partial());
    let own = options.label_selector.clone();
    Options { limit, label_selector: view.selector().map(str::to_owned).or(own), ..options.clone() }
}

/// What of each object must stand in the answer.
pub(crate) fn wanted(view: Option<&View>) -> Wanted {
    match view.map(View::needs) {
        Some(Needs::Object) => Wanted::WholeObjects,
        Some(Needs::Head) | None => Wanted::AsAsked,
    }
}

/// Whether a whole object that was read may be shown.
pub(crate) fn shows(view: &mut View, object: &serde_json::Value, clock: &dyn Clock) -> bool {
    let text = |pointer| object.pointer(pointer).and_then(serde_json::Value::as_str);
    let labels: Vec<(String, String)> = object
        .pointer("/metadata/labels")
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let Some(name) = text("/metadata/name") else { return false };
    let namespace = text("/metadata/namespace").unwrap_or_default();
    view.shows(&Item { name, namespace, labels: &labels, object: Some(object) }, Some(clock.now()))
}
