//! What the connections of a run share: the ledger, the meter, what is counted, and what follows an answer.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::Method;
use serde::Deserialize;
use tokio::time::{sleep, timeout_at};

use crate::{
    cli::{Common, Transport},
    conversation::Room,
    failure::Failure,
    ledger::Ledger,
    meter::Meter,
    people::{self, User},
    processes::Watch,
    progress::Progress,
    rest::{Answer, Rest, Target},
    socket::{Asked, Join, Seat, Socket, connect},
    wire::{self, Ack, Event, Message, Packet},
};

mod measuring;

/// How long what comes before the run may take: joins, say.
pub(crate) const SETUP_LIMIT: Duration = Duration::from_secs(60);
/// How long typing events are waited for at the end: they may have been dropped.
const TYPING_PATIENCE: Duration = Duration::from_secs(2);
/// Connections that [`World::connect_all`] opens at the same time.
pub(crate) const CONNECTING: usize = 64;
/// What a scenario does when a send was answered.
type OnAck = Box<dyn Fn(&Rc<World>, &Rc<Socket>)>;

/// Typing events.
#[derive(Clone, Copy, Default)]
pub(crate) struct TypingCount {
    /// To somebody who is there.
    pub(crate) sent: u64,
    pub(crate) came: u64,
    /// Those that came in the measured time.
    pub(crate) in_time: u64,
}

/// One run.
pub(crate) struct World {
    pub(crate) target: Target,
    pub(crate) transport: Transport,
    pub(crate) users: Vec<User>,
    /// Sets this run's messages apart from others in the same conversations.
    pub(crate) run: String,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) meter: RefCell<Meter>,
    pub(crate) watch: RefCell<Watch>,
    /// Refused requests of the whole run, by code.
    pub(crate) refusals: RefCell<BTreeMap<String, u64>>,
    /// Answers of the whole run, refusals included.
    pub(crate) answers: Cell<u64>,
    /// What the verdict has to say besides.
    pub(crate) notes: RefCell<Vec<String>>,
    pub(crate) typing: Cell<TypingCount>,
    /// When a connection was last dialled.
    pub(crate) dialled_at: Cell<Instant>,
    pub(crate) text_length: Cell<usize>,
    on_ack: RefCell<Option<OnAck>>,
    sockets: Cell<usize>,
    pub(crate) patience: Duration,
    pub(crate) progress: Progress,
}

impl World {
    /// Makes the users and conversations of a run; `over_time` is the kind of latency whose course over time is kept.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub(crate) async fn prepare(
        common: &Common,
        users: usize,
        pairs: &[[usize; 2]],
        over_time: &'static str,
    ) -> Result<Rc<Self>, Failure> {
        Self::of_people(common, 0..users, pairs, over_time).await
    }

    /// The same for the users with these numbers, when others belong to another world; in here they count from 0.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub(crate) async fn of_people(
        common: &Common,
        numbers: Range<usize>,
        pairs: &[[usize; 2]],
        over_time: &'static str,
    ) -> Result<Rc<Self>, Failure> {
        let target = Target::resolve(&common.url).await?;
        let progress = Progress::new(common.no_progress);
        progress.show(format!("making {} users and {} conversations", numbers.len(), pairs.len()));
        let users = people::users(common, &target, numbers).await?;
        let ids = people::conversations(&target, &users, pairs).await?;
        let run = format!(
            "{:x}",
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis()
        );
        let mut ledger = Ledger::new(run.clone(), users.iter().map(|user| user.id.clone()).collect());
        for (id, pair) in ids.into_iter().zip(pairs) {
            ledger.add_conversation(id, *pair);
        }
        Ok(Rc::new(Self {
            target,
            transport: common.transport,
            users,
            run,
            ledger: RefCell::new(ledger),
            meter: RefCell::new(Meter::new(over_time)),
            watch: RefCell::new(Watch::new(&common.process)),
            refusals: RefCell::default(),
            answers: Cell::default(),
            notes: RefCell::default(),
            typing: Cell::default(),
            dialled_at: Cell::new(Instant::now()),
            text_length: Cell::new(100),
            on_ack: RefCell::new(None),
            sockets: Cell::new(0),
            patience: Duration::from_secs_f64(common.patience),
            progress,
        }))
    }

    pub(crate) fn next_socket(&self) -> usize {
        self.sockets.replace(self.sockets.get() + 1)
    }

    /// Connects several, a few at a time, and waits until every join is answered.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) async fn connect_all(self: &Rc<Self>, seats: &[Seat]) -> Result<Vec<Rc<Socket>>, Failure> {
        let mut sockets = Vec::with_capacity(seats.len());
        for some in seats.chunks(CONNECTING) {
            self.progress.show(format!("connecting: {} of {}", sockets.len(), seats.len()));
            sockets.extend(futures::future::try_join_all(some.iter().map(|seat| connect(self, *seat))).await?);
        }
        let is_answered =
            |(seat, socket): (&Seat, &Rc<Socket>)| !seat.joins || socket.is_over() || socket.join.get() != Join::Open;
        self.until(SETUP_LIMIT, "every join is answered", || seats.iter().zip(&sockets).all(is_answered)).await?;
        Ok(sockets)
    }

    /// From now on, `act` follows each answer to a send.
    pub(crate) fn on_ack(&self, act: impl Fn(&Rc<Self>, &Rc<Socket>) + 'static) {
        *self.on_ack.borrow_mut() = Some(Box::new(act));
    }

    /// Sends one message of each of these users in turn, whenever one is due.
    pub(crate) fn send_in_turn(&self, sockets: &[Rc<Socket>]) -> impl FnMut(Instant) {
        let mut in_turn = sockets.iter().cycle();
        move |due| {
            let socket = in_turn.next().expect("somebody talks");
            self.send(socket, due);
            socket.flush();
        }
    }

    /// Queues a message that was due at a moment; its latency counts from there.
    pub(crate) fn send(&self, socket: &Socket, due: Instant) {
        if socket.is_over() {
            return;
        }
        let (conversation, stamp, text) = {
            let mut ledger = self.ledger.borrow_mut();
            let by = (socket.user, socket.number);
            let (stamp, text) = ledger.sends(socket.room, by, self.text_length.get(), due);
            (ledger.conversation_id(socket.room).to_owned(), stamp, text)
        };
        let ack = socket.ask(Asked::Send(stamp), due);
        socket.queue(wire::send_message(&conversation, &text, ack));
    }

    /// Queues a typing event; the latency of its acknowledgement counts from `asked`, if it is asked for.
    pub(crate) fn send_typing(&self, socket: &Socket, name: &str, asked: Option<Instant>) {
        if socket.is_over() {
            return;
        }
        let ack = asked.map(|due| socket.ask(Asked::Typing, due));
        socket.queue(wire::conversation_event(name, self.ledger.borrow().conversation_id(socket.room), ack));
        let typing = self.typing.get();
        self.typing.set(TypingCount { sent: typing.sent + 1, ..typing });
    }

    /// A packet came.
    pub(crate) fn received(self: &Rc<Self>, socket: &Rc<Socket>, packet: Packet<'_>) {
        match packet {
            Packet::Ping => {
                self.ledger.borrow_mut().checked.pings += 1;
                if let Some(silent) = socket.pinged() {
                    self.no_ping(socket, silent);
                }
                socket.queue("3".to_owned());
            }
            Packet::Ack(number, ack) => self.answered(socket, number, &ack),
            Packet::Event(Event::NewMessage(message)) => {
                let sent_at = self.ledger.borrow_mut().delivered(socket.number, &message);
                if let Some(sent_at) = sent_at {
                    self.meter.borrow_mut().record("delivery", sent_at);
                }
            }
            Packet::Event(Event::Notification(notification)) => {
                self.ledger.borrow_mut().notified(socket.number, &notification);
            }
            Packet::Event(Event::Typing(typist)) => {
                self.ledger.borrow_mut().typing_came(socket.room, socket.user, &typist);
                let TypingCount { sent, came, in_time } = self.typing.get();
                let in_time = in_time + u64::from(self.meter.borrow().is_on());
                self.typing.set(TypingCount { sent, came: came + 1, in_time });
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
        if ack.success {
            self.answers.update(|answers| answers + 1);
        } else {
            let code = ack.code.as_deref().or(ack.message.as_deref()).unwrap_or("no code").to_owned();
            self.refused(code);
        }
        match asked {
            Asked::Join if ack.success => socket.join.set(Join::Done),
            Asked::Join => {
                socket.join.set(Join::Refused);
                let mut ledger = self.ledger.borrow_mut();
                ledger.stays_out(socket.room, socket.number);
                let (code, message) =
                    (ack.code.as_deref().unwrap_or("no code"), ack.message.as_deref().unwrap_or_default());
                ledger.violation(format_args!("the join of socket {} was refused: {code} {message}", socket.number));
            }
            Asked::Typing if ack.success => self.meter.borrow_mut().record("typing", since),
            Asked::Typing => (),
            Asked::Send(stamp) => {
                if ack.success {
                    self.meter.borrow_mut().record("ack", since);
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

    fn refused(&self, code: String) {
        self.answers.update(|answers| answers + 1);
        *self.refusals.borrow_mut().entry(code).or_default() += 1;
    }

    fn no_ping(&self, socket: &Socket, silent: Duration) {
        let what = format_args!("socket {} got no ping for {} s", socket.number, silent.as_secs());
        self.ledger.borrow_mut().violation(what);
    }

    /// Holds those to account who are not pinged any more.
    pub(crate) fn check_pings(&self, sockets: &[Rc<Socket>]) {
        for socket in sockets.iter().filter(|socket| !socket.is_over()) {
            if let Some(silent) = socket.without_ping() {
                self.no_ping(socket, silent);
            }
        }
    }

    /// A connection is over.
    pub(crate) fn ended(&self, socket: &Socket, why: &str) {
        let mut ledger = self.ledger.borrow_mut();
        if !socket.is_leaving() {
            let (number, user) = (socket.number, socket.user);
            ledger.broke(format_args!("socket {number} of user {user} was disconnected: {why}"));
        }
        let unanswered = ledger.leaves(socket.room, socket.user, socket.number);
        unanswered.into_iter().for_each(|since| self.meter.borrow_mut().waited("ack", since));
    }

    /// A REST call of the run, of these kinds. `None` if no answer came until some moment: then the connection is of no use
    /// any more, and the verdict says so. A refusal is counted by its code.
    pub(crate) async fn call(
        &self,
        rest: &mut Rest,
        (method, path, user, body): (Method, &str, usize, Option<String>),
        kinds: &[&'static str],
        until: Instant,
    ) -> Option<Answer> {
        #[derive(Deserialize)]
        struct Refused {
            code: String,
        }
        let since = Instant::now();
        let answered = timeout_at(until.into(), rest.call(method, path, &self.users[user].token, body)).await;
        let answered = answered.unwrap_or_else(|_| Err(Failure::new(format!("{path}: no answer"))));
        let mut meter = self.meter.borrow_mut();
        match answered {
            Ok(answer) if answer.status.is_success() => {
                self.answers.update(|answers| answers + 1);
                kinds.iter().for_each(|kind| meter.record(kind, since));
                Some(answer)
            }
            Ok(answer) => {
                let refused = serde_json::from_slice::<Refused>(&answer.body);
                self.refused(refused.map_or_else(|_| answer.status.to_string(), |refused| refused.code));
                Some(answer)
            }
            Err(failure) => {
                kinds.iter().for_each(|kind| meter.waited(kind, since));
                self.ledger.borrow_mut().broke(format_args!("{failure}"));
                None
            }
        }
    }

    /// Waits until something holds, but not longer than a limit.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn until(&self, limit: Duration, what: &str, holds: impl Fn() -> bool) -> Result<(), Failure> {
        let since = Instant::now();
        while !holds() {
            if since.elapsed() >= limit {
                return Err(Failure::new(format!("waited {} s in vain: {what}", limit.as_secs())));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until nothing is under way, or nobody is there to whom it could come; what still is then, the verdict names.
    pub(crate) async fn settle(&self, and: impl Fn() -> bool) {
        let since = Instant::now();
        let is_settled = || {
            let (ledger, typing) = (self.ledger.borrow(), self.typing.get());
            let has_typing = typing.came >= typing.sent || since.elapsed() >= TYPING_PATIENCE;
            ledger.is_deserted() || (ledger.under_way() == 0 && has_typing && and())
        };
        // In vain: the verdict says what is missing.
        let _ = self.until(self.patience, "everything arrives", is_settled).await;
    }

    /// Where the users of conversations are: each joined to its own.
    pub(crate) fn seats_of_pairs(pairs: &[[usize; 2]]) -> Vec<Seat> {
        let seat = |room: Room, user| Seat { user, room, joins: true, source: None };
        pairs.iter().enumerate().flat_map(|(room, pair)| pair.map(|user| seat(room, user))).collect()
    }
}

/// So many users, two by two.
pub(crate) fn pairs(users: usize) -> Vec<[usize; 2]> {
    (0..users / 2).map(|pair| [2 * pair, 2 * pair + 1]).collect()
}
