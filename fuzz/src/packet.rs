use actors::Request;
use horsetrust_chat::socket_io::{
    Packet,
    bench::{plain, request},
};
use serde_json::{Value, value::RawValue};

/// What the parser lets in can be written down again, and is then the same packet; an event of it becomes the request that
/// its JSON says, or is refused in JSON.
pub fn packet(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let Ok(packet) = Packet::parse(&text) else { return false };
    holds(&packet);
    true
}

/// The same for the other form of a packet: what is let in is a Socket.IO packet, too.
pub fn envelope(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let Ok(packet) = plain(&text) else { return false };
    holds(&packet);
    true
}

fn holds(packet: &Packet<'_>) {
    let written = write(packet);
    let again = Packet::parse(&written).expect("a packet that was let in, written down again");
    assert_eq!(format!("{packet:?}"), format!("{again:?}"));
    if let Packet::Event { name, arguments, .. } = packet {
        event(name, arguments);
    }
}

fn write(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect { namespace, auth } => format!("0{namespace},{}", auth.map_or("", RawValue::get)),
        Packet::Disconnect { namespace } => format!("1{namespace},"),
        Packet::Event { namespace, ack, name, arguments, attachments } => {
            let ack = ack.map_or_else(String::new, |ack| ack.to_string());
            let name = serde_json::to_string(name).expect("a string always serializes");
            let values: Vec<_> =
                std::iter::once(name.as_str()).chain(arguments.iter().map(|value| value.get())).collect();
            format!("5{attachments}-{namespace},{ack}[{}]", values.join(","))
        }
        Packet::Ack { namespace, attachments } => format!("6{attachments}-{namespace},0[]"),
    }
}

fn event(name: &str, arguments: &[&RawValue]) {
    match request(name, arguments) {
        Err(refusal) => {
            let json: Value = serde_json::from_str(&refusal.to_json()).expect("a refusal is JSON");
            assert_eq!(json["success"], false);
        }
        Ok(request) => {
            // The chat's own reading is strict and lazy; this one reads everything, and gives up where it cannot.
            let values: Option<Vec<Value>> =
                arguments.iter().map(|value| serde_json::from_str(value.get()).ok()).collect();
            if let Some(values) = values {
                as_it_says(&request, &values);
            }
        }
    }
}

fn as_it_says(request: &Request, values: &[Value]) {
    let is_named = |id: &dyn ToString, value: &Value| {
        value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(&id.to_string()))
    };
    match request {
        Request::Join { conversation, since } => {
            assert!(is_named(conversation, &values[0]));
            // Options that name it twice name none, which this reading does not see.
            assert!(since.is_none_or(|since| is_seq(&values[1]["since_seq"], since)));
        }
        Request::Leave { conversation } | Request::Typing { conversation, .. } => {
            assert!(is_named(conversation, &values[0]));
        }
        Request::Send { conversation, draft } => {
            assert!(is_named(conversation, &values[0]["conversation_id"]));
            assert_eq!(values[0]["text"], draft.text.as_str());
            assert!((1..=2000).contains(&draft.text.as_str().chars().count()));
            assert_eq!(values[0]["client_msg_id"].is_null(), draft.client_msg_id.is_none());
        }
        Request::MarkRead { conversation, up_to } => {
            assert!(is_named(conversation, &values[0]["conversation_id"]));
            assert!(is_seq(&values[0]["up_to_seq"], *up_to));
        }
        Request::Renew(_) => panic!("a token was taken where none is"),
    }
}

/// Whole numbers may be written as others are.
fn is_seq(value: &Value, seq: i64) -> bool {
    value.as_i64().map_or_else(|| value.as_f64() == Some(seq as f64), |value| value == seq)
}
