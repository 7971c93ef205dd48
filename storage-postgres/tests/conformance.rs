//! The store in PostgreSQL is a store.

use mintage::conformance;
use mintage_storage_postgres::{PostgresStore, Settings, migrate};
use sqlx::{PgPool, postgres::PgConnectOptions};

async fn store() -> PostgresStore {
    let options: PgConnectOptions = std::env::var("MINTAGE_POSTGRES").unwrap().parse().unwrap();
    let settings = Settings::default();
    let pool = PgPool::connect_lazy_with(options.clone());
    migrate(&pool, &settings.schema).await.unwrap();
    PostgresStore::connect(options, settings).await.unwrap()
}

fn boxed(store: PostgresStore) -> Box<PostgresStore> {
    Box::new(store)
}

conformance::suite! { #[tokio::test(flavor = "multi_thread")] boxed(store().await) }
