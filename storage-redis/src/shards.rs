//! The primaries, and which of them has a credential's records.
//!
//! One server is a cluster of one node that has every slot. The routing is our own, and not that of
//! the redis crate's cluster connection: that sends again by itself what it had sent on a connection
//! that was lost, and our own first try would then be answered like a thief's.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mintage::{Change, StoreError, Timestamp, grant::Context};
use redis::{Cmd, Value, cmd};
use tokio::{
    sync::Mutex as AsyncMutex,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    address::{Address, Host, Place},
    fault::{self, Fault, Then},
    keys::{Keys, SLOTS, slot},
    lanes::{Answer, Lanes, Limits, Stage, Waiting, lock},
    line::{Line, Target, Trunk},
    operations::{Operation, Reply},
    record::Unreadable,
    scripts::{Script, Scripts},
    settings::Settings,
};

/// How long a call waits, at first, before it is sent again.
const PAUSE: Duration = Duration::from_millis(5);

/// How often a call follows a redirection at once.
const REDIRECTIONS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Shards {
    trunk: Trunk,
    limits: Limits,
    pub(crate) scripts: Scripts,
    pub(crate) keys: Keys,
    place: Place,
    /// Whom sentinels named last.
    named: Mutex<Option<Host>>,
    map: RwLock<Arc<Map>>,
    /// One changes the map at a time.
    looking: AsyncMutex<()>,
    under_way: AtomicUsize,
    waiting: usize,
    closed: AtomicBool,
    workers: Mutex<JoinSet<()>>,
}

/// Who has which slot.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) nodes: Vec<Node>,
    /// The number of the node that has each; empty where one node has them all.
    slots: Vec<u16>,
}

/// A primary.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) lanes: Arc<Lanes>,
}

impl Shards {
    pub(crate) async fn connect(
        address: &Address,
        settings: &Settings,
        scripts: Scripts,
    ) -> Result<Self, Fault> {
        let limits = Limits::new(settings);
        let shards = Self {
            trunk: Trunk::new(address, limits.deadline)?,
            limits,
            scripts,
            keys: Keys::new(settings.prefix.clone()),
            place: address.place.clone(),
            named: Mutex::default(),
            map: RwLock::default(),
            looking: AsyncMutex::new(()),
            under_way: AtomicUsize::new(0),
            waiting: settings.waiting.get() as usize,
            closed: AtomicBool::new(false),
            workers: Mutex::default(),
        };
        match &address.place {
            Place::Server(host) => shards.alone(host.clone(), &Target::Server(host.clone())),
            Place::Sentinels(hosts, _) => {
                if let Some(target) = sentinels(&address.place) {
                    shards.alone(hosts[0].clone(), &target);
                }
            }
            Place::Cluster(_) => {
                shards.look(&shards.map(), None).await?;
            }
        }
        Ok(shards)
    }

    fn alone(&self, host: Host, target: &Target) {
        let nodes = vec![self.node(host, target)];
        self.set_map(Map { nodes, slots: Vec::new() });
    }

    /// A node, and workers for it.
    fn node(&self, host: Host, target: &Target) -> Node {
        let lanes = Arc::new(Lanes::new(self.limits));
        let mut workers = lock(&self.workers);
        for _ in 0..self.limits.connections() {
            workers.spawn(employ(Arc::clone(&lanes), self.trunk.clone(), target.clone()));
        }
        Node { host, lanes }
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_map(&self, map: Map) {
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
    }

    /// Takes no more calls; what waits is still carried out.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for node in &self.map().nodes {
            node.lanes.close();
        }
    }

    /// Waits until what was under way is carried out, for so long.
    pub(crate) async fn drain(&self, patience: Duration) {
        let mut workers = std::mem::take(&mut *lock(&self.workers));
        let all = async { while workers.join_next().await.is_some() {} };
        drop(timeout(patience, all).await);
        workers.abort_all();
    }

    /// Leaves the workers to finish what was sent.
    pub(crate) fn detach(&mut self) {
        self.workers.get_mut().unwrap_or_else(PoisonError::into_inner).detach_all();
    }

    // -----------------------------------------------------------------------------------------
    // Calls
    // -----------------------------------------------------------------------------------------

    /// Carries the operation out, within the deadline.
    pub(crate) async fn call<O: Operation>(
        &self,
        operation: &O,
        cx: &Context,
        purged: Timestamp,
    ) -> Result<O::Answer, StoreError> {
        let shard = self.keys.shard(operation.locator());
        let keys = operation.keys(&shard);
        let event = operation.event(cx, purged);
        let ran = self.run(O::script(&self.scripts), &keys, &event, O::WRITES).await?;
        Ok(operation.conclude(cx, Reply::of(&ran.acknowledged()?)?)?)
    }

    /// Runs a script, within the deadline.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        event: &[u8],
        writes: bool,
    ) -> Result<Ran, StoreError> {
        let _admitted = self.admit()?;
        let stage = Arc::new(Stage::default());
        let _waiting = Waiting(Arc::clone(&stage));
        let until = Instant::now() + self.limits.deadline;
        let carried = self.carry(script, keys, event, writes, &stage, until);
        match timeout_at(until, carried).await {
            Ok(carried) => carried,
            Err(_) => Err(stage.give_up("no answer within the deadline")),
        }
    }

    /// Sends the script until it has been run: what has not been carried out may be sent again.
    async fn carry(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        event: &[u8],
        writes: bool,
        stage: &Arc<Stage>,
        until: Instant,
    ) -> Result<Ran, StoreError> {
        let slot = keys.first().map_or(0, |key| self.slot(key));
        let (mut loaded, mut redirections, mut pause) = (None, 0, PAUSE);
        let mut redirected: Option<(Node, bool)> = None;
        loop {
            let map = self.map();
            let (node, asking) = match redirected.take() {
                Some(redirected) => redirected,
                None => (map.node(slot)?.clone(), false),
            };
            let command = command(script, keys, event);
            let answer = node.lanes.send(command, asking, writes, stage).await;
            let fault = match Ran::of(answer, writes)? {
                Ok(ran) => return Ok(ran),
                Err(fault) => fault,
            };
            if fault.change == Change::MayHaveHappened || fault.then == Then::Tell {
                return Err(fault.into());
            }
            stage.rewind();
            let elsewhere = !matches!(self.place, Place::Server(_));
            match &fault.then {
                Then::Load => {
                    self.load(&node, script).await?;
                    if loaded.replace(node.host.clone()).as_ref() != Some(&node.host) {
                        continue;
                    }
                }
                Then::Moved(to) => {
                    if let Some(to) = fault::told(to, &node.host) {
                        self.look(&map, Some(&to)).await.ok();
                        redirected = self.known(&to).map(|node| (node, false));
                        redirections += 1;
                    }
                }
                Then::Ask(to) => {
                    if let Some(to) = fault::told(to, &node.host) {
                        redirected = Some((self.known_or_new(&to).await, true));
                        redirections += 1;
                    }
                }
                Then::Elsewhere if elsewhere => {
                    self.look(&map, None).await.ok();
                }
                // Nobody else can take the place of the one server, but it may be given back its
                // part, or come back.
                Then::Elsewhere if fault.what == crate::fault::UNREACHABLE => {
                    return Err(fault.into());
                }
                _ => {}
            }
            // Nodes that send it to each other are given time to agree.
            if redirected.is_some() && redirections <= REDIRECTIONS {
                continue;
            }
            self.open()?;
            // What is sent at the last moment may go unanswered, and is then not known to be undone.
            if Instant::now() + 2 * pause >= until {
                return Err(fault.into());
            }
            sleep(pause).await;
            pause = (2 * pause).min(Duration::from_millis(50));
        }
    }

    /// Gives one primary a script.
    pub(crate) async fn load(&self, node: &Node, script: &Script) -> Result<(), Fault> {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(&script.text);
        self.ask(node, load).await.map(|_| ())
    }

    /// Asks one primary, which changes nothing.
    pub(crate) async fn ask(&self, node: &Node, question: Cmd) -> Result<Value, Fault> {
        node.ask(question, self.limits.deadline).await
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::new(Change::Unchanged, "the store is closed"));
        }
        Ok(())
    }

    fn admit(&self) -> Result<Admitted<'_>, StoreError> {
        self.open()?;
        let admitted = Admitted(&self.under_way);
        if self.under_way.fetch_add(1, Ordering::AcqRel) >= self.waiting {
            return Err(StoreError::new(Change::Unchanged, "too many calls wait for the server"));
        }
        Ok(admitted)
    }

    // -----------------------------------------------------------------------------------------
    // Who is a primary
    // -----------------------------------------------------------------------------------------

    /// How long one question of the fence may take: a node that hangs does not keep the epoch from
    /// the others.
    pub(crate) fn patience(&self) -> Duration {
        self.limits.deadline / 4
    }

    /// Whether sentinels name another primary than when they were last asked here; the first time they
    /// may, since the connections were made. A connection to the former one may live on, and be
    /// served, for as long as they leave it what it was: some ten seconds.
    pub(crate) async fn is_elsewhere(&self) -> bool {
        let Some(target) = sentinels(&self.place) else { return false };
        // Time for two of them, should one hang.
        let found = self.trunk.find(&target, self.patience() / 2);
        let Ok(Ok(host)) = timeout(self.patience(), found).await else { return false };
        let mut named = lock(&self.named);
        let former = named.replace(host);
        former != *named
    }

    /// Leaves the connections that there are: whoever is the primary now is looked for.
    pub(crate) async fn reconnect(&self, map: &Arc<Map>) {
        for node in &map.nodes {
            node.lanes.reconnect();
        }
        self.look(map, None).await.ok();
    }

    // -----------------------------------------------------------------------------------------
    // The cluster
    // -----------------------------------------------------------------------------------------

    fn slot(&self, key: &[u8]) -> usize {
        match self.place {
            Place::Cluster(_) => slot(key),
            Place::Server(_) | Place::Sentinels(..) => 0,
        }
    }

    fn known(&self, host: &Host) -> Option<Node> {
        self.map().nodes.iter().find(|node| node.host == *host).cloned()
    }

    /// A node that is being given its first slot is in nobody's map yet.
    async fn known_or_new(&self, host: &Host) -> Node {
        let _alone = self.looking.lock().await;
        self.known(host).unwrap_or_else(|| {
            let node = self.node(host.clone(), &Target::Server(host.clone()));
            let map = self.map();
            let nodes = map.nodes.iter().cloned().chain([node.clone()]).collect();
            self.set_map(Map { nodes, slots: map.slots.clone() });
            node
        })
    }

    /// Asks the nodes who has which slot, unless somebody has since that map was drawn.
    async fn look(&self, seen: &Arc<Map>, first: Option<&Host>) -> Result<(), Fault> {
        let Place::Cluster(seeds) = &self.place else { return Ok(()) };
        let _alone = self.looking.lock().await;
        let map = self.map();
        if !Arc::ptr_eq(seen, &map) {
            return Ok(());
        }
        let known = map.nodes.iter().map(|node| &node.host);
        let mut last = Fault::unreachable("no node answers");
        for host in first.into_iter().chain(known).chain(seeds) {
            let asked = async {
                let mut question = cmd("CLUSTER");
                question.arg("SLOTS");
                self.trunk.connect(host).await?.ask(question).await
            };
            match timeout(self.limits.deadline / 4, asked).await {
                Ok(Ok(slots)) => {
                    if let Some(ranges) = ranges(&slots, host) {
                        self.draw(&map, &ranges);
                        return Ok(());
                    }
                    last = Fault::unchanged("the cluster is down", Then::Again);
                }
                Ok(Err(fault)) => last = fault,
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// Draws the map that a node tells, and keeps the workers of whoever is still a primary.
    fn draw(&self, old: &Map, told: &[Range]) {
        let mut map = Map { nodes: Vec::new(), slots: vec![u16::MAX; SLOTS] };
        let mut numbers = HashMap::new();
        for Range { slots, host } in told {
            let number = *numbers.entry(host).or_insert_with(|| {
                let known = old.nodes.iter().find(|node| node.host == *host).cloned();
                let node =
                    known.unwrap_or_else(|| self.node(host.clone(), &Target::Server(host.clone())));
                map.nodes.push(node);
                map.nodes.len() - 1
            });
            if let (Some(slots), Ok(number)) = (map.slots.get_mut(slots.clone()), number.try_into())
            {
                slots.fill(number);
            }
        }
        for node in &old.nodes {
            if !numbers.contains_key(&node.host) {
                node.lanes.close();
            }
        }
        self.set_map(map);
    }
}

/// Slots that are one primary's.
struct Range {
    slots: RangeInclusive<usize>,
    host: Host,
}

/// The ranges that a node tells; nothing where it tells none, or something else.
fn ranges(told: &Value, by: &Host) -> Option<Vec<Range>> {
    let range = |range: &Value| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..] else {
            return None;
        };
        let [name, Value::Int(port), ..] = &primary[..] else { return None };
        let name = match name {
            Value::BulkString(name) => std::str::from_utf8(name).ok()?,
            _ => "",
        };
        let host = Host::told(name, u16::try_from(*port).ok()?, by);
        let slots = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
        (*slots.end() < SLOTS).then_some(Range { slots, host })
    };
    let Value::Array(told) = told else { return None };
    let ranges: Vec<_> = told.iter().map(range).collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

impl Node {
    /// Asks it, which changes nothing, and waits for so long.
    pub(crate) async fn ask(&self, question: Cmd, patience: Duration) -> Result<Value, Fault> {
        let stage = Arc::new(Stage::default());
        let _waiting = Waiting(Arc::clone(&stage));
        let asked = self.lanes.send(question, false, false, &stage);
        match timeout(patience, asked).await {
            Ok(Ok(answered)) => match answered.value {
                Value::ServerError(error) => Err(Fault::of(&error)),
                value => Ok(value),
            },
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::unreachable("no answer within the deadline")),
        }
        .map_err(Fault::of_question)
    }
}

impl Map {
    /// The node that has that slot.
    fn node(&self, slot: usize) -> Result<&Node, StoreError> {
        let number = self.slots.get(slot).map_or(0, |number| usize::from(*number));
        // A slot that nobody has: any node says so.
        self.nodes
            .get(number)
            .or_else(|| self.nodes.first())
            .ok_or_else(|| StoreError::new(Change::Unchanged, "no node is known"))
    }
}

struct Admitted<'a>(&'a AtomicUsize);

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The primary as sentinels name it.
fn sentinels(place: &Place) -> Option<Target> {
    match place {
        Place::Sentinels(hosts, service) => Some(Target::Primary {
            sentinels: hosts.clone().into(),
            service: service.as_str().into(),
        }),
        Place::Server(_) | Place::Cluster(_) => None,
    }
}

/// A worker, and another in its place should it ever panic.
async fn employ(lanes: Arc<Lanes>, trunk: Trunk, target: Target) {
    loop {
        let line = Line::new(trunk.clone(), target.clone());
        match tokio::spawn(Arc::clone(&lanes).work(line)).await {
            Err(error) if error.is_panic() => {
                tracing::error!(target: "mintage", %error, "a worker of the store panicked");
            }
            _ => return,
        }
    }
}

fn command(script: &Script, keys: &[Vec<u8>], event: &[u8]) -> Cmd {
    let size = keys.iter().map(Vec::len).sum::<usize>() + event.len() + 64;
    let mut command = Cmd::with_capacity(keys.len() + 4, size);
    command.arg("EVALSHA").arg(&script.sha).arg(keys.len());
    for key in keys {
        command.arg(&key[..]);
    }
    command.arg(event);
    command
}

/// What a script has answered.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) bytes: Vec<u8>,
    /// It has written, and too few replicas have that.
    is_behind: bool,
}

impl Ran {
    /// The answer, unless too few replicas have what was written.
    pub(crate) fn acknowledged(self) -> Result<Vec<u8>, StoreError> {
        if self.is_behind {
            let behind = "too few replicas have it in time";
            return Err(StoreError::new(Change::MayHaveHappened, behind));
        }
        Ok(self.bytes)
    }

    fn of(answer: Answer, writes: bool) -> Result<Result<Self, Fault>, StoreError> {
        let answered = match answer {
            Ok(answered) => answered,
            Err(fault) => return Ok(Err(fault)),
        };
        match answered.value {
            Value::BulkString(bytes) => {
                let is_behind = writes && answered.behind && Reply::has_written(&bytes);
                Ok(Ok(Self { bytes, is_behind }))
            }
            Value::ServerError(error) => Ok(Err(Fault::of(&error))),
            _ => Err(Unreadable("answer").into()),
        }
    }
}
