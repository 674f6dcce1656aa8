"""The parts that start nothing."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench
import fill
import report
from rows import HIGHER, LOWER, Medians, Row, Run, Topic, goals
from scenarios import (
    LANES, WORKERS_OF_ONE_LANE, HighestRate, find_highest, lanes, of_messages, of_pages, scenarios
)
from servers import BEFORE, OURS, PEERS, ROOT, Failed, admin_token, products
from stage import SMALL, Sizes, Wrong, reason_of


def a_run(scenario: str, server: str, repetition: int = 1, failure: str | None = None, **figures: float) -> Run:
    return {"scenario": scenario, "server": server, "repetition": repetition, "failure": failure, "figures": figures,
            "took": 1.0}


def results(*runs: Run) -> report.Results:
    return {
        "version": 1, "command": "make bench", "date": "2025-01-01 00:00 UTC", "commit": "0123456789ab",
        "machine": {"CPU": "one"}, "versions": {"rustc": "1.95.0"}, "notes": ["Fewer connections."],
        "settings": {"repeat": 3, "seconds": 5, "servers": [OURS, *PEERS], "quick": False, "pages": [1, 6000]},
        "runs": list(runs),
    }


class TheMedians(unittest.TestCase):
    def test_are_of_the_repetitions_that_did_not_fail(self) -> None:
        medians = Medians([
            a_run("typing", OURS, 1, server_cpu_us=3), a_run("typing", OURS, 2, failure="lost"),
            a_run("typing", OURS, 3, server_cpu_us=1), a_run("typing", OURS, 4, server_cpu_us=2),
        ])
        self.assertEqual(medians.value("typing", "server_cpu_us", OURS), 2)
        self.assertEqual(medians.failed("typing", OURS), 1)
        self.assertIsNone(medians.value("typing", "server_cpu_us", "socketioxide"))

    def test_the_better_peer_is_the_fastest_or_the_cheapest(self) -> None:
        medians = Medians([
            a_run("chat", OURS, per_s=300, cpu_us=10), a_run("chat", "socketioxide", per_s=100, cpu_us=40),
            a_run("chat", "node-tuned", per_s=50, cpu_us=20),
        ])
        self.assertEqual(medians.best_peer("chat", "per_s", HIGHER), "socketioxide")
        self.assertEqual(medians.best_peer("chat", "cpu_us", LOWER), "node-tuned")
        self.assertEqual(medians.ratio("chat", "per_s", "socketioxide"), 3)
        self.assertEqual(medians.ratio("chat", "cpu_us", "node-tuned"), 0.5)

    def test_there_is_no_ratio_to_what_is_missing_or_zero(self) -> None:
        medians = Medians([a_run("storm", OURS, refused=0), a_run("storm", "socketioxide", refused=0)])
        self.assertIsNone(medians.ratio("storm", "refused", "socketioxide"))
        self.assertIsNone(medians.ratio("storm", "seconds", medians.best_peer("storm", "seconds", LOWER)))


class TheGoals(unittest.TestCase):
    def verdict(self, what: str, *runs: Run) -> tuple[str, bool | None]:
        return next(goal for goal in goals() if goal.what == what).reached(Medians(list(runs)))

    def test_a_rate_is_held_against_the_better_peer(self) -> None:
        what = "messages/s, 256 users, 1 in flight"
        slow, fast = a_run("chat-256x1", "node-tuned", per_s=100), a_run("chat-256x1", "socketioxide", per_s=200)
        self.assertEqual(self.verdict(what, a_run("chat-256x1", OURS, per_s=600), slow, fast), ("3.00 ×", True))
        self.assertEqual(self.verdict(what, a_run("chat-256x1", OURS, per_s=590), slow, fast), ("2.95 ×", False))

    def test_a_cost_is_held_against_socketioxide_whatever_others_cost(self) -> None:
        others = a_run("typing", "socketioxide", server_cpu_us=10), a_run("typing", "node-tuned", server_cpu_us=1)
        verdict = self.verdict("CPU of a typing event", a_run("typing", OURS, server_cpu_us=6), *others)
        self.assertEqual(verdict, ("0.60 ×", True))

    def test_memory_is_in_thousands_of_bytes(self) -> None:
        what = "memory of a connection, direct"
        self.assertEqual(self.verdict(what, a_run("idle-direct", OURS, bytes=9_960)), ("9.96 KB", True))
        self.assertEqual(self.verdict(what, a_run("idle-direct", OURS, bytes=10_100)), ("10.1 KB", False))

    def test_no_connection_may_stay_away_in_any_run(self) -> None:
        runs = [a_run("storm", OURS, number, missing=missing) for number, missing in enumerate([0, 0, 2])]
        self.assertEqual(self.verdict("storm, connections that are not back", *runs), ("2", False))

    def test_what_was_not_measured_is_not_judged_and_what_failed_is_not_reached(self) -> None:
        runs = [a_run("typing", OURS, failure="lost"), a_run("idle-direct", OURS, bytes=9_000)]
        table = report.goals_table(Medians(runs), [OURS, "socketioxide"])
        self.assertIn("| CPU of a typing event | ≤ 0.6 × socketioxide | failed | **no** |", table)
        self.assertIn("| CPU of a ping, direct | ≤ socketioxide | – | not measured |", table)

    def test_what_was_not_chosen_is_left_out(self) -> None:
        medians = Medians([a_run("idle-direct", OURS, bytes=9_000)])
        table = report.goals_table(medians, [OURS, "node-tuned"])
        self.assertIn("| memory of a connection, direct |", table)
        self.assertNotIn("GET page 1", table)
        self.assertNotIn("socketioxide", table)
        self.assertEqual(report.goals_table(Medians([a_run("mixed", OURS)]), [OURS]), "")

    def test_each_is_of_a_figure_that_is_measured_and_shown(self) -> None:
        names = {scenario.name for scenario in scenarios(Sizes())}
        self.assertLessEqual({goal.scenario for goal in goals()}, names)
        shown = {row.scenario for topic in report.topics([1]) for row in topic.rows}
        self.assertEqual(shown | {"postgres-alone"}, names)


class TheSearch(unittest.TestCase):
    def search(self, limit: int, cap: int = 60_000) -> tuple[int, list[int]]:
        tried: list[int] = []

        def holds(rate: int) -> bool:
            tried.append(rate)
            return rate <= limit

        return find_highest(holds, first=1000, cap=cap), tried

    def test_finds_the_highest_rate_to_seven_in_a_hundred(self) -> None:
        for limit in (300, 1000, 1001, 2999, 7777, 31_000, 59_000):
            rate, tried = self.search(limit)
            self.assertLessEqual(rate, limit)
            self.assertGreater(rate * 1.08 + 1, limit, f"{limit}: {tried}")
            self.assertLess(len(tried), 14)
            self.assertEqual(len(tried), len(set(tried)), "no rate is tried twice")

    def test_ends_at_the_cap(self) -> None:
        self.assertEqual(self.search(100_000), (60_000, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]))

    def test_gives_up_on_a_server_that_holds_nothing(self) -> None:
        rate, tried = self.search(0)
        self.assertEqual(rate, 0)
        self.assertLess(len(tried), 7)


class TheScenarios(unittest.TestCase):
    def test_a_cost_without_an_operation_is_missing_and_not_an_error(self) -> None:
        outcome = {"figures": {"sends_per_s": 0}, "latencies": {}, "processes": {"server": {}, "postgres": {}}}
        self.assertEqual(of_messages(outcome), {"per_s": 0})

    def test_messages_have_their_cost_and_this_servers_mean_batch(self) -> None:
        outcome = {
            "figures": {"sends_per_s": 10}, "latencies": {"ack": {"p50_ms": 1, "p99_ms": 2}},
            "processes": {"server": {"cpu_us_per_op": 20}, "postgres": {"cpu_us_per_op": 30}},
            "stats": {"messages_committed": 90, "batches_committed": 30},
        }
        self.assertEqual(of_messages(outcome), {
            "per_s": 10, "server_cpu_us": 20, "postgres_cpu_us": 30, "cpu_us": 50, "ack_p50_ms": 1, "ack_p99_ms": 2,
            "batch": 3,
        })

    def test_pages_differ_by_the_fastest_over_the_slowest(self) -> None:
        outcome = {"figures": {"page_1_per_s": 100, "page_6000_per_s": 40, "post_per_s": 7}}
        self.assertEqual(of_pages((1, 6000))(outcome), {"page0_per_s": 100, "page1_per_s": 40, "spread": 2.5})

    def test_a_reason_is_in_the_tools_own_words(self) -> None:
        said = "/bin/chat-load rate … failed (1): chat-load: cannot make a user: 500 no"
        self.assertEqual(reason_of(Failed(said)), "cannot make a user: 500 no")
        self.assertEqual(reason_of(Failed("chat-load took longer than 9 s")), "chat-load took longer than 9 s")

    def test_the_bare_client_has_as_many_connections_as_the_server_has_lanes(self) -> None:
        limits = (ROOT / "actors/src/limits.rs").read_text()
        for name, known in (("LANES", LANES), ("WORKERS_OF_ONE_LANE", WORKERS_OF_ONE_LANE)):
            self.assertEqual(int(re.search(rf"pub const {name}: usize = (\d+);", limits).group(1)), known)
        self.assertEqual([lanes(cores) for cores in (1, 2, 4, 8, 16)], [2, 2, 4, 8, 8])

    def test_only_what_came_too_late_is_a_rate_that_is_not_held(self) -> None:
        late = Wrong({"count": 1, "lost": 1, "violations": ["message 3 of user 1 was never acknowledged"]})
        twice = Wrong({"count": 1, "lost": 0, "violations": ["message 3 of user 1 came twice to socket 2"]})
        self.assertTrue(late.is_only_late)
        self.assertFalse(twice.is_only_late)

    def test_a_token_is_signed_with_the_secret(self) -> None:
        signed, signature = admin_token("secret").rsplit(".", 1)
        expected = hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64encode(expected).rstrip(b"=").decode(), signature)
        claims = signed.split(".")[1]
        self.assertEqual(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["role"], "admin")


class TheDocument(unittest.TestCase):
    def test_a_cell_has_the_median_and_the_range(self) -> None:
        row = Row("chat-256x1", "per_s", "messages/s", HIGHER)
        medians = Medians([a_run("chat-256x1", OURS, n, per_s=value) for n, value in enumerate([900, 12_000, 1000])])
        self.assertEqual(report.cell(medians, row, OURS), "1,000 (900–12,000)")
        self.assertEqual(report.cell(Medians([a_run("chat-256x1", OURS, per_s=4.25)]), row, OURS), "4.25")

    def test_a_cell_tells_of_runs_that_failed(self) -> None:
        row = Row("storm", "seconds", "seconds", LOWER)
        runs = [a_run("storm", OURS, 1, seconds=2), a_run("storm", OURS, 2, failure="lost")]
        self.assertEqual(report.cell(Medians(runs), row, OURS), "2, 1 failed")
        self.assertEqual(report.cell(Medians(runs[1:]), row, OURS), "failed")
        self.assertEqual(report.cell(Medians(runs), row, "node-tuned"), "–")

    def test_a_table_has_a_column_a_server_and_the_ratio_to_the_better_peer(self) -> None:
        topic = Topic("Speed", "", [Row("rest", "post_per_s", "POST", HIGHER), Row("storm", "seconds", "storm", LOWER)])
        medians = Medians([a_run("rest", OURS, post_per_s=20), a_run("rest", "node-tuned", post_per_s=10)])
        self.assertEqual(report.topic_table(topic, medians, [OURS, "node-tuned"]), (
            f"| | {OURS} | node-tuned | ratio |\n| --- | ---: | ---: | --- |\n| POST | 20 | 10 | 2.00 × node-tuned |"
        ))

    def test_a_rate_that_the_generator_limits_is_marked(self) -> None:
        topic = Topic("", "", [Row("highest-rate", "per_s", "highest", HIGHER)])
        medians = Medians([a_run("highest-rate", OURS, per_s=9000, generator_is_limit=1)])
        table = report.topic_table(topic, medians, [OURS])
        self.assertIn("| ≥ 9,000† |", table)
        self.assertIn("† The load generator", table)

    def test_the_document_names_what_failed_and_why(self) -> None:
        runs = results(a_run("storm", "node-tuned", 2, failure="socket 1 | was\nrefused"))
        text = report.document(runs, ROOT / "load")
        self.assertIn("| storm | node-tuned | 2 | socket 1 \\| was refused |", text)
        self.assertIn("> Fewer connections.", text)
        self.assertNotIn("Every run was correct", text)

    def test_the_document_says_what_was_chosen(self) -> None:
        some = {**results(a_run("rest", OURS, post_per_s=10)), "notes": []}
        some["settings"] = {**some["settings"], "servers": [OURS, "socketioxide"]}
        text = " ".join(report.document(some, ROOT / "load").split())
        self.assertIn(f"Chosen were of the 16 scenarios `rest`; of the 4 servers {OURS}, socketioxide.", text)
        everything = results(*(a_run(scenario.name, OURS) for scenario in scenarios(Sizes())))
        self.assertNotIn("Chosen", report.document(everything, ROOT / "load"))

    def test_another_binary_of_this_server_takes_the_peers_place(self) -> None:
        results_of_both = results(a_run("rest", OURS, post_per_s=30), a_run("rest", BEFORE, post_per_s=20))
        results_of_both["settings"]["servers"] = [OURS, BEFORE]
        results_of_both["before"] = "`/old/chat`, SHA-256 0123456789ab"
        text = report.document(results_of_both, ROOT / "load")
        self.assertIn(f"| | {OURS} | {BEFORE} | ratio |", text)
        self.assertIn(f"| POST a message: requests/s | 30 | 20 | 1.50 × {BEFORE} |", text)
        self.assertIn("| before | `/old/chat`, SHA-256 0123456789ab |", text)
        self.assertNotIn("the better peer |", text)
        self.assertNotIn("servers horsetrust-chat", text)

    def test_links_are_relative_to_where_the_document_is(self) -> None:
        some = results(a_run("rest", OURS, post_per_s=10))
        self.assertIn("[peers](./peers/README.md)", report.document(some, ROOT / "load"))
        self.assertIn("[peers](../../peers/README.md)", report.document(some, ROOT / "load/bench/quick"))

    def test_prose_is_in_lines_of_a_length(self) -> None:
        text = report.document(results(*(a_run(scenario.name, OURS) for scenario in scenarios(Sizes()))), ROOT / "load")
        long = [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")]
        self.assertEqual(long, [])

    def test_the_document_sets_postgres_alone_beside_the_server(self) -> None:
        alone = {"batch1_per_s": 3000.0, "batch1_cpu_us": 100.0}
        text = report.document(results(
            a_run("postgres-alone", "postgres", **alone),
            a_run("chat-1000x8", OURS, per_s=20_000, postgres_cpu_us=12.34, batch=40.04),
        ), ROOT / "load")
        self.assertIn("| pgbench | 1 | 3,000 | 100 |", text)
        self.assertIn("| pgbench | 16 | – | – |", text)
        self.assertIn(f"| {OURS}, chat-1000x8 | 40.0 on average | 20,000 | 12.3 |", text)


class TheEstimate(unittest.TestCase):
    def test_counts_down_to_the_end(self) -> None:
        shown = [bench.duration(seconds) for seconds in (3, 34, 114, 116, 3570, 7300)]
        self.assertEqual(shown, ["10 s", "30 s", "110 s", "2 min", "1 h 0 min", "2 h 2 min"])


class TheBareClient(unittest.TestCase):
    def test_stores_a_single_message_with_the_servers_own_statement(self) -> None:
        script = fill.batch_script(1)
        self.assertIn("RETURNING last_seq", script)
        self.assertNotRegex(script, r"\$\d|--")
        self.assertTrue(script.endswith("RETURNING id, seq;\n"))


class TheCommandLine(unittest.TestCase):
    def test_names_are_taken_in_the_order_in_which_they_are_run(self) -> None:
        parse = bench.names_of(["a", "b", "c"])
        self.assertEqual(parse("c,a"), ["a", "c"])
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "there is no 'd'; there are: a, b, c"):
            parse("a,d")

    def test_another_server_is_first_in_each_repetition(self) -> None:
        arguments = argparse.Namespace(repeat=3, servers=[OURS, "node-tuned"], only=["typing", "postgres-alone"])
        steps = bench.plan(arguments, Sizes(), products(Path("a"), Path("b")))
        self.assertEqual([(repetition, scenario.name, product.name) for repetition, scenario, product in steps], [
            (1, "typing", OURS), (1, "typing", "node-tuned"), (1, "postgres-alone", OURS),
            (2, "typing", "node-tuned"), (2, "typing", OURS), (2, "postgres-alone", OURS),
            (3, "typing", OURS), (3, "typing", "node-tuned"), (3, "postgres-alone", OURS),
        ])

    def test_another_binary_of_this_server_is_started_as_this_one(self) -> None:
        both = products(Path("a"), Path("b"), Path("old/chat"))
        self.assertEqual(both[BEFORE].command, ["old/chat", *both[OURS].command[1:]])
        self.assertEqual(both[BEFORE].environment, both[OURS].environment)
        self.assertTrue(both[BEFORE].is_ours)
        self.assertNotIn(BEFORE, products(Path("a"), Path("b")))

    def test_a_program_that_is_not_there_is_refused_before_anything_runs(self) -> None:
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "there is no program /nowhere/chat"):
            bench.program("/nowhere/chat")

    def test_a_program_that_is_not_this_server_is_refused_before_anything_runs(self) -> None:
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "does not answer as horsetrust-chat does"):
            bench.program("/bin/true")
        with tempfile.TemporaryDirectory() as directory:
            old = Path(directory) / "old"
            old.write_text("#!/bin/sh\necho horsetrust-chat 0.0.1\n")
            old.chmod(0o755)
            self.assertEqual(bench.program(str(old)), old.resolve())

    def test_what_cannot_be_rendered_is_refused_in_a_line(self) -> None:
        for path, why in (("/nowhere", "cannot read /nowhere"), ("/etc/hostname", "/etc/hostname")):
            with self.assertRaisesRegex(Failed, why):
                bench.read(Path(path))
        with tempfile.TemporaryDirectory() as directory:
            other = Path(directory) / "other.json"
            other.write_text("[]")
            with self.assertRaisesRegex(Failed, "is no results.json"):
                bench.read(other)

    def test_small_and_full_sizes_have_the_same_scenarios(self) -> None:
        self.assertEqual([s.name for s in scenarios(SMALL)], [s.name for s in scenarios(Sizes())])
        self.assertTrue(any(isinstance(scenario, HighestRate) for scenario in scenarios(SMALL)))


if __name__ == "__main__":
    unittest.main()
