//! How many connections there may be, from one address and in total.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::http::header::HeaderMap;
use dashmap::DashMap;
use ipnet::IpNet;

/// Where a proxy says whom it speaks for; the last one is the nearest.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Bounds, counted in connections; 0: any number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaceSettings {
    /// From one IPv4 address, or one IPv6 network of 64 bits, which is what one customer has.
    pub per_address: usize,
    /// In total.
    pub total: usize,
}

/// TCP connections that there may be beside as many as there are places for sessions, or as many again where that is
/// less: for calls, and to be told why there is no place. Fewer than the files that are left for other things.
const FOR_CALLS: usize = 256;

impl PlaceSettings {
    /// For TCP connections, those among them that carry a session.
    pub(crate) fn with_calls(self) -> Self {
        Self { total: self.total + self.total.min(FOR_CALLS), ..self }
    }
}

/// The places that connections take.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    settings: PlaceSettings,
    by_address: DashMap<IpAddr, usize>,
    all: AtomicUsize,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    counted: Arc<Counted>,
    address: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// For this address.
    Address,
    /// For anybody.
    Total,
}

impl Places {
    pub(crate) fn new(settings: PlaceSettings) -> Self {
        Self(Arc::new(Counted { settings, by_address: DashMap::new(), all: AtomicUsize::new(0) }))
    }

    /// Takes a place; without an address, one that counts in total only.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Result<Place, Full> {
        let PlaceSettings { per_address, total } = self.0.settings;
        let address = address.filter(|_| per_address > 0).map(network);
        // Given back when it is dropped.
        let mut place = Place { counted: self.0.clone(), address: None };
        if self.0.all.fetch_add(1, Ordering::SeqCst) >= total && total > 0 {
            return Err(Full::Total);
        }
        if let Some(address) = address {
            let mut taken = self.0.by_address.entry(address).or_insert(0);
            if *taken >= per_address {
                return Err(Full::Address);
            }
            *taken += 1;
            place.address = Some(address);
        }
        Ok(place)
    }
}

impl Place {
    /// Counts in total only, from now on: by their addresses, connections are counted as what they carry.
    pub(crate) fn without_address(mut self) -> Self {
        self.leave_address();
        self
    }

    fn leave_address(&mut self) {
        if let Some(address) = self.address.take() {
            self.counted.by_address.remove_if_mut(&address, |_, taken| {
                *taken -= 1;
                *taken == 0
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counted.all.fetch_sub(1, Ordering::SeqCst);
        self.leave_address();
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !(u128::MAX >> 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The proxies whose word counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// From a comma list of addresses and networks; `None` if one is neither.
    pub(crate) fn parse(list: &str) -> Option<Self> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let network = |entry: &str| entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from)).ok();
        entries.map(network).collect::<Option<_>>().map(Self)
    }

    /// The address of a TCP connection whose count is bounded: all of a proxy's come from one.
    pub(crate) fn peer(&self, peer: Option<SocketAddr>) -> Option<IpAddr> {
        peer.map(|peer| peer.ip()).filter(|peer| !self.trust(*peer))
    }

    /// Whom a request is from: its peer, or whom that one speaks for, if it is trusted. Nobody else's word counts.
    pub(crate) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.ip();
        let lists: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        // Entries by themselves: what a client puts in front of the proxy's is not to spoil it.
        let mut nearest_first = lists.iter().rev().flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
        while self.trust(client) {
            let Some(next) = nearest_first.next().and_then(forwarded) else { break };
            client = next;
        }
        Some(client)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

/// An entry's address; some proxies add a port, which IPv6 needs brackets for.
fn forwarded(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = entry.parse().ok().or_else(bracketed);
    address.or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("the test's own address")
    }

    #[test]
    fn places_are_counted_by_address_and_in_total_and_given_back() {
        let places = Places::new(PlaceSettings { per_address: 2, total: 3 });
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| Some(address(text)));
        let taken = [places.take(one), places.take(one)];
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(places.take(one).err(), Some(Full::Address));
        let third = places.take(other).expect("another address");
        assert_eq!(places.take(other).err(), Some(Full::Total));
        assert_eq!(places.take(None).err(), Some(Full::Total));
        drop(third);
        assert!(places.take(None).is_ok());
        drop(taken);
        assert!(places.take(one).is_ok());
        assert!(places.0.by_address.is_empty() && places.0.all.load(Ordering::SeqCst) == 0);
    }

    #[test]
    fn zero_is_no_bound() {
        let places = Places::new(PlaceSettings { per_address: 0, total: 0 });
        let all: Vec<_> = (0..1000).map(|_| places.take(Some(address("192.0.2.1")))).collect();
        assert!(all.iter().all(Result::is_ok));
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address_and_a_mapped_one_is_ipv4() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn only_a_trusted_proxy_says_whom_it_speaks_for() {
        let proxies = Proxies::parse("10.0.0.0/8, 192.0.2.7").expect("a sound list");
        assert!(Proxies::parse("10.0.0.0/33").is_none() && Proxies::parse("proxy.example.com").is_none());
        let client = |peer: &str, lists: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                let value = HeaderValue::from_bytes(list).expect("a header");
                headers.append(HeaderName::from_static(FORWARDED_FOR), value);
            }
            proxies.client(Some(SocketAddr::new(address(peer), 1)), &headers).map(|client| client.to_string())
        };
        for (peer, lists, expected) in [
            ("198.51.100.1", &[&b"203.0.113.9"[..]][..], "198.51.100.1"),
            ("10.1.2.3", &[b"203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &[b"spoofed, 203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &[b"spoof\xe9d, 203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &[b"\xff", b"203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &[b"198.51.100.2, 203.0.113.9, 192.0.2.7"], "203.0.113.9"),
            ("10.1.2.3", &[b"198.51.100.2", b"203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            ("10.1.2.3", &[b"203.0.113.50:40, 10.9.9.9:65535"], "203.0.113.50"),
            ("10.1.2.3", &[b"[2001:db8::1]:40"], "2001:db8::1"),
            ("10.1.2.3", &[b"[2001:db8::1]"], "2001:db8::1"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &[b"nonsense"], "10.1.2.3"),
            ("10.1.2.3", &[b"203.0.113.9, \xe9"], "10.1.2.3"),
            ("10.1.2.3", &[b"203.0.113.9:70000"], "10.1.2.3"),
            ("::ffff:10.1.2.3", &[b"2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(client(peer, lists).as_deref(), Some(expected), "{peer} {lists:?}");
        }
        assert_eq!(proxies.peer(Some(SocketAddr::new(address("10.1.2.3"), 1))), None);
        assert!(proxies.peer(Some(SocketAddr::new(address("198.51.100.1"), 1))).is_some());
    }
}
