//! The fields of a JSON object, each by its rule.

use std::str::FromStr;

use mintage::{Error, FieldRule, Identity, IdentityId, IdentityType, InvalidField, SecretText};
use serde_json::{Map, Value};

use crate::wire::WireError;

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
/// | a text | `HAS_TEXT` | no string, empty, blank, or with a NUL in it |
/// | a secret | `HAS_TEXT` | no string, empty, or with a NUL in it |
/// | a word | `IN`, with the words | no string, another word |
/// | `identity.id` | `REGEX`, with the pattern | no string, other characters than digits |
/// | | `SIZE`, with both bounds | more than 20 digits |
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    invalid: Vec<InvalidField>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(object: &'a Map<String, Value>) -> Self {
        Self { object, invalid: Vec::new() }
    }

    /// Whether the field is there.
    #[must_use]
    pub fn has(&self, name: &'static str) -> bool {
        self.find(name).is_ok()
    }

    /// A required text.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.text_where(name, |text| !text.trim().is_empty())
    }

    /// A text that may be left out.
    pub fn optional_text(&mut self, name: &'static str) -> Option<&'a str> {
        if self.has(name) { self.text(name) } else { None }
    }

    /// A required text that nobody may see. Whether a text that is there is any good is for
    /// others to say, so a blank one will do.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretText> {
        self.text_where(name, |text| !text.is_empty()).map(SecretText::new)
    }

    /// A secret text that may be left out.
    pub fn optional_secret(&mut self, name: &'static str) -> Option<SecretText> {
        if self.has(name) { self.secret(name) } else { None }
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
            _ => {
                let error = Error::Invalid(self.invalid);
                tracing::warn!(target: "mintage_http", reason = %error, "refused");
                Err(error.into())
            }
        }
    }

    fn text_where(&mut self, name: &'static str, is: impl Fn(&str) -> bool) -> Option<&'a str> {
        let value = self.required(name)?;
        let text = value.as_str().filter(|text| is(text) && !text.contains('\0'));
        if text.is_none() {
            self.refuse(name, FieldRule::HasText, &[]);
        }
        text
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
