//! A body that is one JSON object, read strictly.

use std::{cell::Cell, fmt};

use axum::extract::{FromRequest, Request};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{body, fields::Fields, gateway, wire::WireError};

/// The body of a request: one JSON object, read strictly (RFC 8259).
///
/// Refused with 400 are a body that is empty, not UTF-8, not JSON, nested more than 127 deep,
/// followed by anything, or not an object; and one in which any object names a member twice (RFC
/// 8259 §4), names being compared after their escapes are undone. Refused with 413, 415 and 408 are
/// bodies that are longer than the [`BodyLimit`](crate::BodyLimit), not declared as JSON, or too
/// slow.
///
/// ```
/// use mintage::SecretText;
/// use mintage_http::{ApiClient, StrictJson, WireError};
///
/// struct LogIn<'a> {
///     email: &'a str,
///     password: SecretText,
/// }
///
/// async fn log_in(ApiClient(client): ApiClient, body: StrictJson) -> Result<(), WireError> {
///     let mut fields = body.fields();
///     let email = fields.text("email");
///     let password = fields.secret("password.value");
///     let log_in = fields.finish(|| Some(LogIn { email: email?, password: password? }))?;
///     // …
/// #   let _ = (client, log_in.email, log_in.password);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct StrictJson(Map<String, Value>);

impl<S: Sync> FromRequest<S> for StrictJson {
    type Rejection = WireError;

    async fn from_request(request: Request, _: &S) -> Result<Self, WireError> {
        let limit = gateway::of(request.extensions())?.body_limit;
        Self::parse(&body::read_json(request, limit).await?)
    }
}

impl StrictJson {
    /// Reads the whole of `bytes` as one object.
    ///
    /// # Errors
    /// [`WireError::Malformed`], with a text that tells the caller what to send instead.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let malformed = |message: String| WireError::Malformed(message.into());
        if bytes.is_empty() {
            return Err(malformed("The body is empty: send a JSON object.".into()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            malformed(format!("The body is not UTF-8 from byte {at} on: send JSON in UTF-8."))
        })?;
        let repeated = Cell::new(false);
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict(&repeated).deserialize(&mut reader);
        match value.and_then(|value| reader.end().map(|()| value)) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(malformed("The body must be one JSON object: {…}.".into())),
            Err(error) => {
                let what = if repeated.get() {
                    "names a member twice: name each once"
                } else {
                    "is not valid JSON: send one JSON object that nests at most 127 deep"
                };
                let (line, column) = (error.line(), error.column());
                Err(malformed(format!("The body, at line {line}, column {column}, {what}.")))
            }
        }
    }

    /// A reader of the object's fields.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::of(&self.0)
    }

    /// The members, for a host that wants no rules.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Reads any value, and sets the flag where an object in it names a member twice. `serde_json`
/// stops at 128 levels, so the recursion here ends there too.
#[derive(Clone, Copy)]
struct Strict<'f>(&'f Cell<bool>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if read.contains_key(&name) {
                self.0.set(true);
                return Err(de::Error::custom("a repeated member"));
            }
            let value = members.next_value_seed(self)?;
            read.insert(name, value);
        }
        Ok(read.into())
    }
}
