//! How long the server of ours takes to start.

use std::time::Duration;

use mintage_benches::{
    Failure,
    figures::{Goal, target},
};
use tokio::time::Instant;

use super::{
    Sizes,
    client::Connection,
    server::{Role, Server},
};

/// From before its process is made to its first 200, which is of its public keys.
pub(crate) async fn measure(sizes: Sizes) -> Result<(), Failure> {
    let mut spent: Vec<Duration> = Vec::new();
    for _ in 0..sizes.rounds {
        let start = Instant::now();
        let server = Server::start(Role::Ours)?;
        Connection::open(server.port).await?.keys().await?;
        spent.push(start.elapsed());
    }
    target("start_ms", Goal::AtMost(50.0), spent.iter().map(|spent| spent.as_secs_f64() * 1e3))
}
