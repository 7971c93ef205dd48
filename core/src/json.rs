//! Strict reading of JSON objects: nothing repeated, nothing trailing, nothing copied.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A JSON object whose members are each named once, in itself and in everything inside it.
///
/// It borrows from the text and leaves the members' values as text until they are read. Names are
/// compared after their escapes are undone, so that `"s\u0075b"` is a second `"sub"`. How deep it
/// may nest is bounded by `serde_json` (128).
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// Why a text is no [`Object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAnObject {
    /// It is no JSON, something follows it, or it is another kind of value.
    Malformed,
    /// A member is named twice.
    Repeated,
}

/// A member is there, but it is not of the type that it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongType;

impl<'a> Object<'a> {
    /// Reads the whole text as one object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        let repeated = Cell::new(false);
        let mut reader = serde_json::Deserializer::from_str(text);
        let object = ObjectSeed(&repeated).deserialize(&mut reader);
        match object.and_then(|object| reader.end().map(|()| object)) {
            Ok(object) => Ok(object),
            Err(_) if repeated.get() => Err(NotAnObject::Repeated),
            Err(_) => Err(NotAnObject::Malformed),
        }
    }

    /// Whether it has a member of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether it has no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member of this name, if there is one.
    pub(crate) fn read<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, WrongType> {
        let Some(value) = self.members.get(name) else {
            return Ok(None);
        };
        serde_json::from_str(value.get()).map(Some).map_err(|_| WrongType)
    }

    /// The text of the member of this name, if there is one.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, WrongType> {
        Ok(self.read::<Text<'a>>(name)?.map(|text| text.0))
    }

    /// Adds a member; `false`, and nothing changes, when there is one of that name.
    pub(crate) fn insert(&mut self, name: Cow<'a, str>, value: &'a RawValue) -> bool {
        if self.members.contains_key(&name) {
            return false;
        }
        self.members.insert(name, value);
        true
    }

    /// The object without white space, its members sorted by name. Numbers and strings inside stay
    /// as they were written, so that none loses a digit.
    pub(crate) fn to_compact(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in &self.members {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&serde_json::Value::from(name.as_ref()).to_string());
            out.push(':');
            push_compact(&mut out, value.get());
        }
        out.push('}');
        out
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ObjectSeed(&Cell::new(false)).deserialize(deserializer)
    }
}

/// A JSON string, borrowed where it holds no escape.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Appends `json` without the white space between its tokens.
fn push_compact(out: &mut String, json: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
}

/// Reads an [`Object`]; sets the flag where a name is repeated.
struct ObjectSeed<'f>(&'f Cell<bool>);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            let mut inside = serde_json::Deserializer::from_str(value.get());
            Inside(self.0).deserialize(&mut inside).map_err(de::Error::custom)?;
            if !object.insert(name, value) {
                self.0.set(true);
                return Err(de::Error::custom("a repeated member"));
            }
        }
        Ok(object)
    }
}

/// Reads any value only to see that no object in it names a member twice.
#[derive(Clone, Copy)]
struct Inside<'f>(&'f Cell<bool>);

impl<'de> DeserializeSeed<'de> for Inside<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if !names.insert(name) {
                self.0.set(true);
                return Err(de::Error::custom("a repeated member"));
            }
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth_and_however_it_is_spelt() {
        for twice in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"b":{"a":1,"\u0061":2}}]]}"#,
        ] {
            assert_eq!(Object::parse(twice).unwrap_err(), NotAnObject::Repeated, "{twice}");
            assert!(serde_json::from_str::<Object<'_>>(twice).is_err(), "{twice}");
        }
        assert!(Object::parse(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for bad in ["", "[]", "1", "null", "{} x", "{}{}", "{\"a\":1,}", r#"{"a":"\ud800"}"#, &deep]
        {
            assert_eq!(Object::parse(bad).unwrap_err(), NotAnObject::Malformed);
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(Object::parse(&deep).is_err());
    }

    #[test]
    fn members_are_read_by_name_and_type() {
        let object = Object::parse(r#"{"\u0061":"x\n","b":1,"n":null}"#).unwrap();
        assert!(object.has("a") && !object.has("c") && !object.is_empty());
        assert_eq!(object.text("a").unwrap().unwrap(), "x\n");
        assert_eq!(object.text("c"), Ok(None));
        assert_eq!(object.text("b"), Err(WrongType));
        assert_eq!(object.text("n"), Err(WrongType));
        assert_eq!(object.read::<u64>("b"), Ok(Some(1)));
    }

    #[test]
    fn compact_loses_white_space_and_nothing_else() {
        let spaced =
            "{ \"b\" : [ 1.10 , \" \\\" [ \" ] ,\n\"a\":{ \"c\" : 12345678901234567890123 } }";
        let compact = r#"{"a":{"c":12345678901234567890123},"b":[1.10," \" [ "]}"#;
        assert_eq!(Object::parse(spaced).unwrap().to_compact(), compact);
        assert_eq!(Object::parse(compact).unwrap().to_compact(), compact);
    }
}
