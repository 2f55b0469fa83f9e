"""Refusals of the running switch over HTTP: the code that the control protocol has, and a status that fits it."""

import json
from pathlib import Path

import pytest
from doubles.fake_switch import FakeSwitch

from vosd.admin.names import UnknownNameError
from vosd.admin.routing import NoNumberError
from vosd.api.problems import problem_of
from vosd.base.errors import VosError
from vosd.control.calls import ListCalls
from vosd.control.client import DaemonRefusedError, RunningSwitch
from vosd.control.server import CommandError
from vosd.daemon.commands import ConfigurationInvalidError
from vosd.daemon.live_events import NoSuchReceiverError
from vosd.daemon.reload import UnconfirmedError
from vosd.daemon.trials import StoppingError, TrunkUnderTestError
from vosd.engine.calls.trial import GatewayBusyError


async def refusal_by(switch: FakeSwitch, path: Path) -> DaemonRefusedError:
    async with switch:
        with pytest.raises(DaemonRefusedError) as refused:
            await RunningSwitch(path).ask(ListCalls())
    return refused.value


def shown(error: VosError) -> tuple[int, str, bool]:
    """Return status and code of the answer, and whether it says when to come again."""
    answer = problem_of(error)
    return answer.status, json.loads(answer.content)["code"], "Retry-After" in dict(answer.headers)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (NoSuchReceiverError("x"), (404, "no_such_receiver", False)),
        (UnknownNameError("x"), (404, "unknown_name", False)),
        (ConfigurationInvalidError("x", ["y"]), (409, "configuration_invalid", False)),
        (UnconfirmedError(("x",)), (409, "unconfirmed", False)),
        (TrunkUnderTestError("x"), (409, "trunk_under_test", False)),
        (GatewayBusyError("x"), (409, "gateway_busy", False)),
        (CommandError("of a later version"), (409, "command", False)),
        (NoNumberError("x"), (422, "no_number", False)),
        (ZeroDivisionError(), (500, "defect", False)),
        (StoppingError("x"), (503, "stopping", True)),
    ],
)
async def test_a_refusal_has_its_code_and_a_status_that_fits(
    tmp_path: Path, raised: Exception, expected: tuple[int, str, bool]
) -> None:
    refused = await refusal_by(FakeSwitch(tmp_path / "s").answers(ListCalls, raised), tmp_path / "s")
    assert shown(refused) == expected


async def test_a_switch_that_does_not_know_an_order_or_has_no_place_for_it_is_asked_later(tmp_path: Path) -> None:
    assert shown(await refusal_by(FakeSwitch(tmp_path / "s"), tmp_path / "s")) == (503, "unknown_order", True)
    for code in ("busy", "other_version"):
        assert shown(DaemonRefusedError("x", code=code)) == (503, code, True)
