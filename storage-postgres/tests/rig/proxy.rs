//! A wire between the store and its server that can be cut.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the experiment")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Forwards whatever comes to its port.
pub(crate) struct Proxy {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicBool::new(false));
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server, Arc::clone(&cuts)));
            }
        });
        Self { port, cut }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next answer is not delivered: its connection is cut instead.
    pub(crate) fn cut_the_next_answer(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

async fn forward(client: TcpStream, server: u16, cut: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move {
        drop(tokio::io::copy(&mut from_client, &mut to_server).await);
    });
    let mut answer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_server.read(&mut answer).await {
        if cut.swap(false, Ordering::SeqCst)
            || to_client.write_all(&answer[..length]).await.is_err()
        {
            break;
        }
    }
    asking.abort();
}
