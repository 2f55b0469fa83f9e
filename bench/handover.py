"""``python -m bench.handover [CALLS]``: for how long no new call is taken while a switch with calls is restarted.

CALLS (500) are held by SIPp through the real switch on MariaDB. Beside them one call after the other is made, without
repetitions. The switch is stopped and started as ``systemctl restart`` does, then restarted by ``vosd restart``.
Printed is the time from the last answered call of the one process to the first of the next.
"""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from doubles.process.daemon import Daemon
from doubles.sockets.peer import OutgoingCall, Peer, UnexpectedError

from .load import caller, vendor
from .restart import HELD_MS, PROBE, RATE, hold
from .targets import SWITCH, on_mariadb

PATIENCE_S = 0.1
BEFORE_S = 2


class Prober:
    """Makes calls until it is stopped, and notes when each was answered."""

    def __init__(self) -> None:
        self.answered: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    @property
    def gap_s(self) -> float:
        """Longest time between two answered calls."""
        return max(later - earlier for earlier, later in zip(self.answered, self.answered[1:], strict=False))

    def _run(self) -> None:
        number = 0
        with Peer(PROBE) as peer:
            while not self._is_over.is_set():
                number += 1
                call = OutgoingCall(peer, SWITCH, f"442079460{number % 1000:03}")
                call.invite()
                try:
                    call.answered(PATIENCE_S)
                except UnexpectedError:
                    continue
                self.answered.append(time.monotonic())
                call.hang_up()
                time.sleep(0.01)


def stop_and_start(daemon: Daemon) -> None:
    """Restart as ``systemctl restart`` does."""
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    daemon.start()


def main() -> None:
    """Measure, and print."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the modules of an installed switch are compiled
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch:
        place = Path(scratch)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(place / "notify"))
            os.environ["NOTIFY_SOCKET"] = str(place / "notify")
            threading.Thread(target=lambda: [manager.recv(4096) for _ in iter(int, 1)], daemon=True).start()
            measure(place, calls)


def measure(place: Path, calls: int) -> None:
    """Hold the calls and restart the switch both ways."""
    with on_mariadb(place) as target, vendor(place):
        daemon = target.daemon
        assert daemon is not None
        daemon.configure(daemon.configuration_file.read_text() + "\non_sigterm: keep\n")
        daemon.succeed("reload")
        with caller(place, SWITCH, rate=RATE, calls=calls, held_ms=HELD_MS):
            held = hold(target, calls)
            for name, restart in (
                ("stop and start", stop_and_start),
                ("vosd restart", lambda it: it.succeed("restart")),
            ):
                with Prober() as prober:
                    time.sleep(BEFORE_S)
                    restart(daemon)
                    time.sleep(BEFORE_S)
                status = daemon.ask("status")
                print(f"{name}: {prober.gap_s:.2f} s without new calls; {status['calls']} of {held} calls go on")
                for line in [each for each in daemon.log() if "steps_ms" in each][-1:]:
                    print(f"  {line['steps_ms']}", flush=True)
            os.kill(status["pid"], signal.SIGKILL)


if __name__ == "__main__":
    main()
