//! A host application that embeds mintage: people, passwords, step-up challenges, payments.
//!
//! `cargo run --release --example sandbox` starts it; it prints what to try.
//!
//! * `main.rs` puts the parts together; read it first.
//! * `keeping.rs` has the stores to choose from.
//! * `people.rs` is the host's own knowledge, and the two seams to it.
//! * `host.rs` has the host's own endpoints; `challenges.rs` its step-up codes.

mod challenges;
mod host;
mod keeping;
mod options;
mod people;

use std::{
    error::Error, io::IsTerminal as _, net::SocketAddr, process::ExitCode, sync::Arc,
    time::Duration,
};

use mintage::{
    Algorithm, Engine, Lifetime, Parts, Policy, SigningKey, SystemClock, TokioTimer, TracingAudit,
};
use mintage_http::{BodyLimit, Gateway, Governor};

use self::{
    challenges::Challenges,
    host::Host,
    keeping::Keeping,
    options::{Kept, Options},
    people::People,
};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the sandbox stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let people = Arc::new(People::new(SigningKey::generate(Algorithm::EdDsa)?)?);
    let engine = start_engine(&options.store, people.clone()).await?;
    let gateway = Gateway {
        engine: engine.clone(),
        limiter: Arc::new(Governor::new(&options.limit, &options.limit)),
        body_limit: BodyLimit::default(),
    };
    let host = Host { gateway: gateway.clone(), people, challenges: Challenges::default() };
    let router = gateway.finish(gateway.routes().merge(host::routes(Arc::new(host))));

    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("{} cannot be listened on: {error}", options.listen))?;
    println!("{}", greeting(listener.local_addr()?, &options.store));

    let every = Lifetime::from_secs(30);
    tokio::spawn(async move { engine.housekeeping(every).await });
    tokio::spawn(async move { gateway.housekeeping(every).await });
    let served = axum::serve(listener, router).with_graceful_shutdown(interrupted());
    tokio::select! {
        served = served => served?,
        // Whoever has not finished by then has hung up, or never will.
        () = async { interrupted().await; tokio::time::sleep(DRAIN).await } => {}
    }
    Ok(())
}

/// How long open requests may take to finish once the sandbox is interrupted.
const DRAIN: Duration = Duration::from_secs(2);

/// Puts the parts together: the one place to look at when you embed the engine.
async fn start_engine(store: &Kept, people: Arc<People>) -> Result<Engine, Box<dyn Error>> {
    let policy = Policy::default();
    let schedule = policy.rotation(Lifetime::from_hours(24), Lifetime::from_hours(24 * 30));
    let Keeping { store, keys } = Keeping::of(store, schedule).await?;
    let engine = Engine::start(Parts {
        store,
        keys,
        identities: people.clone(),
        clients: people,
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer),
        audit: Arc::new(TracingAudit),
        policy,
        tenants: People::realms()?,
    });
    Ok(engine.await?)
}

/// What a newcomer sees: who is there, and four lines from a login to a payment.
fn greeting(address: SocketAddr, store: &Kept) -> String {
    let (url, people) = (format!("http://{address}"), People::table());
    let curl = format!("curl -s {url}");
    let json = "-H 'api-key: sandbox-acme' -H 'content-type: application/json'";
    let token = r#"sed 's/.*"token":"\([^"]*\)".*/\1/'"#;
    let (kept, end) = match store {
        Kept::Memory => ("everything in memory", ", and all of its tokens"),
        Kept::Postgres(_) => ("tokens and keys in PostgreSQL", "; its tokens stay"),
        Kept::Redis(_) => ("tokens in Redis", ", and with its keys all that they have signed"),
    };
    format!(
        r#"mintage sandbox on {url}, {kept}

{people}
From a login to a payment: paste these four lines.

AUTH=$({curl}/login_with_password {json} -d '{{"email":"root@acme.example","password":{{"value":"sandbox"}}}}' | {token})
ACCESS=$({curl}/access_token {json} -H "Authorization: Bearer $AUTH" -d '{{"identity":{{"type":"CORPORATE","id":"5001"}}}}' | {token})
{curl}/stepup/challenges/otp/SMS {json} -H "Authorization: Bearer $ACCESS" -X POST && {curl}/stepup/challenges/otp/SMS/verify {json} -H "Authorization: Bearer $ACCESS" -d '{{"verificationCode":"123456"}}'
{curl}/payments {json} -H "Authorization: Bearer $ACCESS" -d '{{}}'

Every decision is logged to stderr in a line of its own. Ctrl-C ends the sandbox{end}."#
    )
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
