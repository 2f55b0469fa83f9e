"""Commands about decks compute at a lower priority than a switch on the same machine."""

import os

import pytest

from vosd.processes.life import NICENESS, give_way


@pytest.mark.parametrize(("before", "after"), [(-5, NICENESS), (0, NICENESS), (15, 15)])
def test_a_command_gives_way_and_never_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    made: list[int] = []
    monkeypatch.setattr(os, "getpriority", lambda _which, _who: before)
    monkeypatch.setattr(os, "setpriority", lambda _which, _who, niceness: made.append(niceness))
    give_way()
    assert made == [after]
