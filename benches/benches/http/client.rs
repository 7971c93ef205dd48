//! The client, the same for each server: one request at a time on each of its connections.
//!
//! It does not sleep while the servers are compared: to wake a sleeping core costs whoever answers it
//! some microseconds, more often where the answers come more slowly.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST},
    http::request,
};
use hyper_util::rt::TokioIo;
use mintage_benches::{Failure, arrivals, figures::Run, world::API_KEY};
use tokio::{
    net::TcpStream,
    task::{JoinSet, yield_now},
    time::Instant,
};

use super::asked::{Pair, Target};

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// Unless it is 200.
    pub(crate) async fn ask(&mut self, target: Target, body: Bytes) -> Result<Bytes, Failure> {
        let request = Request::post(target.path)
            .header("api-key", API_KEY)
            .header(CONTENT_TYPE, target.content_type);
        self.send(request, body).await
    }

    /// Asks for the public keys.
    ///
    /// # Errors
    /// Unless they are there.
    pub(crate) async fn keys(&mut self) -> Result<Bytes, Failure> {
        self.send(Request::get("/.well-known/jwks.json"), Bytes::new()).await
    }

    async fn send(&mut self, request: request::Builder, body: Bytes) -> Result<Bytes, Failure> {
        let request = request.header(HOST, "127.0.0.1").body(Full::new(body))?;
        let path = request.uri().path().to_owned();
        self.0.ready().await?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(format!("{path} is answered with {status}").into())
        }
    }
}

/// Every connection asks again as soon as it is answered, until so much time has passed. Says how
/// long the last answer took to come.
///
/// # Errors
/// Unless every answer is 200. Where there are not bodies enough.
pub(crate) async fn closed_loop(
    connections: &mut Vec<Connection>,
    target: Target,
    bodies: &mut Vec<Bytes>,
    length: Duration,
) -> Result<(Duration, Vec<Pair>), Failure> {
    let left = Arc::new(Mutex::new(mem::take(bodies)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for mut connection in connections.drain(..) {
        let left = Arc::clone(&left);
        let next = move || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        tasks.spawn(async move {
            let mut pairs = Vec::new();
            while start.elapsed() < length {
                let body = next().ok_or("there are not bodies enough")?;
                let answer = connection.ask(target, body.clone()).await?;
                pairs.push((body, answer));
            }
            Ok::<_, Failure>((connection, pairs))
        });
    }
    let mut done = Vec::new();
    while !tasks.is_empty() {
        while let Some(its) = tasks.try_join_next() {
            done.push(its?);
        }
        yield_now().await;
    }
    let elapsed = start.elapsed();
    *bodies = mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
    let mut pairs = Vec::new();
    for done in done {
        let (connection, its) = done?;
        connections.push(connection);
        pairs.extend(its);
    }
    Ok((elapsed, pairs))
}

/// Each is asked when it is due, on whichever connection is free, whether or not those before it
/// were answered. A latency counts from when it was due: to wait for a connection is part of it.
///
/// # Errors
/// Unless every answer is 200.
pub(crate) async fn open_loop(
    connections: &mut Vec<Connection>,
    target: Target,
    bodies: Vec<Bytes>,
    rate: f64,
    seed: u64,
) -> Result<(Run, Vec<Pair>), Failure> {
    let mut wanted = bodies.into_iter().zip(arrivals(rate, seed)).peekable();
    let (mut pairs, mut latencies) = (Vec::new(), Vec::new());
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    // A timer of tokio's could be a millisecond late, so it asks again and again what time it is.
    while wanted.peek().is_some() || !tasks.is_empty() {
        while let Some(answered) = tasks.try_join_next() {
            let (connection, pair, latency) = answered??;
            connections.push(connection);
            pairs.push(pair);
            latencies.push(latency);
        }
        if !connections.is_empty()
            && let Some((body, due)) = wanted.next_if(|(_, due)| *due <= start.elapsed())
            && let Some(mut connection) = connections.pop()
        {
            tasks.spawn(async move {
                let answer = connection.ask(target, body.clone()).await?;
                let latency = start.elapsed().saturating_sub(due);
                Ok::<_, Failure>((connection, (body, answer), latency))
            });
        } else {
            yield_now().await;
        }
    }
    let count = u32::try_from(pairs.len())?;
    let elapsed = start.elapsed();
    Ok((Run::new(count, f64::from(count) / elapsed.as_secs_f64(), latencies), pairs))
}
