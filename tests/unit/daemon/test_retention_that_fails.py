"""A run of retention that fails in a way that is not foreseen is an alarm with its reason."""

from types import SimpleNamespace

import pytest
from doubles import forked_child
from structlog.testing import capture_logs

from vosd.base.secret import Secret
from vosd.cdr.retention import Age
from vosd.daemon import daily
from vosd.daemon.retention import RetentionPart
from vosd.engine.clock import SystemClock
from vosd.engine.settings import RetentionSettings


def part_on(url, tmp_path):
    settings = RetentionSettings(calls=Age(months=13))
    return RetentionPart(
        SimpleNamespace(database_url=Secret(url), state_dir=tmp_path, retention=settings), SystemClock()
    )


async def blocked(part):
    with capture_logs() as log:
        await part.run(0)
    return [(line["kind"], line["why"]) for line in log if line["event"] == "retention_blocked"]


async def test_an_error_of_its_process_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(daily, "started", forked_child.started)
    [(kind, why)] = await blocked(part_on("nodatabase+nodriver://", tmp_path))
    assert kind == "calls"
    assert "nodatabase" in why


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ConnectionResetError("reset"),
            "its process ended without an answer: it was killed, or the log has the fault (run_failed)",
        ),
        (TimeoutError(), "it has not ended within 23 hours"),
        (ValueError("unforeseen"), "ValueError('unforeseen')"),
    ],
    ids=["reset", "endless", "unforeseen"],
)
async def test_an_error_in_the_switch_is_named(tmp_path, error, expected):
    class Failing(RetentionPart):
        async def _outcome(self, now):
            raise error

    part = part_on("sqlite+aiosqlite://", tmp_path)
    part.__class__ = Failing
    assert await blocked(part) == [("calls", expected)]
