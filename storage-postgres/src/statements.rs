//! The statements: the files of `sql/`, put together once for the schema that is used.
//!
//! A file says `mintage.grants`, which becomes the schema's own name; `{part argument}`, which
//! becomes the file of that name in `sql/parts/` with the argument in the place of its `@`, so that
//! a rule that several statements share is written once; `{event name type, …}`, which becomes the
//! rows that are judged; and `{ordered column, …}`, the order of an event's rows.
//!
//! Each comes in two shapes: for many events, whose columns are arrays, and for one alone, whose
//! columns are values. The latter spares the server arrays, a join and a sort: a fifth of a lone
//! call's time.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::settings::Schema;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Every statement of the store, ready to be prepared.
        #[derive(Clone)]
        pub(crate) struct Statements {
            $($(#[$doc])* pub(crate) $name: Statement,)+
        }

        impl Statements {
            pub(crate) fn new(schema: &Schema) -> Self {
                Self {
                    $($name: Statement::compose(
                        include_str!(concat!("../sql/", stringify!($name), ".sql")),
                        schema,
                    ),)+
                }
            }

            /// Each of them by its name.
            fn all(self) -> Vec<(&'static str, Statement)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

statements! {
    issue, issue_with_head, redeem, step_up, open, elevate, touch, read_bearer, read_one_time,
    revoke, revoke_all, epoch, raise_epoch, purge_grants, purge_heads, pages, promise,
}

/// Every statement that the store sends in that schema, by its name: to be reviewed, or explained by
/// the database. One that judges events is there twice, for one and for many.
#[must_use]
pub fn statements(schema: &Schema) -> Vec<(String, String)> {
    let mut statements = Vec::new();
    for (name, Statement { one, many }) in Statements::new(schema).all() {
        statements.push((name.to_owned(), many.as_str().to_owned()));
        if one.as_str() != many.as_str() {
            statements.push((format!("{name}_one"), one.as_str().to_owned()));
        }
    }
    statements
}

/// A statement in both shapes; one that judges no events has but one.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) one: SqlStr,
    pub(crate) many: SqlStr,
}

impl Statement {
    fn compose(text: &str, schema: &Schema) -> Self {
        let shaped = |shape| {
            let sql = filled(text, "", shape).replace("mintage.", &format!("{}.", schema.quoted()));
            // Nothing in it comes from outside but the schema's name, which is quoted.
            AssertSqlSafe(sql).into_sql_str()
        };
        Self { one: shaped(Shape::One), many: shaped(Shape::Many) }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    One,
    Many,
}

const PARTS: &[(&str, &str)] = &[
    ("again", include_str!("../sql/parts/again.sql")),
    ("bearer", include_str!("../sql/parts/bearer.sql")),
    ("grant", include_str!("../sql/parts/grant.sql")),
    ("issue_event", include_str!("../sql/parts/issue_event.sql")),
    ("issue_insert", include_str!("../sql/parts/issue_insert.sql")),
    ("no_grant", include_str!("../sql/parts/no_grant.sql")),
    ("live", include_str!("../sql/parts/live.sql")),
    ("slide", include_str!("../sql/parts/slide.sql")),
    ("stands", include_str!("../sql/parts/stands.sql")),
    ("strength", include_str!("../sql/parts/strength.sql")),
];

/// The text without its comments, its parts filled in.
fn filled(text: &str, argument: &str, shape: Shape) -> String {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join("\n").replace('@', argument);
    let mut filled_in = String::with_capacity(2 * code.len());
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let (name, argument) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
        let part = PARTS.iter().find(|(own, _)| *own == name).map_or("", |(_, part)| part);
        filled_in.push_str(before);
        filled_in.push_str(&match name {
            "event" => events(argument, shape),
            "ordered" => ordered(argument, shape),
            _ => filled(part, argument, shape),
        });
        rest = after;
    }
    filled_in.push_str(rest);
    filled_in
}

/// Many rows are locked and written in one order, so that statements cannot wait for each other in
/// a circle. One has no order, and a sort that has nothing to do costs an eighth of a lone call.
fn ordered(columns: &str, shape: Shape) -> String {
    match shape {
        Shape::One => String::new(),
        Shape::Many => format!("ORDER BY {columns}"),
    }
}

/// The events of these columns, and their numbers, from 1: `nth`.
fn events(columns: &str, shape: Shape) -> String {
    let columns = columns.split(',').filter_map(|column| column.trim().split_once(' '));
    let columns: Vec<_> = (1..).zip(columns).collect();
    let listed = |column: fn(&(usize, (&str, &str))) -> String| {
        columns.iter().map(column).collect::<Vec<_>>().join(", ")
    };
    match shape {
        Shape::One => {
            let values = listed(|(n, (name, kind))| format!("${n}::{kind} AS {name}"));
            format!("(SELECT {values}, 1::int8 AS nth) AS event")
        }
        Shape::Many => {
            let arrays = listed(|(n, (_, kind))| format!("${n}::{kind}[]"));
            let names = listed(|(_, (name, _))| (*name).to_owned());
            format!("unnest({arrays}) WITH ORDINALITY AS event({names}, nth)")
        }
    }
}
