"""Time of a change of one object among many of the database: ``python -m bench.changes [NUMBER]``.

As many accounts as trunks are in a SQLite database. One account is changed, then one trunk, one account is added, ten
are deleted, and one change is refused; each is checked as the process beside the API does it, one after the other, and
stored where it is valid. No switch runs.
"""

import resource
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import msgspec

from vosd.catalogue.planned_objects import ChangeCheck, states_of
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.storage.migrate import migrate
from vosd.wiring.change_check import LastLoad, check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

from .stored import account, add, gone, trunk
from .targets import configuration

NUMBER = 50_000
ROUNDS = 3
DELETED = 10


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER
    with tempfile.TemporaryDirectory() as directory:
        path, url = Path(directory, "vosd.yaml"), f"sqlite+aiosqlite:///{directory}/vosd.db"
        path.write_text(configuration(url, 10).replace("$directory", directory))
        migrate(url)
        last = LastLoad()
        spare = [f"x{turn}-{each}" for turn in range(ROUNDS) for each in range(DELETED)]
        add(url, [*(account(f"s{each}") for each in range(number)), *map(account, spare)])
        add(url, [trunk(each) for each in range(number)])

        def timed(name: str, change: list[ObjectVersion]) -> None:
            began, wall = time.process_time(), time.monotonic()
            asked = ChangeCheck([*states_of(change, ())])
            with closing(ConfiguredSwitch(path)) as switch:
                try:
                    check_here(switch, asked, last)
                    result = "valid"
                except ConfigError as error:
                    result = f"refused: {str(error)[:60]}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(
                f"{name:16} {time.monotonic() - wall:7.3f} s, {time.process_time() - began:7.3f} s of processor time,"
                f" {peak} MiB, {result}",
                flush=True,
            )
            if result == "valid":
                add(url, change)

        for turn in range(ROUNDS):
            changed = msgspec.structs.replace(account("s7", turn + 2), memo=str(turn))
            timed("account changed", [changed])
            timed("trunk changed", [trunk(number // 2, turn + 2)])
            timed("account added", [account(f"n{turn}")])
            timed("ten deleted", [gone(name) for name in spare[turn * DELETED : (turn + 1) * DELETED]])
            refused = msgspec.structs.replace(account(f"r{turn}"), body='{"type":"direct","rate_group":"none"}')
            timed("refused", [refused])


if __name__ == "__main__":
    main()
