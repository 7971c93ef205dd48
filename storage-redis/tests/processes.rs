//! Four processes with an engine each, at one server: of all who exchange a one-time token,
//! exactly one gets an access token.
//!
//! The processes are this program, run once more for its test [`exchanges_every_token_once`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    collections::HashMap,
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    iter,
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use mintage::{
    Algorithm, AnyStatus, Client, Clock as _, Credential, CredentialId, CredentialType, Engine,
    Error, Exchange, Identity, IdentityType, IssueOneTime, KeyRing, KeySet, Leeway, Lifetime,
    Parts, Policy, Realm, SecretText, SigningKey, Status, SystemClock, TokenStore, TokioTimer,
    TracingAudit, Verifier, VerifierParts,
    test_util::{StaticRegistry, StaticResolver},
};
use mintage_storage_redis::RedisStore;
use tokio::task::JoinSet;

use self::rig::{Server, deadline, naive::NaiveStore, once_more, said, say};

const PROCESSES: usize = 4;
const TOKENS: usize = 400;
/// How many tokens a process exchanges at a time.
const TASKS: usize = 8;
const PEOPLE: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn of_four_processes_exactly_one_exchanges_each_token() {
    let race = race("sound").await;
    assert_eq!(race.won.iter().filter(|access| access.len() != 1).count(), 0);
    assert_eq!(race.refused, (PROCESSES - 1) * TOKENS);
    for access in race.won.iter().flatten() {
        race.verifier.verify::<AnyStatus>(access, SystemClock.now()).unwrap();
    }
    println!("{TOKENS} tokens: {} refused", race.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_that_first_reads_and_then_writes_several_processes_win() {
    let race = race("naive").await;
    let twice = race.won.iter().filter(|access| access.len() > 1).count();
    println!("{twice} of {TOKENS} tokens were exchanged more than once");
    assert!(twice > 0);
}

struct Race {
    /// The access tokens that each one-time token bought.
    won: Vec<Vec<String>>,
    refused: usize,
    verifier: Verifier,
}

/// Issues the tokens and has every process exchange each of them once.
async fn race(kind: &str) -> Race {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(20_000)).await;
    let engine = engine(Arc::new(store)).await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, issue(&engine).await.join("\n")).unwrap();
    let mut processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut process = once_more("exchanges_every_token_once")
                .env("MINTAGE_PROCESS", kind)
                .env("MINTAGE_PROCESS_SERVER", server.url())
                .env("MINTAGE_PROCESS_TOKENS", &tokens)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(process.stdout.take().unwrap());
            (process, output)
        })
        .collect();
    for (_, output) in &mut processes {
        assert_eq!(hear(output).as_deref(), Some("ready"));
    }
    for (process, _) in &mut processes {
        process.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    // Each is heard by a thread of its own: a full pipe would hold it up.
    let heard: Vec<_> = processes
        .into_iter()
        .map(|(process, output)| thread::spawn(|| listen(process, output)))
        .collect();
    let (mut won, mut refused) = (vec![Vec::new(); TOKENS], 0);
    for process in heard {
        for answer in process.join().unwrap() {
            match answer.split_once(' ') {
                Some((token, access)) => {
                    won[token.parse::<usize>().unwrap()].push(access.to_owned());
                }
                None => refused += 1,
            }
        }
    }
    let keys = KeySet::from_jwks(&engine.verifying_keys().await.unwrap().to_jwks()).unwrap();
    let Realm { issuer, audience } = realm();
    let verifier =
        Verifier::new(VerifierParts { keys, issuer, audience, leeway: Leeway::ZERO, tenant: None });
    Race { won, refused, verifier }
}

/// Hears a process to its end.
fn listen(mut process: Child, mut output: BufReader<ChildStdout>) -> Vec<String> {
    let answers: Vec<_> = iter::from_fn(|| hear(&mut output)).collect();
    assert!(process.wait().unwrap().success());
    assert_eq!(answers.len(), TOKENS, "each process presents every token once");
    answers
}

fn hear(output: &mut BufReader<ChildStdout>) -> Option<String> {
    output.lines().find_map(|line| said(&line.unwrap()).map(str::to_owned))
}

async fn issue(engine: &Engine) -> Vec<String> {
    let tokens = (0..TOKENS).map(|token| {
        let engine = engine.clone();
        async move {
            let token = IssueOneTime {
                lifetime: Some(Lifetime::from_mins(5)),
                ..IssueOneTime::new(person(token % PEOPLE), company(), Status::Standard)
            };
            let issued = engine.issue_one_time(&client(), token).await.unwrap();
            issued.token.to_text().expose().to_owned()
        }
    });
    tokens.collect::<JoinSet<_>>().join_all().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is the program that the other tests run four times"]
async fn exchanges_every_token_once() {
    let Ok(kind) = env::var("MINTAGE_PROCESS") else { return };
    let tokens = fs::read_to_string(env::var("MINTAGE_PROCESS_TOKENS").unwrap()).unwrap();
    let tokens: Arc<[String]> = tokens.lines().map(str::to_owned).collect();
    let server = env::var("MINTAGE_PROCESS_SERVER").unwrap();
    let sound = RedisStore::connect(server.parse().unwrap(), deadline(20_000)).await.unwrap();
    let store: Arc<dyn TokenStore> = if kind == "sound" {
        Arc::new(sound)
    } else {
        Arc::new(NaiveStore::beside(sound, &server).await)
    };
    let engine = engine(store).await;
    say("ready");
    io::stdin().lines().next().unwrap().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (engine, tokens, next) = (engine.clone(), Arc::clone(&tokens), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(token) = tokens.get(number) else { return };
                let token = Some(SecretText::new(token));
                let request = Exchange { token, ..Exchange::new(client(), company()) };
                match engine.exchange(request).await {
                    Ok(exchanged) => say(&format!("{number} {}", exchanged.token.expose())),
                    Err(Error::Denied(_)) => say("refused"),
                    Err(error) => panic!("no answer of a race: {error:?}"),
                }
            }
        });
    }
    tasks.join_all().await;
}

/// An engine over that store, as every process makes it.
async fn engine(store: Arc<dyn TokenStore>) -> Engine {
    let people = StaticResolver::default();
    for number in 0..PEOPLE {
        people.link(&client().tenant, &person(number), company());
    }
    // They share a key: PKCS#8 (RFC 8410 §7) around a seed.
    let key = [&PKCS8[..], &[7; 32]].concat();
    let key = SigningKey::from_pkcs8_der(&key, Algorithm::EdDsa).unwrap();
    Engine::start(Parts {
        store,
        keys: Arc::new(KeyRing::fixed(key)),
        identities: Arc::new(people),
        clients: Arc::new(StaticRegistry::default()),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer),
        audit: Arc::new(TracingAudit),
        policy: Policy { deadline: Lifetime::from_secs(30), ..Policy::default() },
        tenants: HashMap::from([(client().tenant, realm())]),
    })
    .await
    .unwrap()
}

const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn client() -> Client {
    Client { id: "acme-web".parse().unwrap(), tenant: "acme".parse().unwrap() }
}

fn person(number: usize) -> Credential {
    Credential::new(CredentialType::Root, CredentialId::new(&number.to_string()).unwrap())
}

fn company() -> Identity {
    Identity::new(IdentityType::Corporate, "5001".parse().unwrap())
}

fn realm() -> Realm {
    Realm { issuer: "https://acme.example".parse().unwrap(), audience: "acme-api".parse().unwrap() }
}
