//! quick
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::panic)]
#[path = "../../storage-postgres/tests/rig/mod.rs"]
mod rig;
use mintage::{grant::*, *};
use mintage_storage_postgres::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(run());
}
fn cpu(server: &rig::Server) -> String {
    let mut out = String::new();
    let (mut u, mut k) = (0u64, 0u64);
    for pid in server.pids() {
        if let Ok(s) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            let s = s.rsplit_once(") ").unwrap().1;
            let f: Vec<&str> = s.split(' ').collect();
            u += f[11].parse::<u64>().unwrap();
            k += f[12].parse::<u64>().unwrap();
        }
    }
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let s = s.rsplit_once(") ").unwrap().1.to_owned();
    let f: Vec<&str> = s.split(' ').collect();
    out += &format!("server u {u} s {k}; client u {} s {}", f[11], f[12]);
    out
}
async fn run() {
    let server =
        rig::Server::start(&["shared_buffers = 512MB", "max_wal_size = 8GB", "min_wal_size=2GB"])
            .await;
    let conns: u32 = std::env::var("CONNS").map_or(4, |c| c.parse().unwrap());
    let settings = Settings {
        connections: conns.try_into().unwrap(),
        deadline: Lifetime::from_secs(20),
        ..Settings::default()
    };
    migrate(&sqlx::PgPool::connect_lazy_with(server.options()), &settings.schema).await.unwrap();
    let store = PostgresStore::connect(server.options(), settings).await.unwrap();
    for callers in [1usize, 64, 256] {
        let n = if callers == 1 { 3000 } else { 200_000 };
        let field = Arc::new(Field::new(callers as u64 * 1000));
        // heads
        for round in 0..2 {
            let t = Instant::now();
            let next = Arc::new(AtomicUsize::new(round * n));
            let mut hs = vec![];
            for _ in 0..callers {
                let (store, field, next) = (store.clone(), field.clone(), next.clone());
                hs.push(tokio::spawn(async move {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= (round + 1) * n {
                            break;
                        }
                        match store.issue(&field.issue(i), &field.cx).await.unwrap() {
                            Verdict::Granted { .. } => {}
                            o => panic!("{o:?}"),
                        }
                    }
                }));
            }
            for h in hs {
                h.await.unwrap();
            }
            println!("{callers} callers: issue {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
        }
        let n = 2 * n;
        println!("{}", cpu(&server));
        let t = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut hs = vec![];
        for _ in 0..callers {
            let (store, field, next) = (store.clone(), field.clone(), next.clone());
            hs.push(tokio::spawn(async move {
                let mut lat = vec![];
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= n {
                        break lat;
                    }
                    let t = Instant::now();
                    match store.redeem(&field.redeem(i), &field.cx).await.unwrap() {
                        Redemption::Redeemed { retried: false, .. } => {}
                        o => panic!("{o:?}"),
                    }
                    lat.push(t.elapsed().as_micros() as u32);
                }
            }));
        }
        let mut lat = vec![];
        for h in hs {
            lat.extend(h.await.unwrap());
        }
        println!("{}", cpu(&server));
        lat.sort_unstable();
        println!(
            "{callers} callers: redeem {:.0}/s p50 {} p99 {}",
            n as f64 / t.elapsed().as_secs_f64(),
            lat[lat.len() / 2],
            lat[lat.len() * 99 / 100]
        );
    }
    let hot: i64 =
        server.value("select n_tup_hot_upd from pg_stat_user_tables where relname='grants'").await;
    let upd: i64 =
        server.value("select n_tup_upd from pg_stat_user_tables where relname='grants'").await;
    println!("hot {hot} of {upd}");
    if std::env::var("HOLD").is_ok() {
        println!("{}", server.url());
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    }
}
struct Field {
    base: u64,
    identity: Identity,
    mint: Mint,
    cx: Context,
}
impl Field {
    fn new(base: u64) -> Self {
        let now = Timestamp::from_millis(1_800_000_000_000);
        Self {
            base,
            identity: Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap()),
            mint: Mint {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
                key: KeyRef { kid: KeyId::from_bytes([1; 32]), algorithm: Algorithm::EdDsa },
                issuer: Issuer::new("https://issuer.example").unwrap(),
                audience: Audience::new("https://api.example").unwrap(),
                scope: None,
            },
            cx: Context {
                now,
                epoch: Epoch(now),
                max_skew: Lifetime::from_secs(5),
                retry_window: Lifetime::from_secs(30),
            },
        }
    }
    fn terms(&self, i: usize) -> Terms {
        // 1000 people
        Terms {
            tenant: Tenant::new("acme").unwrap(),
            client: ClientId::new("web").unwrap(),
            credential: Credential::new(
                CredentialType::Root,
                CredentialId::new(&format!("{}", self.base + (i % 1000) as u64)).unwrap(),
            ),
            auth_time: self.cx.now,
            scope: None,
            claims: None,
        }
    }
    fn id(&self, i: usize) -> GrantId {
        let t = self.terms(i);
        let mut b = [0; 24];
        b[..12].copy_from_slice(Locator::of(&t.tenant, &t.credential).as_bytes());
        let h = SecretDigest::of(&i.to_be_bytes());
        b[12..].copy_from_slice(&h.as_bytes()[..12]);
        GrantId::from_bytes(b)
    }
    fn issue(&self, i: usize) -> Issue {
        Issue {
            id: self.id(i),
            terms: Arc::new(self.terms(i)),
            generation: Generation::from_bytes([1; 16]),
            covers: Lifetime::from_hours(12),
            first: First::OneTime {
                secret: SecretDigest::of(&i.to_be_bytes()),
                identity: Some(self.identity.clone()),
                strength: Strength::Standard,
                lifetime: Lifetime::from_secs(60),
            },
        }
    }
    fn redeem(&self, i: usize) -> Redeem {
        let mut a = [0; 32];
        a[..8].copy_from_slice(&i.to_be_bytes());
        let t = self.terms(i);
        Redeem {
            id: self.id(i),
            secret: SecretDigest::of(&i.to_be_bytes()),
            tenant: t.tenant,
            client: t.client,
            identity: self.identity.clone(),
            resolved: true,
            attempt: Attempt::from_bytes(a),
            mint: self.mint.clone(),
            on_replay: OnReplay::Revoke,
        }
    }
}
