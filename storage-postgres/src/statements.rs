//! The statements: the files of `sql/`, put together once for the schema that is used.
//!
//! A file says `mintage.grants`, which becomes the schema's own name, and `{part argument}`, which
//! becomes the file of that name in `sql/parts/` with the argument in the place of its `@`. So each
//! rule that several statements share is written once.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::settings::Schema;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Every statement of the store, ready to be prepared.
        #[derive(Clone)]
        pub(crate) struct Statements {
            $($(#[$doc])* pub(crate) $name: SqlStr,)+
        }

        impl Statements {
            pub(crate) fn new(schema: &Schema) -> Self {
                Self {
                    $($name: compose(
                        include_str!(concat!("../sql/", stringify!($name), ".sql")),
                        schema,
                    ),)+
                }
            }

            /// Each of them by its name.
            fn all(&self) -> Vec<(&'static str, SqlStr)> {
                vec![$((stringify!($name), self.$name.clone()),)+]
            }
        }
    };
}

statements! {
    issue, issue_with_head, redeem, step_up, open, elevate, touch, read_bearer, read_one_time,
    revoke, revoke_all, epoch, raise_epoch, purge_grants, purge_heads, pages, promise,
}

/// Every statement that the store sends in that schema, by its name: to be reviewed, or explained by
/// the database.
#[must_use]
pub fn statements(schema: &Schema) -> Vec<(&'static str, String)> {
    let all = Statements::new(schema).all();
    all.into_iter().map(|(name, sql)| (name, sql.as_str().to_owned())).collect()
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
    ("strength", include_str!("../sql/parts/strength.sql")),
];

fn compose(text: &str, schema: &Schema) -> SqlStr {
    let sql = filled(text, "").replace("mintage.", &format!("{}.", schema.quoted()));
    // Nothing in it comes from outside but the schema's name, which is quoted.
    AssertSqlSafe(sql).into_sql_str()
}

/// The text without its comments, its parts filled in.
fn filled(text: &str, argument: &str) -> String {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join("\n").replace('@', argument);
    let mut filled_in = String::with_capacity(2 * code.len());
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let (name, argument) = name.split_once(' ').unwrap_or((name, ""));
        let part = PARTS.iter().find(|(own, _)| *own == name).map_or("", |(_, part)| part);
        filled_in.push_str(before);
        filled_in.push_str(&filled(part, argument));
        rest = after;
    }
    filled_in.push_str(rest);
    filled_in
}
