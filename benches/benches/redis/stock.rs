//! Grants in bulk: the very bytes that the store leaves where it issues them, without its help.

use std::ops::Range;

use mintage_storage_redis::RedisStore;
use redis::{Cmd, Script, aio::MultiplexedConnection, cmd, pipe};

use crate::{
    field::{CONTEXT, Field, PERSON},
    rig::Server,
    shared::{
        Failure,
        callers::{Until, ask},
    },
};

/// How many grants a script puts back: none takes long.
const TOGETHER: u32 = 20_000;
/// How many scripts are sent at a time.
const AT_ONCE: usize = 256;

/// What the records of a field look like, and the server that they are kept in.
pub(crate) struct Stock {
    pub(crate) field: Field,
    connection: MultiplexedConnection,
    sha: String,
    head: Sample,
    grant: Sample,
}

impl Stock {
    /// Has the store issue tokens to a few people, and keeps a copy of what it leaves.
    ///
    /// # Errors
    /// Unless these are the same but for the person.
    pub(crate) async fn on(
        server: &Server,
        store: &RedisStore,
        field: Field,
    ) -> Result<Self, Failure> {
        let mut connection = server.connection().await?;
        let script = include_str!("lua/stock.lua");
        let () = cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut connection).await?;
        let mut all = Vec::new();
        for person in [0, 1, 1234] {
            let token = field.issue(person * field.each())?;
            ask(store, CONTEXT, 1, vec![token], Until::Done).await?;
            let keys = [head_key(&field, person)?, grant_key(&field, person * field.each())?];
            let mut samples = Vec::new();
            for key in &keys {
                samples.push(Sample::take(&mut connection, key, person).await?);
            }
            let () = cmd("DEL").arg(&keys).query_async(&mut connection).await?;
            all.push((person, samples));
        }
        let (_, first) = &all[0];
        let [head, grant] = [first[0].clone(), first[1].clone()];
        for (person, samples) in &all {
            if samples[0].bytes != head.of(*person) || samples[1].bytes != grant.of(*person) {
                return Err("the records of two people differ in more than the person".into());
            }
        }
        let sha = Script::new(script).get_hash().to_owned();
        Ok(Self { field, connection, sha, head, grant })
    }

    /// Puts back those of the grants that are not as they were issued, and the heads of their people.
    /// How many had been redeemed?
    pub(crate) async fn restore(&self, numbers: Range<u32>) -> Result<u32, Failure> {
        let mut connection = self.connection.clone();
        let (mut redeemed, mut next) = (0, numbers.start);
        while next < numbers.end {
            let mut scripts = pipe();
            for _ in 0..AT_ONCE {
                if next == numbers.end {
                    break;
                }
                let (person, each) = (next / self.field.each(), self.field.each());
                let count = (each - next % each).min(TOGETHER).min(numbers.end - next);
                scripts.add_command(self.script(person, next, count)?);
                next += count;
            }
            let counts: Vec<u32> = scripts.query_async(&mut connection).await?;
            redeemed += counts.iter().sum::<u32>();
        }
        Ok(redeemed)
    }

    fn script(&self, person: u32, first: u32, count: u32) -> Result<Cmd, Failure> {
        let mut script = cmd("EVALSHA");
        script.arg(&self.sha).arg(1).arg(head_key(&self.field, person)?);
        script.arg(self.head.of(person)).arg(self.grant.of(person));
        script.arg(self.head.life).arg(self.grant.life).arg(first).arg(count);
        Ok(script)
    }

    /// What stands under a key.
    pub(crate) async fn value(&self, key: &str) -> Result<Vec<u8>, Failure> {
        Ok(cmd("GET").arg(key).query_async(&mut self.connection.clone()).await?)
    }

    /// How long it stands there, in milliseconds.
    pub(crate) async fn life(&self, key: &str) -> Result<u64, Failure> {
        Ok(cmd("PTTL").arg(key).query_async(&mut self.connection.clone()).await?)
    }

    /// Waits until the replica has everything.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        let mut connection = self.connection.clone();
        let replicas: u32 = cmd("WAIT").arg(1).arg(10_000).query_async(&mut connection).await?;
        if replicas == 1 { Ok(()) } else { Err("the replica lags behind".into()) }
    }

    /// Drops the heads of the people who have those grants.
    pub(crate) async fn behead(&self, numbers: Range<u32>) -> Result<(), Failure> {
        let mut connection = self.connection.clone();
        let people: Vec<u32> =
            (numbers.start..numbers.end).step_by(self.field.each() as usize).collect();
        for people in people.chunks(AT_ONCE) {
            let mut drop = cmd("DEL");
            for number in people {
                drop.arg(head_key(&self.field, number / self.field.each())?);
            }
            let dropped: usize = drop.query_async(&mut connection).await?;
            if dropped != people.len() {
                return Err(format!("of {} heads there were {dropped}", people.len()).into());
            }
        }
        Ok(())
    }
}

/// The key of a person's head.
pub(crate) fn head_key(field: &Field, person: u32) -> Result<String, Failure> {
    Ok(format!("mt:{{{}}}", field.locator(person)?))
}

/// The key of a grant.
pub(crate) fn grant_key(field: &Field, number: u32) -> Result<String, Failure> {
    Ok(format!("{}{number:012}", head_key(field, number / field.each())?))
}

/// A record that the store has written.
#[derive(Debug, Clone)]
struct Sample {
    bytes: Vec<u8>,
    /// How long the server keeps it, in milliseconds.
    life: u64,
    /// Where the person's number stands in it.
    person: usize,
}

impl Sample {
    async fn take(
        connection: &mut MultiplexedConnection,
        key: &str,
        person: u32,
    ) -> Result<Self, Failure> {
        let bytes: Vec<u8> = cmd("GET").arg(key).query_async(connection).await?;
        let life = cmd("PTTL").arg(key).query_async(connection).await?;
        let digits = format!("{person:0PERSON$}");
        let mut places = bytes.windows(PERSON).enumerate();
        let place = places.find(|(_, window)| *window == digits.as_bytes());
        let (person, _) = place.ok_or_else(|| format!("the person is not in {key}"))?;
        Ok(Self { bytes, life, person })
    }

    /// The record of that person.
    fn of(&self, person: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let digits = format!("{person:0PERSON$}");
        bytes[self.person..self.person + PERSON].copy_from_slice(digits.as_bytes());
        bytes
    }
}
