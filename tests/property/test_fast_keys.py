"""Keys that a telephone sends as INFO and as telephone event: each arrives once, however fast they are."""

from enum import Enum, auto
from typing import NamedTuple

import pytest
from doubles.pressed_ports import PressedPorts
from hypothesis import example, given, strategies as st


class Order(Enum):
    """Moment at which the INFO of a key comes."""

    BEFORE = auto()
    """Before its event."""
    WITHIN = auto()
    """While it is pressed."""
    BEHIND = auto()
    """After its event."""
    NEVER = auto()


class Press(NamedTuple):
    """A key that is pressed; times in ms."""

    key: int
    info: Order
    duration: int
    """Duration that INFO tells."""
    on: int
    gap: int


PRESSES = st.builds(
    Press,
    st.integers(0, 11),
    st.sampled_from(Order),
    st.sampled_from((40, 100, 160, 250, 400)),
    st.sampled_from((40, 60, 80, 120, 300)),
    st.sampled_from((40, 60, 80, 120, 300)),
)


def quick(key: int, info: Order, duration: int = 40, gap: int = 40) -> Press:
    """Return the shortest press of a key."""
    return Press(key, info, duration, 40, gap)


LOST_BEHIND_OTHERS = [
    quick(0, Order.BEFORE),
    quick(0, Order.BEFORE, 160),
    quick(0, Order.NEVER),
    quick(1, Order.BEFORE),
]
LOST_BEFORE_AN_EVENT = [
    *[quick(0, Order.BEFORE)] * 3,
    quick(0, Order.BEFORE, 100),
    quick(0, Order.NEVER),
    quick(1, Order.WITHIN),
]
STAMP_OF_A_SENT_KEY = [
    quick(0, Order.BEFORE),
    quick(0, Order.BEFORE, 160),
    quick(0, Order.BEFORE, gap=120),
    quick(0, Order.WITHIN),
]


@example(presses=LOST_BEHIND_OTHERS, is_end_lost=True)
@example(presses=LOST_BEFORE_AN_EVENT, is_end_lost=True)
@example(presses=STAMP_OF_A_SENT_KEY, is_end_lost=False)
@given(presses=st.lists(PRESSES, min_size=1, max_size=12), is_end_lost=st.booleans())
def test_fast_keys_arrive_once_each_and_in_their_order(presses: list[Press], is_end_lost: bool) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        pressed = PressedPorts(monkeypatch)
        pressed.speaks(100)
        for press in presses:
            name = "0123456789*#"[press.key]
            if press.info is Order.BEFORE:
                pressed.info(name, press.duration)
            pressed.presses(press.key, 20, ends=False)
            if press.info is Order.WITHIN:
                pressed.info(name, press.duration)
            ends = not is_end_lost or press.info is not Order.NEVER
            pressed.presses(press.key, press.on - 20, begins=False, ends=ends)
            pressed.speaks(20)
            if press.info is Order.BEHIND:
                pressed.info(name, press.duration)
            pressed.speaks(press.gap - 20)
        pressed.speaks(400)
        pressed.ports.ports[0].end_keys(pressed.now_ns)
        pressed.speaks(6_000)
        assert pressed.keys == [press.key for press in presses]
        stamps = list(pressed.events)
        assert stamps == sorted(stamps)
        sequences = [int.from_bytes(data[2:4], "big") for data in pressed.arrived]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
