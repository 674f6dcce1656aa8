//! The fuzz targets on their kept corpus, and on inputs made from it: always the same ones, so that a failure comes again.
//! `FUZZ_RUNS=1000000 cargo test --test fuzz_corpus` makes more of them; `make fuzz` has a fuzzer look for others.

use std::{cell::Cell, collections::BTreeSet, env, fs, path::PathBuf};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestError, TestRunner},
};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the fuzzer's crate is another one")]
mod fuzz;

/// Inputs of each target, unless `FUZZ_RUNS` says otherwise.
const RUNS: u32 = 20_000;
const SEED: u64 = 1_789;
/// What parsers trip over more often than over bytes at random.
const WORDS: &str = r#"" \ \u0000 \ud800 é 🐎 [ ] { } , : / - = % ' null true 0 -1 1.5 1e999 65536 4294967296 9223372036854775807
    18446744073709551615"#;

type Target = fn(&[u8]) -> bool;

#[test]
fn packets_hold_what_is_asked_of_them() {
    holds("packet", fuzz::packet);
}

#[test]
fn envelopes_hold_what_is_asked_of_them() {
    holds("envelope", fuzz::envelope);
}

#[test]
fn polling_payloads_hold_what_is_asked_of_them() {
    holds("polling", fuzz::polling);
}

#[test]
fn tokens_hold_what_is_asked_of_them() {
    holds("token", fuzz::token);
}

#[test]
fn key_files_hold_what_is_asked_of_them() {
    holds("keys", fuzz::keys);
}

#[test]
fn configurations_hold_what_is_asked_of_them() {
    holds("configuration", fuzz::configuration);
}

#[test]
fn every_target_has_a_corpus_and_is_tested() {
    let names = |folder: &str| -> BTreeSet<_> {
        let entries = fs::read_dir(fuzz_folder().join(folder)).expect("a folder of the fuzz targets");
        entries.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("fuzz_targets"), names("corpus"));
    let tested = include_str!("fuzz_corpus.rs");
    for name in names("fuzz_targets") {
        let name = name.to_string_lossy();
        assert!(tested.contains(&format!("holds(\"{name}\", fuzz::{name})")), "{name}");
    }
}

fn holds(name: &str, target: Target) {
    let corpus = corpus(name);
    let let_in = corpus.iter().filter(|(file, input)| {
        println!("{}", file.display());
        target(input)
    });
    assert!((1..corpus.len()).contains(&let_in.count()), "the corpus has inputs that are let in, and others");

    let inputs: Vec<_> = corpus.into_iter().map(|(_, input)| input).collect();
    let let_in = Cell::new(0);
    let mutant = (any::<Index>(), prop::collection::vec(edit(), 1..6)).prop_map(move |(at, edits)| {
        edits.iter().fold(at.get(&inputs).clone(), |input, edit| edit.apply(input, &inputs))
    });
    let result = runner().run(&mutant, |input| {
        let_in.set(let_in.get() + u32::from(target(&input)));
        Ok(())
    });
    if let Err(TestError::Fail(reason, input)) = &result {
        let input = input.escape_ascii();
        panic!("{reason}\nSeed {SEED} made this input, to be kept in fuzz/corpus/{name}:\n{input}");
    }
    result.expect("no input is rejected");
    assert!(let_in.get() > runs() / 100, "{} of {} inputs were let in", let_in.get(), runs());
}

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The kept inputs, in an order that is always the same.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(fuzz_folder().join("corpus").join(name)).expect("a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("an input"))).collect()
}

fn runs() -> u32 {
    env::var("FUZZ_RUNS").map_or(RUNS, |runs| runs.parse().expect("FUZZ_RUNS is a number"))
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases: runs(),
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })
}

/// A change of an input.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// So many bytes are there so many times more.
    Repeat(Index, usize, usize),
    /// From there on it is another input, from its own place on.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let words: Vec<_> = WORDS.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect();
    let word = prop::sample::select(words);
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (at(), word).prop_map(|(at, word)| Edit::Insert(at, word)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, vec![byte])),
        (at(), 1..16_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1..16_usize, 1..200_usize).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        (at(), at(), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

impl Edit {
    fn apply(&self, mut input: Vec<u8>, inputs: &[Vec<u8>]) -> Vec<u8> {
        let (Self::Flip(at, _)
        | Self::Insert(at, _)
        | Self::Remove(at, _)
        | Self::Repeat(at, ..)
        | Self::Splice(at, ..)) = self;
        let at = at.index(input.len() + 1);
        let reach = |length: usize| at..input.len().min(at + length);
        match self {
            Self::Flip(_, bit) => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit),
            Self::Insert(_, bytes) => drop(input.splice(at..at, bytes.iter().copied())),
            Self::Remove(_, length) => drop(input.drain(reach(*length))),
            Self::Repeat(_, length, times) => {
                let more = input[reach(*length)].repeat(*times);
                input.splice(at..at, more);
            }
            Self::Splice(_, other, from) => {
                let other = other.get(inputs);
                input.truncate(at);
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
        input
    }
}
