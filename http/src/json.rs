//! A JSON object, read strictly, and the fields in it, each by its rule.

use std::{cell::Cell, fmt, str::FromStr};

use axum::extract::{FromRequest, Request};
use mintage::{Error, FieldRule, Identity, IdentityId, IdentityType, InvalidField, SecretText};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{body, gateway, wire::WireError};

/// The body of a request: one JSON object, read strictly (RFC 8259, and RFC 8725 §2.4's lesson).
///
/// Refused with 400 are a body that is empty, not UTF-8, not JSON, nested more than 127 deep,
/// followed by anything, or not an object; and one in which any object names a member twice, names
/// being compared after their escapes are undone. Refused with 413, 415 and 408 are bodies that are
/// longer than the [`BodyLimit`](crate::BodyLimit), not declared as JSON, or too slow.
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
        Fields { object: &self.0, invalid: Vec::new() }
    }

    /// The members, for a host that wants no rules.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Reads fields by their rules, and keeps every one that breaks its rule, so that one answer can
/// name them all.
///
/// A field inside an object is named by its path, `identity.id`. Members that nobody asks for are
/// ignored; `null` is the same as nothing. What is there but of another JSON type breaks the rule
/// of its field:
///
/// | field | rule | refused |
/// |---|---|---|
/// | whatever is required | `REQUIRED` | nothing; for a path: what should be an object is none (reported once, under the object's name) |
/// | a text, a secret | `HAS_TEXT` | no string, empty, blank, or with a NUL in it |
/// | a word | `IN`, with the words | no string, another word |
/// | `identity.id` | `REGEX`, with the pattern | no string, other characters than digits |
/// | | `SIZE`, with both bounds | more than 20 digits |
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    invalid: Vec<InvalidField>,
}

impl<'a> Fields<'a> {
    /// Whether the field is there.
    #[must_use]
    pub fn has(&self, name: &'static str) -> bool {
        self.find(name).is_ok()
    }

    /// A required text.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.required(name)?;
        let text = value.as_str().filter(|text| has_text(text));
        if text.is_none() {
            self.refuse(name, FieldRule::HasText, &[]);
        }
        text
    }

    /// A text that may be left out.
    pub fn optional_text(&mut self, name: &'static str) -> Option<&'a str> {
        if self.has(name) { self.text(name) } else { None }
    }

    /// A required text that nobody may see.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretText> {
        self.text(name).map(SecretText::new)
    }

    /// A secret text that may be left out.
    pub fn optional_secret(&mut self, name: &'static str) -> Option<SecretText> {
        self.optional_text(name).map(SecretText::new)
    }

    /// A required word, one of these.
    pub fn word<T: FromStr>(&mut self, name: &'static str, words: &[&'static str]) -> Option<T> {
        let value = self.required(name)?;
        let word = value.as_str().filter(|word| words.contains(word)).and_then(|w| w.parse().ok());
        if word.is_none() {
            self.refuse(name, FieldRule::In, words);
        }
        word
    }

    /// A required identity: the object `identity` with its `type` and `id`.
    pub fn identity(&mut self) -> Option<Identity> {
        let words: Vec<_> = IdentityType::ALL.iter().map(|kind| kind.as_str()).collect();
        let kind = self.word("identity.type", &words);
        let id = self.identity_id("identity.id");
        Some(Identity::new(kind?, id?))
    }

    fn identity_id(&mut self, name: &'static str) -> Option<IdentityId> {
        let value = self.required(name)?;
        let is_digits =
            |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(digits) = value.as_str().filter(is_digits) else {
            self.refuse(name, FieldRule::Regex, &["^[0-9]+$"]);
            return None;
        };
        let id = IdentityId::new(digits).ok().filter(|_| digits.len() <= 20);
        if id.is_none() {
            self.refuse(name, FieldRule::Size, &["1", "20"]);
        }
        id
    }

    /// Notes that a field breaks a rule, for rules that are none of the above. The same note twice
    /// is one.
    pub fn refuse(&mut self, field: &'static str, rule: FieldRule, params: &[&'static str]) {
        let invalid = InvalidField { field, rule, params: params.to_vec() };
        if !self.invalid.contains(&invalid) {
            self.invalid.push(invalid);
        }
    }

    /// What was read, made of the fields that must be there, if no field broke its rule.
    ///
    /// # Errors
    /// 400, naming every field that did.
    pub fn finish<T>(self, read: impl FnOnce() -> Option<T>) -> Result<T, WireError> {
        match read() {
            Some(read) if self.invalid.is_empty() => Ok(read),
            _ => Err(Error::Invalid(self.invalid).into()),
        }
    }

    fn required(&mut self, name: &'static str) -> Option<&'a Value> {
        self.find(name).map_err(|missing| self.refuse(missing, FieldRule::Required, &[])).ok()
    }

    /// The value at the end of the path, or how far along it there is nothing.
    fn find(&self, path: &'static str) -> Result<&'a Value, &'static str> {
        let mut object = self.object;
        let mut from = 0;
        loop {
            let to = path[from..].find('.').map_or(path.len(), |dot| from + dot);
            let value = object.get(&path[from..to]).filter(|value| !value.is_null());
            match value {
                Some(value) if to == path.len() => return Ok(value),
                Some(Value::Object(inner)) => (object, from) = (inner, to + 1),
                _ => return Err(&path[..to]),
            }
        }
    }
}

fn has_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('\0')
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
