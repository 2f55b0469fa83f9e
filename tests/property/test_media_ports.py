"""Media ports: none is given out twice, none before it has rested, and all are."""

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vosd.media.port_pool import OCCUPIED_MS, QUARANTINE_MS, PortPool
from vosd.trunks.media import PortRange

RANGES = (PortRange(10_000, 10_019), PortRange(10_005, 10_011), PortRange(10_013, 10_014))


class MediaPorts(RuleBasedStateMachine):
    """Legs come and go on overlapping ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = PortPool()
        self.now_ms = 0
        self.open: dict[int, int | None] = {}
        self.resting: dict[int, int] = {}

    @initialize(occupied=st.sets(st.integers(10_000, 10_019), max_size=5))
    def occupy(self, occupied: set[int]) -> None:
        self.occupied = occupied

    @property
    def taken(self) -> set[int]:
        ports = set(self.resting)
        for rtp, rtcp in self.open.items():
            ports |= {rtp} if rtcp is None else {rtp, rtcp}
        return ports

    @rule(ports=st.sampled_from(RANGES), is_multiplexed=st.booleans(), start=st.integers(0, 2**32))
    def add(self, ports: PortRange, is_multiplexed: bool, start: int) -> None:
        self.end_rests()
        before = self.taken
        while (rtp := self._taken_port(ports, is_multiplexed, start)) is not None:
            rtcp = None if is_multiplexed else rtp + 1
            both = {rtp} if rtcp is None else {rtp, rtcp}
            assert both <= set(range(ports.first, ports.last + 1))
            assert not both & self.taken
            assert is_multiplexed or rtp % 2 == 0
            if both & self.occupied:
                self.pool.set_aside(rtp, rtcp, self.now_ms)
                for port in both:
                    self.resting[port] = self.now_ms + OCCUPIED_MS
                continue
            self.open[rtp] = rtcp
            return
        pairs = [
            port
            for port in range(ports.first + ports.first % 2, ports.last, 2)
            if not {port, port + 1} & (before | self.occupied)
        ]
        assert not pairs

    def _taken_port(self, ports: PortRange, is_multiplexed: bool, start: int) -> int | None:
        return self.pool.take(ports, is_multiplexed=is_multiplexed, start=start, now_ms=self.now_ms)

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        if self.open:
            rtp = data.draw(st.sampled_from(sorted(self.open)))
            rtcp = self.open.pop(rtp)
            self.pool.rest(rtp, rtcp, self.now_ms)
            for port in {rtp} if rtcp is None else {rtp, rtcp}:
                self.resting[port] = self.now_ms + QUARANTINE_MS

    @rule(ms=st.sampled_from((1, 1_000, QUARANTINE_MS - 1, QUARANTINE_MS, OCCUPIED_MS)))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def end_rests(self) -> None:
        self.resting = {port: end for port, end in self.resting.items() if end > self.now_ms}

    @invariant()
    def counts_what_is_used(self) -> None:
        self.end_rests()
        for ports in RANGES:
            used = sum(ports.first <= port <= ports.last for port in self.taken)
            assert self.pool.used(ports, self.now_ms) == used


MediaPorts.TestCase.settings = settings(stateful_step_count=30)
TestMediaPorts = MediaPorts.TestCase
