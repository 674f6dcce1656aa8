//! Rooms, sessions and hubs together, without a database: what they leave behind, and what happens when one fails.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize},
    },
    time::Duration,
};

use crate::{
    AckId, Chat, ChatConfig, CloseReason, Credentials, EncodedEvent, Gate, MessageDeleted, MessageText, Outbox, Pid,
    Profile, Queued, Request, SessionHandle,
    limits::{ROOM_IN_FLIGHT, USER_ROOMS},
    session::start_kept,
    store::History,
};

use super::*;

/// An outbox that writes down what it gets.
#[derive(Default)]
struct Recorder {
    frames: Mutex<Vec<String>>,
    closed: Mutex<Option<CloseReason>>,
    is_deaf: AtomicBool,
    connection: AtomicU32,
}

impl Recorder {
    fn write(&self, frame: String) {
        self.frames.lock().expect("no panic").push(frame);
    }

    fn has(&self, part: &str) -> bool {
        self.count(part) > 0
    }

    fn count(&self, part: &str) -> usize {
        self.frames.lock().expect("no panic").iter().filter(|frame| frame.contains(part)).count()
    }

    fn is_closed_for(&self, reason: CloseReason) -> bool {
        *self.closed.lock().expect("no panic") == Some(reason)
    }
}

impl Outbox for Recorder {
    fn opened(&self, _: SessionId, _: Option<Pid>) {
        self.write("opened".to_owned());
    }

    fn event(&self, event: &Arc<EncodedEvent>) -> Queued {
        self.write(format!("{} {}", event.name, event.payload));
        if self.is_deaf.load(Ordering::SeqCst) { Queued::Closed } else { Queued::Yes }
    }

    fn ack(&self, id: AckId, body: &str) {
        self.write(format!("ack {id} {body}"));
    }

    fn connection(&self) -> u32 {
        self.connection.load(Ordering::SeqCst)
    }

    fn close(&self, reason: CloseReason) {
        self.closed.lock().expect("no panic").get_or_insert(reason);
    }
}

/// A chat whose Postgres is away, with one worker: this thread.
fn chat() -> Chat {
    let mut database = tokio_postgres::Config::new();
    database.host_path("/nowhere").user("nobody");
    let chat = Chat::start(&ChatConfig {
        database,
        workers: 1,
        room_idle: Duration::from_millis(20),
        recovery: Duration::ZERO,
    });
    chat.enter_worker();
    chat
}

/// A room of two users who need not be loaded.
fn room_of(chat: &Chat, users: [UserId; 2]) -> (ConversationId, RoomHandle) {
    let conversation = ConversationId::new();
    let room = chat.shared().room(conversation).expect("few rooms");
    let profiles = chat.shared().profiles.clone();
    let live = users.map(|id| {
        let profile = Profile { id, full_name: "Somebody".to_owned(), profile_picture_url: None };
        profiles.hold(profile)
    });
    run_in(&room, move |room| room.participants.set(live).expect("set once"));
    (conversation, room)
}

fn run_in(room: &RoomHandle, act: impl FnOnce(&mut Room) + Send + 'static) {
    room.0.mailbox.push(RoomCommand::Test(Box::new(act)));
}

const HOLDS: Credentials = Credentials { issued_at: 0, expires_at: i64::MAX };

fn connect(chat: &Chat, user: UserId) -> (SessionHandle, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    (chat.connect(user, HOLDS, recorder.clone(), None), recorder)
}

fn request(session: &SessionHandle, request: Request) {
    session.request(request, Some(1), Arc::new(Gate::default()).enter(100), session.begin());
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it happens");
}

/// A session in a room of its user's and somebody else's.
async fn joined(chat: &Chat, user: UserId) -> (ConversationId, RoomHandle, SessionHandle, Arc<Recorder>) {
    let (conversation, room) = room_of(chat, [user, UserId::new()]);
    let (member, outbox) = connect(chat, user);
    request(&member, Request::Join { conversation, since: None });
    until(|| outbox.has("ack 1")).await;
    (conversation, room, member, outbox)
}

#[actix::test]
async fn a_room_that_fails_closes_its_members_and_another_takes_its_place() {
    let (chat, user) = (chat(), UserId::new());
    let (conversation, room, _member, outbox) = joined(&chat, user).await;
    run_in(&room, |_| panic!("asked to"));
    until(|| outbox.is_closed_for(CloseReason::RoomFailed)).await;
    assert_eq!(chat.counters().get(Gauge::ActorsFailed), 1);
    assert!(chat.shared().room(conversation).is_some_and(|room| room.is_alive()));
}

/// What comes later would be missing in the sessions that are kept.
#[actix::test]
async fn a_stop_goes_on_when_the_hubs_have_delivered_what_rooms_have_told_them() {
    let (chat, user) = (chat(), UserId::new());
    let (conversation, _room, _member, outbox) = joined(&chat, user).await;
    let deleted =
        EncodedEvent::message_deleted(&MessageDeleted { conversation_id: conversation, id: MessageId::new(), seq: 1 });
    chat.shared().workers.each(1, |hub| hub.deliver(Delivery::to_members(conversation, deleted.clone(), None)));
    chat.settled().await;
    assert!(outbox.has("message_deleted"));
}

#[actix::test]
async fn a_room_that_fails_lets_nobody_believe_that_a_message_is_or_is_not_stored() {
    let (chat, user) = (chat(), UserId::new());
    let (conversation, room) = room_of(&chat, [user, UserId::new()]);
    let (sender, outbox) = connect(&chat, user);
    let text = MessageText::parse("under way").expect("a sound text");
    request(&sender, Request::Send { conversation, draft: text.into() });
    until(|| chat.counters().get(Gauge::MessagesInFlight) == 1).await;
    run_in(&room, |_| panic!("asked to"));
    until(|| outbox.is_closed_for(CloseReason::OutcomeUnknown)).await;
    assert!(!outbox.has("ack"));
}

#[actix::test]
async fn a_session_that_fails_is_closed_and_leaves_nothing() {
    let (chat, user) = (chat(), UserId::new());
    let (conversation, _room) = room_of(&chat, [user, UserId::new()]);
    let (member, outbox) = connect(&chat, user);
    request(&member, Request::Join { conversation, since: None });
    until(|| chat.counters().get(Gauge::HubMembers) == 1).await;
    member.panic();
    until(|| outbox.is_closed_for(CloseReason::SessionFailed)).await;
    until(|| chat.counters().get(Gauge::HubMembers) == 0 && chat.counters().get(Gauge::Sessions) == 0).await;
    assert!(chat.shared().presence.is_empty());
}

#[actix::test]
async fn all_sessions_of_a_user_join_so_many_rooms_together_and_no_more() {
    const ELSEWHERE: usize = USER_ROOMS - 2;
    let (chat, user, other) = (chat(), UserId::new(), UserId::new());
    let rooms = [(); 3].map(|()| room_of(&chat, [user, other]));
    let [first_room, second_room, third_room] = rooms.each_ref().map(|(conversation, _)| *conversation);
    let (no_room_of_theirs, _room) = room_of(&chat, [other, UserId::new()]);
    let joined = chat.shared().joined.hold(user, AtomicUsize::default);
    joined.store(ELSEWHERE, Ordering::Relaxed);
    let joined_here = || joined.load(Ordering::Relaxed) - ELSEWHERE;
    let [(first, _), (second, refused), (others, accepted)] = [user, user, other].map(|user| connect(&chat, user));
    let join = |session: &SessionHandle, conversation| request(session, Request::Join { conversation, since: None });
    for _ in 0..2 {
        join(&first, first_room);
        join(&second, second_room);
    }
    until(|| chat.counters().get(Gauge::Unanswered) == 0).await;
    assert_eq!((joined_here(), chat.counters().get(Gauge::HubMembers)), (2, 2));
    join(&second, third_room);
    join(&others, third_room);
    until(|| accepted.has(&third_room.to_string())).await;
    until(|| refused.has("too many conversations joined over all connections")).await;
    request(&first, Request::Leave { conversation: first_room });
    until(|| joined_here() == 1).await;
    join(&first, no_room_of_theirs);
    until(|| chat.counters().get(Gauge::Unanswered) == 0 && joined_here() == 1).await;
    join(&second, third_room);
    until(|| refused.has(&third_room.to_string())).await;
    assert_eq!(joined_here(), 2);
    first.end();
    second.end();
    until(|| joined_here() == 0).await;
}

#[actix::test]
async fn rooms_of_a_session_that_was_kept_count_and_none_of_them_is_refused() {
    let (chat, user) = (chat(), UserId::new());
    let rooms = [(); 3].map(|()| room_of(&chat, [user, UserId::new()]));
    let [kept @ .., further] = rooms.each_ref().map(|(conversation, _)| *conversation);
    let joined = chat.shared().joined.hold(user, AtomicUsize::default);
    joined.store(USER_ROOMS - 1, Ordering::Relaxed);
    let recoverable = chat.shared().recoveries.begin(user, Arc::new(Recorder::default()));
    assert!(start_kept(&recoverable, &kept, chat.shared()));
    until(|| chat.counters().get(Gauge::HubMembers) == kept.len() as i64).await;
    assert_eq!(joined.load(Ordering::Relaxed), USER_ROOMS + 1);
    let (session, outbox) = connect(&chat, user);
    request(&session, Request::Join { conversation: further, since: None });
    until(|| outbox.has("too many conversations joined")).await;
    recoverable.address().expect("it has started").end();
    until(|| joined.load(Ordering::Relaxed) == USER_ROOMS - 1).await;
}

#[actix::test]
async fn a_room_stops_when_it_is_idle_and_not_while_somebody_is_in_it() {
    let (chat, user) = (chat(), UserId::new());
    let (_, room, member, _) = joined(&chat, user).await;
    drop(room);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(chat.counters().get(Gauge::Rooms), 1, "several times its idle time has passed");
    member.end();
    until(|| chat.counters().get(Gauge::Rooms) == 0).await;
    assert!(chat.shared().profiles.all_changed().is_empty());
}

#[actix::test]
async fn a_stranger_is_refused_and_keeps_no_room() {
    let (chat, stranger) = (chat(), UserId::new());
    let (conversation, room) = room_of(&chat, [UserId::new(), UserId::new()]);
    let (session, outbox) = connect(&chat, stranger);
    request(&session, Request::Join { conversation, since: None });
    until(|| outbox.has("Conversation not found")).await;
    drop(room);
    until(|| chat.counters().get(Gauge::Rooms) == 0).await;
}

#[actix::test]
async fn more_messages_than_a_room_may_have_under_way_are_refused_at_once() {
    let (chat, user) = (chat(), UserId::new());
    let (conversation, _room) = room_of(&chat, [user, UserId::new()]);
    let (sender, outbox) = connect(&chat, user);
    for _ in 0..=ROOM_IN_FLIGHT {
        let text = MessageText::parse("under way").expect("a sound text");
        request(&sender, Request::Send { conversation, draft: text.into() });
    }
    until(|| outbox.has(r#""code":"OVERLOADED""#)).await;
    assert_eq!(chat.counters().get(Gauge::MessagesInFlight), ROOM_IN_FLIGHT as i64);
}

fn post(id: MessageId, conversation: ConversationId, sender: UserId, text: &str) -> Post {
    let draft = MessageText::parse(text).expect("a sound text").into();
    Post { id, conversation, sender, draft, sent_at: Timestamp::now(), reply: Reply::nobody() }
}

#[actix::test]
async fn the_text_of_a_message_that_was_deleted_before_it_was_told_is_told_to_nobody() {
    let (chat, users) = (chat(), [UserId::new(), UserId::new()]);
    let (conversation, room) = room_of(&chat, users);
    let (member, outbox) = connect(&chat, users[1]);
    request(&member, Request::Join { conversation, since: None });
    until(|| outbox.has("ack 1")).await;
    let ids = [MessageId::new(), MessageId::new()];
    run_in(&room, move |room| {
        room.in_flight.extend(ids);
        ids.iter().for_each(|_| room.shared.counters.add(Gauge::MessagesInFlight));
    });
    let deleted = MessageDeleted { conversation_id: conversation, id: ids[0], seq: 1 };
    room.deleted(deleted, users[1], chat.counters().hold(Gauge::Announcements));
    run_in(&room, move |room| {
        for (seq, (id, text)) in (1..).zip(ids.into_iter().zip(["the deleted one", "the next one"])) {
            room.finish(post(id, conversation, users[0], text), Outcome::Stored(seq));
        }
        assert!(room.deleted_in_flight.is_empty());
    });
    until(|| outbox.has("the next one")).await;
    assert!(outbox.has("message_deleted") && !outbox.has("the deleted one"));
}

#[actix::test]
async fn a_join_s_answer_ends_before_what_is_told_later_also_where_that_is_beyond_its_page() {
    let (chat, users) = (chat(), [UserId::new(), UserId::new()]);
    let (_, room) = room_of(&chat, users);
    let (tell, told) = tokio::sync::oneshot::channel();
    run_in(&room, move |room| {
        let two = || users.map(|user| room.profile(user).expect("a participant"));
        let page = |told_later| {
            let message = StoredMessage {
                id: MessageId::new(),
                seq: 100,
                sender: users[0],
                text: "the last of the page".to_owned(),
                sent_at: Timestamp::now(),
                read_at: None,
            };
            let history = History { last_seq: 150, unread: 0, has_more: true, messages: vec![message] };
            let page = room.behind(history, told_later, two());
            (page.head_seq, page.has_more, page.messages.len())
        };
        let _ = tell.send([None, Some(151), Some(150), Some(101), Some(100)].map(page));
    });
    let pages = told.await.expect("the room lives");
    assert_eq!(pages, [(150, true, 1), (150, true, 1), (149, true, 1), (100, false, 1), (99, false, 0)]);
}

#[actix::test]
async fn a_deletion_that_was_never_sent_to_postgres_is_not_remembered() {
    let chat = chat();
    for _ in 0..20 {
        let refused = chat.delete_message(MessageId::new(), UserId::new()).await.expect_err("no Postgres");
        assert_eq!(refused.code.as_str(), "OVERLOADED");
    }
    assert!(chat.shared().undecided_deletions.is_empty());
}

#[actix::test]
async fn a_session_ends_with_its_token_however_often_it_comes_with_it() {
    let (chat, recorder) = (chat(), Arc::new(Recorder::default()));
    let token = Credentials { issued_at: 0, expires_at: Timestamp::now().seconds() + 2 };
    let session = chat.connect(UserId::new(), token, recorder.clone(), None);
    for _ in 0..2 {
        until(|| recorder.is_closed_for(CloseReason::AuthExpired)).await;
        recorder.closed.lock().expect("no panic").take();
        request(&session, Request::Renew(token));
    }
    assert_eq!(recorder.count("token_expiring"), 1);
}

#[actix::test]
async fn a_session_does_not_end_with_the_token_before_the_one_that_has_taken_it_over() {
    let (chat, recorder) = (chat(), Arc::new(Recorder::default()));
    let token = Credentials { issued_at: 0, expires_at: Timestamp::now().seconds() + 1 };
    let session = chat.connect(UserId::new(), token, recorder.clone(), None);
    // Another connection has come, and its token is on its way to the hub.
    recorder.connection.store(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!recorder.has("token_expiring") && !recorder.is_closed_for(CloseReason::AuthExpired));
    // Another one took it over from that, and its token, which has ended as well, was faster.
    recorder.connection.store(2, Ordering::SeqCst);
    let hub = chat.shared().workers.hub_here();
    hub.renew(session.id(), token, Some(2));
    hub.renew(session.id(), HOLDS, Some(1));
    until(|| recorder.is_closed_for(CloseReason::AuthExpired)).await;
}

#[actix::test]
async fn a_warning_that_nobody_heard_comes_again_and_one_that_was_heard_does_not() {
    let (chat, recorder) = (chat(), Arc::new(Recorder::default()));
    let expiring = |seconds| Credentials { issued_at: 0, expires_at: Timestamp::now().seconds() + seconds };
    let (token, next) = (expiring(30), expiring(31));
    recorder.is_deaf.store(true, Ordering::SeqCst);
    let session = chat.connect(UserId::new(), token, recorder.clone(), None);
    until(|| recorder.has("token_expiring")).await;
    recorder.is_deaf.store(false, Ordering::SeqCst);
    for (renewed, count) in [(token, 2), (token, 2), (next, 3), (next, 3)] {
        request(&session, Request::Renew(renewed));
        until(|| recorder.count("token_expiring") == count).await;
        // Long enough for another look.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(recorder.count("token_expiring"), count);
    }
    // As by another connection that takes the session over.
    chat.shared().workers.hub_here().renew(session.id(), next, Some(0));
    until(|| recorder.count("token_expiring") == 4).await;
}
