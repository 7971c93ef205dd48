//! From a login to a stepped-up token and its end: `cargo run --release --example quickstart`
use std::{collections::HashMap, error::Error, num::NonZeroUsize, sync::Arc};

use mintage::{
    Algorithm, AnyStatus, Client, Clock as _, Credential, CredentialType, Engine, Exchange,
    Identity, IdentityType, IssueOneTime, KeyRing, KeySet, Leeway, LogIn, MemoryStore, Parts,
    Policy, Realm, SigningKey, Status, SteppedUp, SystemClock, TokioTimer, TracingAudit, Verifier,
    VerifierParts,
    test_util::{StaticRegistry, StaticResolver},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client { id: "acme-web".parse()?, tenant: "acme".parse()? };
    let person = Credential::new(CredentialType::Root, "1001".parse()?);
    let company = Identity::new(IdentityType::Corporate, "5001".parse()?);
    let people = StaticResolver::default();
    people.link(&client.tenant, &person, company.clone());
    let realm = Realm { issuer: "https://acme.example".parse()?, audience: "acme-api".parse()? };
    let engine = Engine::start(Parts {
        store: Arc::new(MemoryStore::new(NonZeroUsize::MAX, SystemClock.now())),
        keys: Arc::new(KeyRing::fixed(SigningKey::generate(Algorithm::EdDsa)?)),
        identities: Arc::new(people),
        clients: Arc::new(StaticRegistry::default()),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer),
        audit: Arc::new(TracingAudit),
        policy: Policy::default(),
        tenants: HashMap::from([(client.tenant.clone(), realm.clone())]),
    })
    .await?;

    let login = engine.log_in(&client, LogIn::new(person.clone(), Status::Standard)).await?;
    println!("login      an auth token until {}", login.expires_at);

    let request = || Exchange::new(client.clone(), company.clone());
    let access = engine.exchange(Exchange { bearer: Some(login.token), ..request() }).await?;
    println!("exchange   {} for {}", access.status, access.identity.id);

    let proof = IssueOneTime::new(person, company.clone(), Status::SteppedUp);
    let proof = engine.issue_one_time(&client, proof).await?.token.to_text();
    println!("one-time   {}…", &proof.expose()[..12]);

    let (bearer, token) = (Some(access.token), Some(proof));
    let access = engine.exchange(Exchange { bearer, token, ..request() }).await?;
    println!("step-up    {}", access.status);

    let keys = KeySet::from_jwks(&engine.verifying_keys().await?.to_jwks())?;
    let Realm { issuer, audience } = realm;
    let verifier =
        Verifier::new(VerifierParts { keys, issuer, audience, leeway: Leeway::ZERO, tenant: None });
    verifier.verify::<SteppedUp>(access.token.expose(), SystemClock.now())?;
    println!("verify     signature and claims of grant {}", access.grant);

    engine.revoke(&client, &access.token).await?;
    let refused = engine.authenticate::<AnyStatus>(&client, &access.token).await;
    println!("revoke     {}", refused.err().map_or_else(String::new, |why| why.to_string()));
    Ok(())
}
