//! What the connections of a run share: the ledger, the meter, what is counted, and what follows an answer.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::{Common, Transport},
    conversation::Room,
    failure::Failure,
    ledger::Ledger,
    meter::Meter,
    people::{self, User},
    processes::Watch,
    rest::Target,
    scenarios::{crowd::raise_open_files, pace::pace},
    socket::{Asked, Place, Socket, connect},
    wire::{Ack, Event, Message, Packet},
};

/// How often the progress is shown and processes are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Without a terminal, a line this often.
const LINE: Duration = Duration::from_secs(5);

/// What a scenario does when a send was answered.
type OnAck = Box<dyn Fn(&Rc<World>, &Rc<Socket>)>;

/// One run.
pub(crate) struct World {
    pub(crate) target: Target,
    pub(crate) transport: Transport,
    pub(crate) users: Vec<User>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) meter: RefCell<Meter>,
    pub(crate) watch: RefCell<Watch>,
    /// Refused requests, by code.
    pub(crate) refusals: RefCell<BTreeMap<String, u64>>,
    /// Typing events that were sent to somebody, and those that came.
    pub(crate) typing: Cell<(u64, u64)>,
    /// Messages that came in the measured time.
    pub(crate) deliveries: Cell<u64>,
    /// Typing events that came in the measured time.
    pub(crate) relayed: Cell<u64>,
    /// Pings that were answered.
    pub(crate) pings: Cell<u64>,
    pub(crate) text_length: Cell<usize>,
    on_ack: RefCell<Option<OnAck>>,
    sockets: Cell<usize>,
    patience: Duration,
    progress: ProgressBar,
    /// There is no terminal: a line now and then instead of the bar.
    lines: bool,
    line_at: Cell<Instant>,
}

impl World {
    /// Makes the users and conversations of a run; `kinds` are the latencies, the first one the course over time.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub(crate) async fn prepare(
        common: &Common,
        users: usize,
        pairs: &[[usize; 2]],
        kinds: &[&'static str],
    ) -> Result<Rc<Self>, Failure> {
        Self::of_people(common, 0..users, pairs, kinds).await
    }

    /// The same for the users with these numbers, when others belong to another world; in here they count from 0.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub(crate) async fn of_people(
        common: &Common,
        numbers: Range<usize>,
        pairs: &[[usize; 2]],
        kinds: &[&'static str],
    ) -> Result<Rc<Self>, Failure> {
        let target = Target::resolve(&common.url).await?;
        let progress = if common.no_progress { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        progress.set_style(ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}").expect("a sound template"));
        progress.enable_steady_tick(LOOK);
        progress.set_message(format!("making {} users and {} conversations", numbers.len(), pairs.len()));
        let users = people::users(common, &target, numbers).await?;
        let ids = people::conversations(&target, &users, pairs).await?;
        let run = format!(
            "{:x}",
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis()
        );
        let mut ledger = Ledger::new(run, users.iter().map(|user| user.id.clone()).collect());
        for (id, pair) in ids.into_iter().zip(pairs) {
            ledger.add_conversation(id, *pair);
        }
        Ok(Rc::new(Self {
            target,
            transport: common.transport,
            users,
            ledger: RefCell::new(ledger),
            meter: RefCell::new(Meter::new(kinds)),
            watch: RefCell::new(Watch::new(&common.process)),
            refusals: RefCell::default(),
            typing: Cell::default(),
            deliveries: Cell::default(),
            relayed: Cell::default(),
            pings: Cell::default(),
            text_length: Cell::new(100),
            on_ack: RefCell::new(None),
            sockets: Cell::new(0),
            patience: Duration::from_secs_f64(common.patience),
            lines: progress.is_hidden() && !common.no_progress,
            progress,
            line_at: Cell::new(Instant::now()),
        }))
    }

    pub(crate) fn next_socket(&self) -> usize {
        self.sockets.replace(self.sockets.get() + 1)
    }

    /// Connects several, a few at a time, and waits until all that join have joined.
    ///
    /// # Errors
    /// One is refused, or the machine has not files enough.
    pub(crate) async fn connect_all(self: &Rc<Self>, places: &[Place]) -> Result<Vec<Rc<Socket>>, Failure> {
        const AT_ONCE: usize = 64;
        raise_open_files(places.len())?;
        let mut sockets = Vec::with_capacity(places.len());
        for some in places.chunks(AT_ONCE) {
            self.say(format!("connecting: {} of {}", sockets.len(), places.len()));
            sockets.extend(futures::future::try_join_all(some.iter().map(|place| connect(self, *place))).await?);
        }
        let joined = || places.iter().zip(&sockets).all(|(place, socket)| !place.joins || socket.is_joined.get());
        self.until("every join is answered", joined).await?;
        Ok(sockets)
    }

    /// From now on, `act` follows each answer to a send.
    pub(crate) fn on_ack(&self, act: impl Fn(&Rc<Self>, &Rc<Socket>) + 'static) {
        *self.on_ack.borrow_mut() = Some(Box::new(act));
    }

    /// Queues a message that was due at a moment; its latency counts from there.
    pub(crate) fn send(&self, socket: &Socket, due: Instant) {
        let (conversation, stamp, text) = {
            let mut ledger = self.ledger.borrow_mut();
            let (stamp, text) = ledger.sends(socket.room, socket.user, self.text_length.get(), due);
            (ledger.conversation_id(socket.room).to_owned(), stamp, text)
        };
        let ack = socket.ask(Asked::Send(stamp), due);
        socket.queue(crate::wire::send_message(&conversation, &text, ack));
    }

    /// A packet came.
    pub(crate) fn received(self: &Rc<Self>, socket: &Rc<Socket>, packet: Packet<'_>) {
        match packet {
            Packet::Ping => {
                self.pings.set(self.pings.get() + 1);
                socket.queue("3".to_owned());
            }
            Packet::Ack(number, ack) => self.answered(socket, number, &ack),
            Packet::Event(Event::NewMessage(message)) => {
                let sent_at = self.ledger.borrow_mut().delivered(socket.number, &message);
                let mut meter = self.meter.borrow_mut();
                if meter.is_on() {
                    self.deliveries.set(self.deliveries.get() + 1);
                }
                if let Some(sent_at) = sent_at {
                    meter.record("delivery", sent_at.elapsed());
                }
            }
            Packet::Event(Event::Notification(notification)) => {
                self.ledger.borrow_mut().notified(socket.number, &notification);
            }
            Packet::Event(Event::Typing | Event::StopTyping) => {
                let (sent, came) = self.typing.get();
                self.typing.set((sent, came + 1));
                if self.meter.borrow().is_on() {
                    self.relayed.set(self.relayed.get() + 1);
                }
            }
            Packet::Refused(why) => {
                self.ledger.borrow_mut().violation(format_args!("socket {} was refused: {why}", socket.number));
            }
            _ => (),
        }
    }

    fn answered(self: &Rc<Self>, socket: &Rc<Socket>, number: u64, ack: &Ack<'_>) {
        let Some((asked, since)) = socket.answered(number) else {
            let what =
                format_args!("socket {} got ack {number}, which it did not ask for or had already", socket.number);
            return self.ledger.borrow_mut().violation(what);
        };
        if !ack.success {
            let code = ack.code.as_deref().or(ack.message.as_deref()).unwrap_or("no code").to_owned();
            *self.refusals.borrow_mut().entry(code).or_default() += 1;
        }
        match asked {
            Asked::Join if ack.success => socket.is_joined.set(true),
            Asked::Join => self.ledger.borrow_mut().violation(format_args!("a join was refused: {:?}", ack.message)),
            Asked::Typing => self.meter.borrow_mut().record("typing", since.elapsed()),
            Asked::Send(stamp) => {
                if ack.success {
                    self.meter.borrow_mut().record("ack", since.elapsed());
                    match ack.data.map(|data| serde_json::from_str::<Message<'_>>(data.get())) {
                        Some(Ok(message)) => self.ledger.borrow_mut().acked(stamp, &message),
                        _ => self.ledger.borrow_mut().violation(format_args!("the ack of {stamp} has no message")),
                    }
                } else {
                    self.ledger.borrow_mut().refused(stamp);
                }
                if let Some(act) = &*self.on_ack.borrow() {
                    act(self, socket);
                }
            }
        }
    }

    /// A connection is over.
    pub(crate) fn ended(&self, socket: &Socket, why: &str) {
        let mut ledger = self.ledger.borrow_mut();
        if !socket.is_leaving() {
            let (number, user) = (socket.number, socket.user);
            ledger.violation(format_args!("socket {number} of user {user} was disconnected: {why}"));
        }
        ledger.leaves(socket.room, socket.user, socket.number);
    }

    /// Waits with progress; `then` is called each time.
    pub(crate) async fn pass(&self, time: Duration, mut then: impl FnMut()) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(LOOK)).await;
            then();
            self.watch.borrow_mut().look();
            self.show(left);
        }
    }

    fn show(&self, left: Duration) {
        let mut meter = self.meter.borrow_mut();
        let left = left.as_secs();
        let message = match meter.tick(false) {
            Some(second) => {
                format!("{:.0}/s  p50 {:.2} ms  p99 {:.2} ms  {left} s left", second.rate, second.p50_ms, second.p99_ms)
            }
            None => format!("warming up, {left} s left"),
        };
        self.say(message);
    }

    /// Tells whoever watches.
    pub(crate) fn say(&self, message: String) {
        if self.lines && self.line_at.get().elapsed() >= LINE {
            self.line_at.set(Instant::now());
            eprintln!("{message}");
        }
        self.progress.set_message(message);
    }

    /// The progress is over.
    pub(crate) fn quiet(&self) {
        self.progress.finish_and_clear();
    }

    /// Waits until something holds, for the patience there is.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<(), Failure> {
        let since = Instant::now();
        while !holds() {
            if since.elapsed() > self.patience {
                return Err(Failure::new(format!("waited {} s in vain: {what}", self.patience.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until nothing is under way; what still is then, the verdict names.
    pub(crate) async fn settle(&self) {
        // In vain: the verdict says what is missing.
        let _ = self.until("everything arrives", || self.ledger.borrow().under_way() == 0).await;
    }

    /// Measures for a while what runs already.
    pub(crate) async fn measure(&self, time: Duration, then: impl FnMut()) {
        self.meter.borrow_mut().begin();
        self.watch.borrow_mut().begin(false);
        self.pass(time, then).await;
        self.meter.borrow_mut().end();
    }

    /// An open loop, warmed up and then measured: `act` so many times a second, with the moment at which it was due.
    pub(crate) async fn measure_at(&self, per_second: f64, common: &Common, act: impl FnMut(Instant)) {
        let warmup = Duration::from_secs_f64(common.warmup);
        let duration = Duration::from_secs_f64(common.duration);
        let measured = async {
            self.pass(warmup, || ()).await;
            self.measure(duration, || ()).await;
        };
        tokio::join!(pace(per_second, warmup + duration, act), measured);
    }

    /// Where the users of conversations are: each joined to its own.
    pub(crate) fn places_of_pairs(pairs: &[[usize; 2]]) -> Vec<Place> {
        let place = |room: Room, user| Place { user, room, joins: true, source: None };
        pairs.iter().enumerate().flat_map(|(room, pair)| pair.map(|user| place(room, user))).collect()
    }
}

/// So many users, two by two.
pub(crate) fn pairs(users: usize) -> Vec<[usize; 2]> {
    (0..users / 2).map(|pair| [2 * pair, 2 * pair + 1]).collect()
}
