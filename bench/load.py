"""One load on one target: SIPp on both sides, and the processor time of each process."""

import resource
import tempfile
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp

from .latency import Latency, measure
from .process import Cpu, cpu_of, family_cpu_of, resident_bytes
from .targets import VENDOR, Target

SCENARIOS = Path(__file__).with_name("scenarios")
CALLER = Endpoint("127.0.0.1", 15_202)
HELD_MS = 500
"""Duration of each call of the load."""
RAMP_CALLS_A_SECOND = 400


@dataclass(frozen=True)
class Outcome:
    """Result of one load; processor time is in milliseconds a call."""

    rate: int
    calls: int
    failed: int
    retransmissions: int
    user_ms: float
    system_ms: float
    database_ms: float | None
    sipp_ms: float
    latency: Latency

    @property
    def clean(self) -> bool:
        """Whether no call failed and no packet was retransmitted."""
        return self.failed == 0 and self.retransmissions == 0

    @property
    def cpu_ms(self) -> float:
        """The target's processor time for a call."""
        return self.user_ms + self.system_ms


def vendor(directory: Path) -> Sipp:
    """Prepare the called side; it serves until it is stopped."""
    return Sipp(
        SCENARIOS / "vendor.xml", VENDOR, scratch=directory, calls=None, trace=False, timeout_s=600,
        options=("-buff_size", "2097152"),
    )  # fmt: skip


def caller(directory: Path, address: Endpoint, *, rate: int, calls: int, held_ms: int) -> Sipp:
    """Prepare the calling side."""
    return Sipp(
        SCENARIOS / "caller.xml", CALLER, address, scratch=directory, calls=calls, trace=False,
        timeout_s=calls // rate + held_ms // 1000 + 40,
        options=(
            "-r", str(rate), "-l", str(calls), "-d", str(held_ms), "-max_recv_loops", "5000",
            "-buff_size", "2097152",
        ),
    )  # fmt: skip


def run(target: Target, rate: int, seconds: int) -> Outcome:
    """Load the target and return the result; the probe's calls are counted with the load's."""
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, vendor(Path(scratch)) as called:
        before = _used(target)
        sipp_before = _sipp(called.pid)
        with caller(Path(scratch), target.address, rate=rate, calls=rate * seconds, held_ms=HELD_MS) as calling:
            latency = measure(target.address, seconds)
            calling.join()
        sipp = _sipp(called.pid).since(sipp_before)
        counts = calling.counts()
        failed = rate * seconds - int(counts["SuccessfulCall(C)"]) + latency.failed
        if not failed:  # an overloaded switch keeps the calls whose BYE was lost: it will not settle
            target.settle()
        after = _used(target)
        calls = rate * seconds + latency.calls
        return Outcome(
            rate=rate,
            calls=calls,
            failed=failed,
            retransmissions=int(counts["Retransmissions(C)"]) + int(called.counts()["Retransmissions(C)"]),
            user_ms=(after[0].user - before[0].user) * 1000 / calls,
            system_ms=(after[0].system - before[0].system) * 1000 / calls,
            database_ms=(after[1].total - before[1].total) * 1000 / calls if target.database_cpu else None,
            sipp_ms=sipp.total * 1000 / calls,
            latency=latency,
        )


def highest_clean_rate(target: Target, rates: tuple[int, ...], seconds: int = 4) -> int:
    """Return the highest of ``rates``, tried in order, without failed calls and retransmissions."""
    clean = takewhile(lambda rate: run(target, rate, seconds).clean, rates)
    return max(clean, default=0)


def bytes_per_held_call(target: Target, calls: int) -> float | None:
    """Return the memory of an established call; None if the target has no process."""
    if target.pid is None or target.held is None:
        return None
    before = resident_bytes(target.pid)
    ramp_ms = calls * 1000 // RAMP_CALLS_A_SECOND
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, vendor(Path(scratch)):
        held_ms = ramp_ms + 3_000
        with caller(Path(scratch), target.address, rate=RAMP_CALLS_A_SECOND, calls=calls, held_ms=held_ms) as calling:
            deadline = time.monotonic() + held_ms / 1000 + 5
            while target.held() < calls and time.monotonic() < deadline:
                time.sleep(0.1)
            taken = resident_bytes(target.pid) - before
            calling.join()
    target.settle()
    return taken / calls


def _used(target: Target) -> tuple[Cpu, Cpu]:
    nothing = Cpu(0.0, 0.0)
    return (
        family_cpu_of(target.pid) if target.pid else nothing,
        target.database_cpu() if target.database_cpu else nothing,
    )


def _sipp(serving_pid: int) -> Cpu:
    """Return the processor time of both SIPps: the serving one runs, the calling one was waited for."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    serving = cpu_of(serving_pid)
    return Cpu(waited.ru_utime + serving.user, waited.ru_stime + serving.system)
