use bytes::Bytes;
use horsetrust_chat::socket_io::bench::slices;

const SEPARATOR: u8 = 0x1e;

/// The pieces of a payload are the payload, cut between packets only; each has as many packets as it may have or has to,
/// and one that is large is large by its last packet.
pub fn polling(input: &[u8]) -> bool {
    let [most_packets, enough_bytes, payload @ ..] = input else { return false };
    let (most_packets, enough_bytes) = (1 + usize::from(*most_packets), 1 + usize::from(*enough_bytes));
    let pieces = slices(&Bytes::copy_from_slice(payload), most_packets, enough_bytes);
    assert_eq!(pieces.join(&SEPARATOR), payload);
    let (last, full) = pieces.split_last().expect("an empty payload is a piece, too");
    for piece in full {
        assert!(count(piece) == most_packets || piece.len() >= enough_bytes, "cut too early");
    }
    for piece in full.iter().chain([last]) {
        assert!(count(piece) <= most_packets, "too many packets");
        let but_one = piece.iter().rposition(|byte| *byte == SEPARATOR).unwrap_or(0);
        assert!(but_one < enough_bytes, "cut too late");
    }
    pieces.len() > 1
}

fn count(piece: &[u8]) -> usize {
    piece.split(|byte| *byte == SEPARATOR).count()
}
