"""Processor time of a reload with many accounts and as many trunks, by stage: ``python -m bench.reload [NUMBER]``.

The configuration is read as the switch reads it, without calls beside it. Reading the files is what ``files`` takes;
all else is what one change costs until the new catalogue can come into force.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vosd.config import load as loading, reload as reloading
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded
from vosd.config.reader.whole_files import read_by_a_process

from .targets import configuration

NUMBER = 100_000
ACCOUNT = "  - {{id: {}, type: direct, rate_group: sell}}\n"
TRUNK = "  - {{name: {}, account: a1, hosts: [11.0.0.{}/32]}}\n"


def edits(number: int) -> list[tuple[str, Callable[[str], str]]]:
    """Return what is edited, each on top of the ones before."""
    middle = f"{{id: a{number // 2}, type: direct,"
    return [
        ("an account at the begin", lambda text: text.replace("accounts:\n", f"accounts:\n{ACCOUNT.format('n1')}", 1)),
        (
            "an account in the middle",
            lambda text: text.replace(f"  - {middle}", f"{ACCOUNT.format('n2')}  - {middle}", 1),
        ),
        ("a trunk", lambda text: text.replace("_gateways:\n", f"_gateways:\n{TRUNK.format('n3', 3)}", 1)),
        ("another limit", lambda text: text.replace(middle, f"{middle} max_cps: 5,", 1)),
        ("an account less", lambda text: text.replace(ACCOUNT.format("n1"), "", 1)),
        ("nothing", lambda text: text),
        ("a price", lambda text: text.replace('"0.012"', '"0.013"', 1)),
        ("a parameter", lambda text: f"{text}limits: {{max_call_seconds: 7201}}\n"),
    ]


class Stages:
    """Processor time of functions, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, module: Any, name: str) -> None:
        """Add up what a function of a module takes from now on."""
        function = getattr(module, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began

        setattr(module, name, watched)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER
    stages, remembered = Stages(), Remembered()
    remembered.reads = read_by_a_process
    stages.watch(Remembered, "files")
    for name in ("source_of", "assemble"):
        stages.watch(loading, name)
    stages.watch(reloading, "losses")
    stages.watch(Remembered, "renew")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "vosd.yaml")
        text = configuration(f"sqlite+aiosqlite:///{directory}/vosd.db", number)
        path.write_text(text)
        began = time.process_time()
        loaded: Loaded = loading.load(path, remembered=remembered)
        print(f"{number:,} accounts and trunks: a first load {time.process_time() - began:.1f} s of processor time")
        print(f"{'milliseconds':26}{'all':>8}{'reading':>9}{'beyond':>8}  of which")
        for what, edit in edits(number):
            text = edit(text)
            path.write_text(text)
            gc.freeze()  # as the switch does, which lets no collection begin meanwhile
            stages.seconds.clear()
            began = time.process_time()
            outcome = reloading.reload(path, loaded, remembered=remembered)
            taken = time.process_time() - began
            assert outcome.is_accepted, outcome.problems
            loaded = outcome.in_force
            read = stages.seconds.pop("files")
            shown = ", ".join(f"{name} {1_000 * seconds:.0f}" for name, seconds in stages.seconds.items())
            print(f"{what:26}{1_000 * taken:8.0f}{1_000 * read:9.0f}{1_000 * (taken - read):8.0f}  {shown}")


if __name__ == "__main__":
    main()
