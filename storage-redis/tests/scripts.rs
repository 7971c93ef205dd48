//! A script touches no key but those that it was given: a cluster relies on it, and does not check it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod rig;

use mintage::{TokenStore as _, conformance, grant::Strength};
use mintage_storage_redis::{Guard, RedisStore};

use self::rig::{Server, deadline, field::Field};

/// Goes before every script, and refuses a command on a key that was not passed, and a command that
/// it does not know the keys of.
const WATCH: Guard = Guard(
    "local redis = (function()
       local real, passed = redis, {}
       for _, key in ipairs(KEYS) do passed[key] = true end
       local watched = {}
       for _, name in ipairs({'call', 'pcall'}) do
         watched[name] = function(command, key, ...)
           if command ~= 'GET' and command ~= 'SET' then error('unwatched: ' .. command) end
           if not passed[key] then error('undeclared: ' .. tostring(key)) end
           return real[name](command, key, ...)
         end
       end
       return watched
     end)()
     ",
);

/// All cases share the server that the script has started; alone, each starts its own.
struct Watched {
    store: RedisStore,
    _server: Option<Server>,
}

impl std::ops::Deref for Watched {
    type Target = RedisStore;

    fn deref(&self) -> &RedisStore {
        &self.store
    }
}

async fn watched() -> Watched {
    let (address, server) = rig::shared().await;
    let store = RedisStore::connect_guarded(address, deadline(10_000), WATCH).await.unwrap();
    Watched { store, _server: server }
}

conformance::suite! { #[tokio::test(flavor = "multi_thread")] watched().await }

/// The same scripts after a line that asks for a key of nobody's.
const MEDDLER: Guard = Guard("redis.call('GET', 'nobody')\n");

/// The control: both guards together, as one text.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_touches_another_key_is_found_out() {
    let server = Server::start(&[]).await;
    let field = Field::new("meddler");
    let issue = field.issue(0, Strength::Standard);
    let meddler = RedisStore::connect_guarded(server.address(), deadline(10_000), MEDDLER).await;
    drop(meddler.unwrap().issue(&issue, &field.cx).await.unwrap());

    let both: &'static str = format!("{}{}", WATCH.0, MEDDLER.0).leak();
    let caught = RedisStore::connect_guarded(server.address(), deadline(10_000), Guard(both)).await;
    let error = caught.unwrap().issue(&issue, &field.cx).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("undeclared: nobody"), "{cause}");
}

/// Text that is looked for in a script is no proof, but no command may be there that searches.
#[test]
fn no_script_names_a_command_that_searches() {
    for (name, script) in mintage_storage_redis::scripts() {
        for command in ["KEYS'", "SCAN", "cjson", "TIME'", "RANDOMKEY"] {
            assert!(!script.contains(command), "{name}: {command}");
        }
    }
}
