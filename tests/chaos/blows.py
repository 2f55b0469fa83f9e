"""What is done to the switch and to its database, and when: drawn from a seed."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pymysql
from doubles.daemon import Daemon
from doubles.process.mariadb import MariaDb
from e2e.conditions import eventually

from .disk import Disk
from .proxy import OnCommit, Proxy

_PAUSES_S: Final = (0.0, 0.4)
"""Between two blows."""
_ABSENCES_S: Final = (0.0, 0.4)
_CUT_WITHIN_S: Final = 3.0
"""A commit to be cut comes at the latest with the next renewal of the lease, unless the switch is down."""
SLOW_S: Final = 2.5
"""For how long each commit takes two seconds."""


class Blow(NamedTuple):
    """One thing that is done to a process."""

    after_s: float
    kind: str
    absence_s: float


def plan(seed: str, kinds: Mapping[str, int], first: str = "") -> list[Blow]:
    """Draw the order and the pauses of so many blows of each kind; one of the ``first`` kind leads."""
    draw = random.Random(seed)
    order = [kind for kind, times in kinds.items() for _ in range(times)]
    draw.shuffle(order)
    if first:
        order.remove(first)
        order.insert(0, first)
    return [Blow(draw.uniform(*_PAUSES_S), kind, draw.uniform(*_ABSENCES_S)) for kind in order]


def shared(kills: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many blows of each kind go to the switch and to the server, with so many kills altogether.

    Every kind is there at least once.
    """
    few = max(1, kills // 20)
    server = {"copy": 1, "restore": max(1, kills // 25), "read-only": max(1, kills // 25)}
    others = {"stop": few, "cut": few, "cut before commit": few, "cut after commit": few}
    slow = {"slow": max(1, kills // 25)}
    of_server = max(kills * 2 // 5 - kills_in(server), 0)
    switch = {"stop": few, "full disk": max(1, kills // 25), "kill on full disk": max(1, kills // 25)}
    of_switch = kills - of_server - kills_in(server) - kills_in(switch)
    return {"kill": of_switch, **switch}, {"kill": of_server, **server, **others, **slow}


def kills_in(blows: Mapping[str, int]) -> int:
    """Return how many processes are killed by these blows."""
    return sum(times * _KILLS.get(kind, 0) for kind, times in blows.items())


_KILLS: Final = {"kill": 1, "kill on full disk": 1, "copy": 1, "restore": 1, "read-only": 1}


class Blows:
    """Carries out a plan and counts."""

    def __init__(self, name: str, kinds: Mapping[str, Callable[[float], None]]) -> None:
        self._kinds = kinds
        self._name = name
        self.done: Counter[str] = Counter()

    def strike(self, blows: list[Blow]) -> None:
        """Carry out all."""
        for blow in blows:
            wait(blow.after_s)
            self._kinds[blow.kind](blow.absence_s)
            self.done[blow.kind] += 1

    def __str__(self) -> str:
        return ", ".join(f"{number} {self._name} {kind}" for kind, number in sorted(self.done.items()))


class OfSwitch(Blows):
    """Blows to the switch."""

    def __init__(self, daemon: Daemon, disk: Disk) -> None:
        super().__init__(
            "switch",
            {
                "kill": self._kill,
                "stop": self._stop,
                "full disk": self._fill,
                "kill on full disk": self._kill_on_full_disk,
            },
        )
        self._daemon = daemon
        self._disk = disk
        self.filled_at = 0.0
        """When the disk was full last: the switch may have removed booked files of its journal for room."""
        self.killed_at: list[float] = []
        """When each kill was done."""
        self.starts: list[float] = []
        """Seconds that each start took until the switch answered."""

    def _kill(self, absence_s: float) -> None:
        self._end_daemon()
        wait(absence_s)
        self._start()

    def _end_daemon(self) -> None:
        self._daemon.kill()
        self.killed_at.append(time.monotonic())

    def _start(self) -> None:
        began = time.monotonic()
        self._daemon.start()
        self.starts.append(time.monotonic() - began)

    def _stop(self, absence_s: float) -> None:
        self._daemon.signal(signal.SIGSTOP)
        wait(absence_s)
        self._daemon.signal(signal.SIGCONT)

    def _fill(self, absence_s: float) -> None:
        if self._disk.is_small:
            self._disk.fill()
            wait(absence_s)
            self._make_room()

    def _kill_on_full_disk(self, absence_s: float) -> None:
        if self._disk.is_small:
            self._disk.fill()
        wait(absence_s)
        self._end_daemon()
        self._make_room()  # a start on a full disk is refused
        self._start()

    def _make_room(self) -> None:
        self._disk.make_room()
        self.filled_at = time.monotonic()


class OfServer(Blows):
    """Blows to MariaDB."""

    def __init__(self, server: MariaDb, data: Path, proxy: Proxy, filled_at: Callable[[], float]) -> None:
        """``filled_at`` says when the switch may have given up kept records: older copies are not put back."""
        super().__init__(
            "database",
            {
                "kill": self._kill,
                "stop": self._stop,
                "cut": self._cut,
                "cut before commit": lambda _absence_s: self._cut_commit(OnCommit.CUT_BEFORE),
                "cut after commit": lambda _absence_s: self._cut_commit(OnCommit.CUT_AFTER),
                "slow": lambda _absence_s: self._slow(),
                "read-only": self._read_only,
                "copy": lambda _absence_s: self._copy(),
                "restore": self._restore,
            },
        )
        self._server = server
        self._data = data
        self._proxy = proxy
        self._filled_at = filled_at
        self._copied_at = 0.0

    def _kill(self, absence_s: float) -> None:
        self._server.kill()
        wait(absence_s)
        self._server.start()

    def _stop(self, absence_s: float) -> None:
        self._server.hang()
        wait(absence_s)
        self._server.go_on()

    def _cut(self, _absence_s: float) -> None:
        """Cut every connection of the switch, whatever the server is doing for it."""
        with pymysql.connect(host="127.0.0.1", port=self._server.port, user="vosd", password="secret") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'vosd'")
            for (number,) in cursor.fetchall():
                try:
                    cursor.execute(f"KILL CONNECTION {number}")
                except pymysql.err.OperationalError:
                    continue  # it has ended by itself

    def _cut_commit(self, how: OnCommit) -> None:
        self._proxy.on_commit = how
        until = time.monotonic() + _CUT_WITHIN_S
        eventually(lambda: self._proxy.on_commit is OnCommit.PASS or time.monotonic() > until, "a commit")
        self._proxy.on_commit = OnCommit.PASS

    def _slow(self) -> None:
        self._proxy.on_commit = OnCommit.DELAY
        wait(SLOW_S)
        self._proxy.on_commit = OnCommit.PASS

    def _read_only(self, absence_s: float) -> None:
        """Let the server come back as a replica does that has not been made the primary yet."""
        self._server.stop()  # it would have to be repaired after a kill, which is not read-only
        self._server.start("--innodb-read-only")
        wait(absence_s)
        self._server.kill()
        self._server.start()

    def _copy(self) -> None:
        self._server.kill()
        shutil.rmtree(self._copied, ignore_errors=True)
        shutil.copytree(self._data, self._copied, ignore=_without_sockets)
        self._copied_at = time.monotonic()
        self._server.start()

    def _restore(self, absence_s: float) -> None:
        if self._filled_at() >= self._copied_at:
            self._copy()  # calls from before may be in no kept file any more
            return
        self._server.kill()
        wait(absence_s)
        shutil.rmtree(self._data)
        shutil.copytree(self._copied, self._data)
        self._server.start()

    @property
    def _copied(self) -> Path:
        return self._data.with_name("copied")


def _without_sockets(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(directory) / name).is_file() and not (Path(directory) / name).is_dir()]


def wait(duration_s: float) -> None:
    """Let time pass."""
    until = time.monotonic() + duration_s
    eventually(lambda: time.monotonic() >= until, "the moment that was drawn")
