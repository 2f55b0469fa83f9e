"""The running switch checks a change for a front; where it does not, the front checks it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated

from vosd.catalogue.asked_changes import NOT_UNDERSTOOD, answer_of, asked_in
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen
from vosd.catalogue.problems import ConfigError, DefinitionProblem
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.changes import CheckChange
from vosd.control.client import RunningSwitch
from vosd.control.server import CommandError
from vosd.wiring.asked_check import checked_by_switch
from vosd.wiring.configured_switch import ConfiguredSwitch
from vosd.wiring.office import definitions_of

OPENED = ["udp:192.0.2.7:5060"]
FOUND = CheckedObjects({}, {"shop": "EUR"}, 7)


def account(name: str, body: str = "{}") -> ObjectVersion:
    return ObjectVersion(kind="accounts", name=name, version=1, body=body, begins_at=1, made_at=1, operator="ann")


def asked(*names: str, opened: Sequence[str] | None = OPENED) -> ChangeCheck:
    return ChangeCheck([ObjectsThen(1, [*map(account, names)], [])], opened=opened)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}/state\n"
        f"control_socket: {tmp_path}/vosd.sock\nsip: {{listen: ['udp:192.0.2.7:5060']}}\n"
    )
    return file


async def test_the_running_switch_gets_the_question_and_its_answer_holds(config: Path) -> None:
    with closing(ConfiguredSwitch(config)) as switch:
        running, definitions = switch.running_switch(), definitions_of(switch)
        async with FakeSwitch(running.control_socket).answers(CheckChange, msgspec.Raw(answer_of(FOUND))) as fake:
            assert await definitions.check_objects(asked("shop")) == FOUND
        (order,) = fake.asked
    assert isinstance(order, CheckChange)
    assert order.configuration == str(config)
    assert asked_in(bytes(order.question)) == asked("shop")._replace(accounts=[], earlier=[])


async def test_a_change_that_the_process_of_the_switch_refuses_is_refused(config: Path) -> None:
    refused = ConfigError([DefinitionProblem("accounts shop", 0, "max_cps", "x", "a number")])
    running = RunningSwitch(config.with_name("vosd.sock"))
    async with FakeSwitch(running.control_socket).answers(CheckChange, msgspec.Raw(answer_of(refused))):
        with pytest.raises(ConfigError) as found:
            await checked_by_switch(running, config, asked("shop"))
    assert found.value.problems == refused.problems


@pytest.mark.parametrize(
    "answer", [msgspec.Raw(NOT_UNDERSTOOD), msgspec.Raw(b'{"other":1}'), CommandError("another configuration"), None]
)
async def test_a_front_checks_what_the_switch_does_not(config: Path, answer: msgspec.Raw | CommandError | None) -> None:
    """None = a switch of an earlier version, which does not know the order."""
    with closing(ConfiguredSwitch(config)) as switch:
        fake = FakeSwitch(switch.running_switch().control_socket)
        async with fake if answer is None else fake.answers(CheckChange, answer):
            found = await definitions_of(switch).check_objects(asked("shop"))
    assert found.currencies.keys() == {"shop"}
    assert len(fake.asked) == (0 if answer is None else 1)


async def test_a_front_checks_what_no_switch_is_asked(config: Path) -> None:
    with closing(ConfiguredSwitch(config)) as switch:
        running = switch.running_switch()
        assert (await definitions_of(switch).check_objects(asked("shop"))).currencies.keys() == {"shop"}, "none runs"
        async with FakeSwitch(running.control_socket).answers(CheckChange, msgspec.Raw(answer_of(FOUND))) as fake:
            assert await checked_by_switch(running, config, asked("shop", opened=None)) is None
            assert await checked_by_switch(running, config, asked(*(f"shop-{each}" for each in range(1_000)))) is None
        assert fake.asked == []
