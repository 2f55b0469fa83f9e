"""Transcripts of random calls on virtual time: every packet, record, hold and counter of a scenario, chosen by a seed.

Two versions of vosd are compared by the digests of the same scenarios::

    git worktree add ../before COMMIT
    python tests/property/scenarios.py --tree ../before 2000 before.txt
    python tests/property/scenarios.py 2000 now.txt
    diff before.txt now.txt

A line is one scenario: its seed, its kind, the length and the digest of its transcript. ``--whole`` writes the
transcript itself, for the few that differ: ``--first 417 --whole 1 text.txt``. Parties and doubles are those of the
chosen tree, because they know the interior of its version; so they are imported when a scenario runs. A tree whose
doubles lie elsewhere is run with the script that it has. Where a strict
party refuses what a falsified packet makes of a call, the scenario stops and its transcript says so.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import count
from multiprocessing import Pool
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec
from structlog.testing import capture_logs

if TYPE_CHECKING:
    from call_plans import Plan
    from doubles.virtual.scene import Scene

SAMPLE_MS: Final = 7_001
"""Interval at which money and counters are written down while a scenario lasts."""
KINDS: Final = ("call", "wait", "wait", "answer", "answer", "cancel", "repeat the INVITE", "replace", "end all")
"""Events that may come to a call whose set-up waits."""
WITHOUT_MEANING: Final = frozenset({"exc_info", "exception"})


class Transcript:
    """The transcript of one scenario."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.scenes: list[Scene] = []

    def follow(self, scene: "Scene") -> "Scene":
        """Write down what a scene holds and counts from time to time."""
        self.scenes.append(scene)
        scene.wire.after(SAMPLE_MS, partial(self._sample, scene))
        return scene

    def _sample(self, scene: "Scene") -> None:
        self._state(scene, "sample")
        scene.wire.after(SAMPLE_MS, partial(self._sample, scene))

    def _state(self, scene: "Scene", title: str) -> None:
        exchange = scene.exchange
        switch = exchange.switch
        counted = {
            "at": exchange.clock.now().mono,
            "held": {name: (credit.reserved, credit.unbooked, credit.available, credit.is_low)
                     for name, credit in exchange.credits.items()},
            "places": switch.live.occupancy.total(),
            "callers": switch.live.dynamic_lists.total(),
            "census": {figure.name: number for figure, number in switch.census().items()},
            "totals": {figure.name: number for figure, number in switch.totals().items()},
            "notices": {figure.name: number for figure, number in switch.notices.counted.items() if number},
            "unused": {why.name: number for why, number in switch.services.unused_answers.items()},
            "dropped": {str(why): number for why, number in exchange.endpoint.dropped.items()},
            "again": (exchange.endpoint.store.sent_again, exchange.endpoint.store.received_again),
            "calls": [(each.call_id, each.call.state.name, each.due_ms, _money_of(each)) for each in switch.calls()],
        }  # fmt: skip
        self.lines.append(f"{title} {counted}")

    def end(self, logged: list[Any]) -> None:
        """Write down packets, records and log lines, once all of it has happened."""
        for scene in self.scenes:
            self._state(scene, "end")
            for packet in scene.wire.packets:
                self.lines.append(f"{packet.sent_at} {packet.source} {packet.target} {packet.data!r}")
            for record in scene.exchange.sink.records:
                columns = msgspec.to_builtins(record, builtin_types=(bytes,)) if _is_plain(record) else repr(record)
                self.lines.append(f"record {columns}")
            self.lines.append(f"lost {[record.call_id for record in getattr(scene, 'lost', ())]}")
        for line in logged:
            said = sorted((name, str(each)) for name, each in line.items() if name not in WITHOUT_MEANING)
            self.lines.append(f"log {said}")


def _is_plain(record: Any) -> bool:
    try:
        msgspec.json.encode(record)
    except UnicodeEncodeError:
        return False
    return True


def _money_of(live_call: Any) -> object:
    hold = live_call.call_request.hold
    if hold is None:
        return None
    holds = [(each.credit.account, each.amount, each.granted_s, each.lead_s) for each in hold.holds]
    return hold.granted_s, hold.ceiling_s, holds


# -- what happens ---------------------------------------------------------------------------------------------------


def _plan(draw: Random) -> "Plan":
    """Draw a plan of one call, like ``call_plans.plans_with_moments``."""
    from call_plans import ANSWERING, DOINGS, INTENTS, KEYED, SCRIPTS, Plan

    from vosd.base.session_timer import Probe

    storm = draw.choice([None, draw.randrange(2**16)])
    if draw.random() < 0.25:
        how = draw.choice(sorted(each for each in DOINGS if "by keys" in each))
        then = [
            (draw.randrange(7_000, 25_000), draw.choice(["caller", "callee"]), draw.choice(KEYED))
            for _ in range(draw.randrange(4))
        ]
        later = draw.choice(["answers", "answers late", "rings", "fails", "early media"])
        doings = ((3_000, "caller", how), *then, (40_000, "callee", "hangs up"))
        return Plan("plain", ("answers", "fails"), doings, storm, later=later)
    doing = [*sorted(DOINGS), "loses its connection"]
    doings = tuple(
        (draw.choice([draw.randrange(1_000, 12_000), draw.randrange(12_000, 100_000)]),
         draw.choice(["caller", "callee"]), draw.choice(doing))
        for _ in range(draw.randrange(8))
    )  # fmt: skip
    return Plan(
        draw.choice(sorted(INTENTS)),
        (draw.choice([draw.choice(ANSWERING), draw.choice(sorted(SCRIPTS))]), draw.choice(ANSWERING)),
        doings,
        storm,
        draw.choice(["100", "0.7"]),
        draw.choice(list(Probe)),
        draw.choice([300, 40]),
        draw.choice(["udp", "udp", "tcp"]),
        charges_ringing=draw.choice([False, False, True]),
    )


def _moments(plan: "Plan", draw: Random, most: int) -> list[int]:
    busy = [0, 1_000, *(at_ms for at_ms, *_ in plan.doings)]
    moments = [
        draw.choice([draw.choice(busy) + draw.choice([draw.randrange(1, 10), draw.randrange(10, 3_000)]),
                     draw.randrange(150_000)])
        for _ in range(draw.randrange(1, most + 1))
    ]  # fmt: skip
    return sorted(moments)


def _disturbed(kind: str, directory: Path, moments: list[int], draw: Random) -> Any:
    """Return what makes the scene of a scenario: its switch is replaced, killed or stopped at these moments, or not."""
    from doubles.killed import KilledScene
    from doubles.successor import replace_node
    from doubles.virtual.scene import Scene

    def scene(*content: Any, **terms: Any) -> "Scene":
        if kind in {"plain", "replaced"}:
            made = Scene(*content, **terms)
            for at_ms in moments if kind == "replaced" else ():
                made.wire.after(at_ms, partial(replace_node, made))
            return made
        killed = KilledScene(directory, *content, **terms)
        free = 0
        for at_ms in moments:
            away_ms = draw.choice([0, 0, 300, 2_000, 40_000])
            begin = max(at_ms, free)
            free = begin + away_ms + 1
            killed.wire.after(begin, partial(killed.kill if kind == "killed" else killed.stop_and_keep, away_ms))
        return killed

    return scene


def _paying_accounts(draw: Random) -> list[Any]:
    """Return a customer below two agents, and vendors that are paid in advance."""
    from doubles.data.builders import account

    from vosd.billing.accounts import AccountType

    advance_s = draw.choice([5, 30, 90])
    limits = {name: Decimal(draw.choice(["0.20", "0.60", "9"])) for name in ("south", "top", "carriers")}
    return [
        account("acme", agent="south", advance_s=advance_s),
        account("south", agent="top", overdraft_limit=limits["south"], advance_s=advance_s),
        account("top", overdraft_limit=limits["top"], advance_s=advance_s + 3),
        account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=limits["carriers"]),
    ]


def _run_plan(kind: str, draw: Random, directory: Path, transcript: Transcript) -> None:
    import call_plans

    from vosd.base.cause import EndReason

    plan = _plan(draw)
    make = _disturbed(kind, directory, _moments(plan, draw, 4), draw)
    usual = call_plans.catalogue
    if draw.random() < 0.4:
        call_plans.catalogue = partial(usual, accounts=_paying_accounts(draw))
    try:
        scene, _ = call_plans.staged(plan, lambda *content, **terms: transcript.follow(make(*content, **terms)))
    finally:
        call_plans.catalogue = usual
    scene.wire.run_for(call_plans.LASTS_MS)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    transcript.lines.append(f"plan {plan}")
    transcript.lines.append(f"left {scene.exchange.leftovers()}")


def _run_day(kind: str, seed: int, draw: Random, directory: Path, transcript: Transcript) -> None:
    import test_switch_midcall as midcall
    from doubles.virtual import customer, ua, vendor

    customer._numbers = vendor._numbers = ua._numbers = count(1)
    moments = sorted(draw.sample(range(0, midcall.DAY_MS, 1_500), {"replaced": 25}.get(kind, 4)))
    make = _disturbed(kind, directory, moments, draw)
    before = midcall.Scene
    midcall.Scene = lambda *content, **terms: transcript.follow(make(*content, **terms))
    try:
        midcall.Day(seed)
    finally:
        midcall.Scene = before
    (scene,) = transcript.scenes
    scene.wire.run_for(150_000)
    transcript.lines.append(f"left {scene.exchange.leftovers()}")


def _run_setup(draw: Random, transcript: Transcript) -> None:
    """Let a set-up ask questions of a switch that is replaced now and then."""
    import test_setup_snapshots as twice
    import test_switch_setup as setups
    from doubles.asking_steps import DEADLINE_MS, looking_up, steps_with

    from vosd.base.cause import EndReason

    asking = looking_up() if draw.random() < 0.5 else looking_up(otherwise=None)
    steps = list(steps_with(asking, before=draw.choice(setups.PLACES)))
    second = draw.choice(setups.PLACES)
    steps.insert(len(steps) if second is None else steps.index(second), looking_up())
    known = [draw.choice([None, None, None, *sorted(setups.ANSWERS)]) for _ in range(draw.randrange(1, 6))]
    story = twice.ToldTwice(tuple(steps), twice.AskedAgain(known), replaced=True)
    transcript.follow(story.scene)
    waits = [1, 50, 400, DEADLINE_MS // 2, DEADLINE_MS - 10, DEADLINE_MS + 10]
    story.do("call")
    for _ in range(draw.randrange(3, 20)):
        kind = draw.choice(KINDS)
        what = {
            "wait": lambda: (draw.choice(waits),),
            "answer": lambda: (draw.randrange(10), draw.choice(sorted(setups.ANSWERS))),
            "cancel": lambda: (draw.randrange(10),),
            "repeat the INVITE": lambda: (draw.randrange(10),),
            "end all": lambda: (draw.choice([EndReason.ADMINISTRATIVE, EndReason.SHUTDOWN]),),
        }.get(kind, tuple)()
        story.do(kind, *what)
    story.scene.wire.run_for(40_000)
    transcript.lines.append(f"asked {story.asker.asked} {story.asker.cancelled}")


def run(seed: int) -> tuple[str, str]:
    """Return kind and transcript of the scenario of a seed."""
    draw = Random(f"scenario {seed}")
    kind = draw.choice(["plain", "replaced", "killed", "kept"])
    what = draw.choice(["plan", "plan", "plan", "day", "set-up"])
    transcript = Transcript()
    text = _transcript_of(kind, what, seed, draw, transcript)
    return (what if what == "set-up" else f"{what} {kind}"), text


def _transcript_of(kind: str, what: str, seed: int, draw: Random, transcript: Transcript) -> str:
    with TemporaryDirectory() as directory, capture_logs() as logged:
        try:
            match what:
                case "plan":
                    _run_plan(kind, draw, Path(directory) / "journal", transcript)
                case "day":
                    _run_day(kind, seed, draw, Path(directory) / "journal", transcript)
                case _:
                    _run_setup(draw, transcript)
        except ImportError:
            raise  # that is a tree from before this script: compare with the one that it has
        except Exception as error:  # noqa: BLE001  two versions are to stop alike
            transcript.lines.append(f"stopped {error!r}")
        transcript.end(list(logged))
        for scene in transcript.scenes:
            journal = getattr(scene.exchange.sink, "journal", None)
            if journal is not None:
                journal.close()
    return "\n".join(transcript.lines).replace(directory, "DIRECTORY")


def _line(seed: int) -> str:
    kind, text = run(seed)
    return (
        f"{seed} {kind}: {text.count(chr(10))} lines {sha256(text.encode(errors='surrogateescape')).hexdigest()[:20]}"
    )


def _lines(seeds: range, jobs: int) -> Iterator[str]:
    if jobs == 1:
        yield from map(_line, seeds)
        return
    with Pool(jobs) as pool:
        yield from pool.imap(_line, seeds, chunksize=10)


def main() -> None:
    """Write digests or transcripts to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=Path(__file__).resolve().parents[2], help="of the version to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="write each transcript")
    parser.add_argument("scenarios", type=int)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != Path(__file__).resolve().parent]
    sys.path[:0] = [str(asked.tree / part) for part in (".", "tests", "tests/property")]
    seeds = range(asked.first, asked.first + asked.scenarios)
    with asked.out.open("w", errors="surrogateescape") as out:
        if asked.whole:
            for seed in seeds:
                kind, text = run(seed)
                out.write(f"=== {seed} {kind}\n{text}\n")
        else:
            for line in _lines(seeds, asked.jobs):
                out.write(f"{line}\n")


if __name__ == "__main__":
    main()
