//! The servers that are ours to write. Each says on which port it listens, and ends with its parent.

use std::{io, num::NonZeroUsize, process, sync::Arc, thread};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use mintage::{Clock as _, MemoryStore, SystemClock, TokioTimer};
use mintage_benches::{Failure, tokens::SEED, world::World};
use mintage_http::{BodyLimit, Gateway, NoLimit};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// How many records the store has room for: a grant for each request of a run, and the person's.
const RECORDS: NonZeroUsize = NonZeroUsize::new(4_000_000).unwrap();

/// The endpoint, without logging, limits and look-ups, and beside it, where nothing seals the answers,
/// `/issue`.
pub(crate) async fn ours() -> Result<(), Failure> {
    let store = Arc::new(MemoryStore::new(RECORDS, SystemClock.now()));
    let world = Arc::new(World::on(store, Arc::new(TokioTimer)).await?);
    let gateway = Gateway {
        engine: world.engine.clone(),
        limiter: Arc::new(NoLimit),
        body_limit: BodyLimit::default(),
    };
    let issuing = Router::new().route("/issue", post(issue)).with_state(world);
    listen(gateway.finish(gateway.routes()).merge(issuing)).await
}

/// As many one-time tokens as the body says, each on a line of its own.
async fn issue(State(world): State<Arc<World>>, count: String) -> Result<String, StatusCode> {
    let count: u32 = count.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut tokens = String::new();
    for person in 0..count {
        let token = world.issue(person).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        tokens.push_str(token.to_text().expose());
        tokens.push('\n');
    }
    Ok(tokens)
}

/// Parses the same body, makes one signature over as many bytes, and answers with a token as long.
pub(crate) async fn bare() -> Result<(), Failure> {
    let signed = signed(&World::new(10)?)?;
    let bare = Arc::new(Bare { key: SigningKey::from_bytes(&SEED), signed });
    listen(Router::new().route("/access_token", post(sign)).with_state(bare)).await
}

/// What is signed of an access token: all but its signature.
fn signed(world: &World) -> Result<String, Failure> {
    let exchanged = world.exchange(world.issue(0)?.to_text())?;
    let (signed, _) = exchanged.token.expose().rsplit_once('.').ok_or("no token")?;
    Ok(signed.to_owned())
}

struct Bare {
    key: SigningKey,
    signed: String,
}

async fn sign(State(bare): State<Arc<Bare>>, body: Bytes) -> Result<Response, StatusCode> {
    let asked: Asked = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    if asked.token.is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let signature = bare.key.sign(bare.signed.as_bytes());
    let token = format!("{}.{}", bare.signed, BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let answer = serde_json::to_vec(&Signed { token, identity: asked.identity });
    let answer = answer.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    identity: Identity<'a>,
    token: &'a str,
}

#[derive(Serialize)]
struct Signed<'a> {
    token: String,
    identity: Identity<'a>,
}

#[derive(Deserialize, Serialize)]
struct Identity<'a> {
    r#type: &'a str,
    id: &'a str,
}

async fn listen(router: Router) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(|| {
        // The parent holds the other end.
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        process::exit(0);
    });
    Ok(axum::serve(listener, router).await?)
}
