"""Journals as an earlier version of vosd has left them, and what its next run made of each: packets, calls and records.

The journals were written, and continued, by the version that ``--tree`` names::

    python tests/property/earlier_journals.py --tree ../before tests/golden/earlier_journals.zip

``test_earlier_journals`` has the present version continue the same journals. Where a change of the behaviour is wanted,
``--again`` writes what becomes of them now, and the difference is to be looked at.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from zipfile import ZIP_LZMA, ZipFile

from structlog.testing import capture_logs

SEEDS: Final = range(60)
MOST: Final = 28
"""So many journals of which calls go on."""
COLUMNS: Final = (
    "call_id", "started_at", "ringing_at", "vendor_answered_at", "answered_at", "acknowledged_at", "ended_at",
    "end_reason", "hangup_source", "routing_gateway", "callee_out", "sip_call_id_in", "sip_call_id_out", "codec",
    "hold_time_ms", "fee", "cost", "postings", "attempts",
)  # fmt: skip
ADDED: Final = ", media_path=None, media_step=None, media_fault=None"
"""Fields that attempts have had since then, as calls without media have them."""
GOES_ON_MS: Final = 200_000
RESULT: Final = "result"


class Taken(Exception):  # noqa: N818
    """The journal was copied: the scenario need not go on."""


def journals(seed: int) -> Iterator[tuple[str, int, dict[str, bytes], Any]]:
    """Yield the name of a journal, when it was left, its files, and the catalogue of its calls."""
    import call_plans
    import scenarios
    import test_switch_midcall as midcall
    from doubles.killed import KilledScene
    from doubles.virtual import customer, ua, vendor

    for kind in ("killed", "kept"):
        draw = Random(f"journal {seed}")
        is_day = draw.random() < 0.3
        found: list[tuple[int, dict[str, bytes], Any]] = []

        def leave(scene: Any, directory: Path, kind: str = kind, found: list[Any] = found) -> None:
            if kind == "kept":
                scene.stop_and_keep()
            else:
                scene.kill()
            files = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.stat().st_size}
            files = {name: data for name, data in files.items() if name.startswith("journal-")}
            found.append((scene.exchange.clock.now().mono, files, scene.exchange.switch.catalogue))
            raise Taken

        with TemporaryDirectory() as root, capture_logs(), suppress(Taken):
            directory = Path(root) / "journal"

            def made(*content: Any, at_ms: int, directory: Path = directory, **terms: Any) -> Any:
                scene = KilledScene(directory, *content, **terms)
                scene.wire.after(at_ms, partial(leave, scene, directory))
                return scene

            if is_day:
                customer._numbers = vendor._numbers = ua._numbers = count(1)
                usual = midcall.Scene
                midcall.Scene = partial(made, at_ms=draw.randrange(5_000, 60_000))
                try:
                    midcall.Day(seed)
                finally:
                    midcall.Scene = usual
            else:
                plan = scenarios._plan(draw)
                moment = scenarios._moments(plan, draw, 1)[0] % 60_000
                scene, _ = call_plans.staged(plan, partial(made, at_ms=moment))
                scene.wire.run_for(70_000)
        for at_ms, files, content in found:
            yield f"{seed:02} {'day' if is_day else 'plan'} {kind}", at_ms, files, content


def continued(directory: Path, at_ms: int) -> str:
    """Continue a journal with a switch whose peers say nothing; return what happens, call by call, and all packets."""
    from call_plans import CUSTOMER, KEYS
    from doubles.data.builders import catalogue, mapping_gateway
    from doubles.killed import KilledScene
    from doubles.virtual.exchange import SWITCH
    from doubles.virtual.scene import VENDORS, vendor_gateway

    from vosd.base.cause import EndReason
    from vosd.base.session_timer import SessionTimerSettings
    from vosd.sip.flows import Listener
    from vosd.trunks.dialect import CalleeDialect, CallerDialect, Redirects

    class Later(KilledScene):
        """A scene whose clock stands where that of the journal has stopped."""

        def _begin(self, before: Any) -> None:
            if before is None:
                self.wire.run_for(at_ms - self.exchange.clock.now().mono)
                for address in (CUSTOMER, *VENDORS):
                    self.wire.attach(address, lambda _packet: None)
            super()._begin(before)

    timer = SessionTimerSettings(ttl_s=90, no_timer_limit_s=300)
    gateways = [
        vendor_gateway(index, dialect=CalleeDialect(session_timer=timer, redirects=Redirects.FOLLOW))
        for index in range(2)
    ]
    dialect = CallerDialect(session_timer=timer, transfer_keys=KEYS)
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect), *gateways])
    with capture_logs() as logged:
        scene = Later(directory, content, listeners=(Listener(*SWITCH),))
        exchange, lines = scene.exchange, []
        for each in exchange.switch.calls():
            hold = each.call_request.hold
            held = None if hold is None else [(one.credit.account, one.amount, one.granted_s) for one in hold.holds]
            lines.append(f"{each.call_id} {each.call.state.name} {held}")
        scene.wire.run_for(GOES_ON_MS)
        exchange.end_all(EndReason.ADMINISTRATIVE)
        scene.wire.run_for(70_000)
        exchange.sink.journal.close()
    for packet in scene.wire.packets:
        head = packet.data.decode(errors="replace").split("\r\n")
        numbered = next(line for line in head if line.startswith("CSeq"))
        lines.append(f"{packet.sent_at} {packet.target} {head[0].replace('sip:', '')} {numbered}")
    records = exchange.sink.records
    lines += [str([getattr(record, name) for name in COLUMNS]).replace(ADDED, "") for record in records]
    lines += [f"{line['event']} {line.get('why', '')}" for line in logged if line["log_level"] != "debug"]
    return "\n".join(lines)


def continue_again(archive: Path) -> None:
    """Replace what became of the journals: the behaviour has changed, and the calls still go on."""
    with ZipFile(archive) as before:
        files = {name: before.read(name) for name in before.namelist()}
    with ZipFile(archive, "w", ZIP_LZMA) as out:
        for name, data in files.items():
            path = Path(name)
            if path.name != RESULT:
                out.writestr(name, data)
                continue
            with TemporaryDirectory() as root:
                for each, content in files.items():
                    if Path(each).parent == path.parent and Path(each).name != RESULT:
                        (Path(root) / Path(each).name).write_bytes(content)
                out.writestr(name, continued(Path(root), int(path.parent.name)))


def main() -> None:
    """Write the journals, and what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--again", action="store_true", help="continue the journals of the archive once more")
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != Path(__file__).resolve().parent]
    sys.path[:0] = [str(asked.tree / part) for part in (".", "tests", "tests/property")]
    sys.path.append(str(Path(__file__).resolve().parent))
    if asked.again:
        continue_again(asked.out)
        return
    number = 0
    with ZipFile(asked.out, "w", ZIP_LZMA) as out:
        for seed in SEEDS:
            for name, at_ms, files, _ in journals(seed):
                with TemporaryDirectory() as root:
                    for file, data in files.items():
                        (Path(root) / file).write_bytes(data)
                    result = continued(Path(root), at_ms)
                is_continued = "TALKING" in result or "RINGING" in result
                number += is_continued
                if not is_continued or number > MOST:
                    continue
                for file, data in files.items():
                    out.writestr(f"{name}/{at_ms}/{file}", data)
                out.writestr(f"{name}/{at_ms}/{RESULT}", result)


if __name__ == "__main__":
    main()
