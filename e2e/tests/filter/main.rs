//! What a restricted agent lists, watches, counts and deletes is exactly what it may get one by one: with the real cluster and real
//! clients, on gateways of the tests' own.

mod kubectl;
mod large;
mod lists;
mod place;
mod random;
mod selectors;
mod watches;
