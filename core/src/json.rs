//! stub until the token half lands
#[derive(serde::Deserialize)]
pub(crate) struct Object<'a>(#[serde(borrow)] std::collections::HashMap<String, &'a serde_json::value::RawValue>);
impl Object<'_> { pub(crate) fn has(&self, n: &str) -> bool { self.0.contains_key(n) } }
