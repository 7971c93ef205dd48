use std::sync::Arc;
use axum::{body::Body, http::Request};
use mintage::TokioTimer;
use mintage_benches::{Failure, by_turns, Turns, world::{API_KEY, World}};
use mintage_http::{BodyLimit, Gateway, NoLimit};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use crate::serve;

pub(crate) fn run() -> Result<(), Failure> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::with_timer(4_000_000, Arc::new(TokioTimer))?;
    let gateway = Gateway { engine: world.engine.clone(), limiter: Arc::new(NoLimit), body_limit: BodyLimit::default() };
    let ours = hyper_util::service::TowerToHyperService::new(gateway.finish(gateway.routes()));
    let bare = hyper_util::service::TowerToHyperService::new(serve::bare_router()?);
    let request = |body: String| Request::post("/access_token").header("host", "127.0.0.1").header("api-key", API_KEY).header("content-type", "application/json").body(Body::from(body)).unwrap();
    let body = |token: &str| format!(r#"{{"identity":{{"type":"CORPORATE","id":"5001"}},"token":"{token}"}}"#);
    println!("exchange future {}", std::mem::size_of_val(&world.engine.exchange(mintage::Exchange::new(mintage::Client{id: mintage::ClientId::new("a")?, tenant: mintage::Tenant::new("b")?}, mintage::Identity::new(mintage::IdentityType::Corporate, mintage::IdentityId::new("5001")?)))));
    let mut person = 0;
    let tokens: std::cell::RefCell<Vec<String>> = std::cell::RefCell::new((0..1_200_000).map(|_| { person += 1; body(world.issue(person % 1000).unwrap().to_text().expose()) }).collect());
    let constant = tokens.borrow()[0].clone();
    let drive = |service: &hyper_util::service::TowerToHyperService<axum::Router>, body: String| rt.block_on(async {
        let answer = service.call(request(body)).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap().to_bytes()
    });
    let mut a = || { let b = tokens.borrow_mut().pop().unwrap(); drop(drive(&ours, b)); };
    let mut b = || { drop(drive(&bare, constant.clone())); };
    let mut c = || { let b = tokens.borrow_mut().pop().unwrap(); let v: serde_json::Value = serde_json::from_str(&b).unwrap(); let t = v["token"].as_str().unwrap(); drop(world.exchange(mintage::SecretText::new(t)).unwrap()); };
    if std::env::args().nth(2).is_some() { for _ in 0..300_000 { a(); } return Ok(()); }
    let rounds = by_turns(Turns::wanted(), [&mut a, &mut b, &mut c]);
    for (i, n) in ["ours", "bare", "exchange"].iter().enumerate() {
        mintage_benches::figures::figure(n, rounds.iter().map(|r| r[i]));
    }
    mintage_benches::figures::figure("ours-bare", rounds.iter().map(|r| r[0]-r[1]));
    Ok(())
}
