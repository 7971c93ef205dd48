//! A wire to a server that can be cut, stretched, silenced, and led elsewhere.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the experiment")]
#![allow(clippy::disallowed_methods, reason = "a wire has a clock of its own")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{
        Notify,
        mpsc::{self, UnboundedReceiver, UnboundedSender},
    },
    time::{Instant, sleep_until},
};

/// Forwards whatever comes to its port.
pub(crate) struct Proxy {
    port: u16,
    wire: Arc<Wire>,
}

#[derive(Debug, Default)]
struct Wire {
    server: AtomicU16,
    /// How long a byte is under way, in milliseconds.
    latency: AtomicU64,
    silent: AtomicBool,
    cut_answer: AtomicBool,
    instead: Mutex<Option<Instead>>,
    sever: Notify,
}

/// What the proxy answers itself, in the place of the server, which never hears of the request.
#[derive(Debug, Clone)]
struct Instead {
    answer: Vec<u8>,
    times: u32,
}

impl Proxy {
    /// A wire to that port.
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire { server: server.into(), ..Wire::default() });
        let wires = Arc::clone(&wire);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, Arc::clone(&wires)));
            }
        });
        Self { port, wire }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address for a store.
    pub(crate) fn address(&self) -> mintage_storage_redis::Address {
        format!("redis://127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// The next answer is not delivered: its connection is cut instead.
    pub(crate) fn cut_the_next_answer(&self) {
        self.wire.cut_answer.store(true, Ordering::SeqCst);
    }

    /// Every byte is under way so long, there and back alike.
    pub(crate) fn delay(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap();
        self.wire.latency.store(millis, Ordering::SeqCst);
    }

    /// From now on nothing comes through, either way, and no connection ends for it.
    pub(crate) fn silence(&self) {
        self.wire.silent.store(true, Ordering::SeqCst);
    }

    /// The next so many scripts never reach the server and are answered so.
    pub(crate) fn answer_scripts(&self, answer: &str, times: u32) {
        let answer = answer.as_bytes().to_vec();
        *self.wire.instead.lock().unwrap() = Some(Instead { answer, times });
    }

    /// Leads new connections to another port, and cuts those that there are.
    pub(crate) fn lead_to(&self, server: u16) {
        self.wire.server.store(server, Ordering::SeqCst);
        self.wire.silent.store(false, Ordering::SeqCst);
        self.wire.sever.notify_waiters();
    }
}

async fn forward(client: TcpStream, wire: Arc<Wire>) {
    let severed = wire.sever.notified();
    let server = ("127.0.0.1", wire.server.load(Ordering::SeqCst));
    let Ok(server) = TcpStream::connect(server).await else { return };
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (questions, asked) = mpsc::unbounded_channel();
    let (answers, answered) = mpsc::unbounded_channel();
    // Whichever ends first, ends all.
    tokio::select! {
        () = hear_client(from_client, questions, answers.clone(), &wire) => {}
        () = hear_server(from_server, answers, &wire) => {}
        () = deliver(asked, to_server) => {}
        () = deliver(answered, to_client) => {}
        () = severed => {}
    }
}

type Bytes = (Instant, Vec<u8>);

async fn hear_client(
    mut client: OwnedReadHalf,
    questions: UnboundedSender<Bytes>,
    answers: UnboundedSender<Bytes>,
    wire: &Wire,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut bytes).await {
        let question = &bytes[..length];
        match wire.instead_of(question) {
            Some(answer) => wire.send(&answers, answer),
            None => wire.send(&questions, question.to_vec()),
        }
    }
}

async fn hear_server(mut server: OwnedReadHalf, answers: UnboundedSender<Bytes>, wire: &Wire) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut bytes).await {
        if wire.cut_answer.swap(false, Ordering::SeqCst) {
            return;
        }
        wire.send(&answers, bytes[..length].to_vec());
    }
}

async fn deliver(mut under_way: UnboundedReceiver<Bytes>, mut to: OwnedWriteHalf) {
    while let Some((due, bytes)) = under_way.recv().await {
        sleep_until(due).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

impl Wire {
    fn send(&self, queue: &UnboundedSender<Bytes>, bytes: Vec<u8>) {
        if !self.silent.load(Ordering::SeqCst) {
            let latency = Duration::from_millis(self.latency.load(Ordering::SeqCst));
            drop(queue.send((Instant::now() + latency, bytes)));
        }
    }

    /// One call at a time is one script in one packet.
    fn instead_of(&self, question: &[u8]) -> Option<Vec<u8>> {
        let mut instead = self.instead.lock().unwrap();
        let due = instead.as_mut().filter(|instead| instead.times > 0)?;
        if !question.windows(4).any(|word| word == b"EVAL") {
            return None;
        }
        due.times -= 1;
        Some(due.answer.clone())
    }
}
