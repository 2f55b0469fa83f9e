"""Operational overrides as operators set, list and clear them."""

import msgspec
import pytest
from doubles.memory import MemoryOverrides

from vosd.admin.names import UnknownNameError
from vosd.admin.overrides import (
    Configured,
    ManyOverridesError,
    OverrideOrder,
    Selection,
    UnfitSettingError,
    account_targets,
    clear_overrides,
    differences_of,
    gateway_targets,
    history,
    listed,
    set_overrides,
)
from vosd.catalogue.overrides import Setting, Target
from vosd.control.client import DaemonUnreachableError
from vosd.control.installation import RefreshOverrides
from vosd.control.order import Done

NOW = 1_790_000_000_000
CONFIGURED = Configured({"acme"}, {"acme-pbx", "twin", "1001"}, {"carrier-a", "twin"})
BLOCK = OverrideOrder({Setting.BLOCKED: ""}, "ann", NOW, memo="fraud")


class Switch:
    """The running switch, as far as it is asked."""

    def __init__(self, *, answers: bool = True) -> None:
        self.asked: list[object] = []
        self._answers = answers

    async def ask_if_running(self, order: object) -> object:
        self.asked.append(order)
        if not self._answers:
            raise DaemonUnreachableError("no answer in time")
        return Done()


@pytest.fixture
def store() -> MemoryOverrides:
    return MemoryOverrides()


@pytest.fixture
def switch() -> Switch:
    return Switch()


def targets(name: str) -> tuple[Target, ...]:
    return gateway_targets(name, CONFIGURED)


async def block(store, switch, name: str):
    return await set_overrides(name, targets(name), BLOCK, store, switch)


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="'carier-a' is configured or recorded: did you mean 'carrier-a'"):
        targets("carier-a")
    with pytest.raises(UnknownNameError, match="did you mean 'acme'"):
        account_targets("akme", CONFIGURED.accounts)
    with pytest.raises(UnknownNameError):
        targets("acme")  # an account is no gateway


async def test_what_was_set_is_returned_and_the_switch_reads_it(store, switch):
    outcome = await block(store, switch, "carrier-a")
    assert msgspec.to_builtins(outcome.overrides) == [
        {
            "target": "routing",
            "name": "carrier-a",
            "setting": "blocked",
            "value": None,
            "operator": "ann",
            "since": "2026-09-21T14:13:20.000Z",
            "until": None,
            "memo": "fraud",
        }
    ]
    assert (outcome.untold, switch.asked) == ("", [RefreshOverrides()])


async def test_a_switch_that_does_not_answer_is_reported_and_the_override_is_stored(store):
    outcome = await block(store, Switch(answers=False), "carrier-a")
    assert outcome.untold == "no answer in time"
    assert len((await store.load()).by_key) == 1


async def test_a_name_of_two_gateways_means_both_and_a_setting_goes_where_it_exists(store, switch):
    order = OverrideOrder({Setting.PRIORITY: "4", Setting.MAX_CPS: "9"}, "ann", NOW)
    await set_overrides("twin", targets("twin"), order, store, switch)
    assert {(key.target, key.setting) for key in (await store.load()).by_key} == {
        (Target.MAPPING, Setting.MAX_CPS),
        (Target.ROUTING, Setting.MAX_CPS),
        (Target.ROUTING, Setting.PRIORITY),
    }


async def test_the_first_change_notes_what_the_configuration_said_and_later_ones_what_was_set(store, switch):
    for now, value in enumerate(("5", "6"), NOW):
        order = OverrideOrder(
            {Setting.OVERDRAFT_LIMIT: value}, "ann", now, configured={Setting.OVERDRAFT_LIMIT: "unlimited"}
        )
        await set_overrides("acme", (Target.ACCOUNT,), order, store, switch)
    changes = await store.changes(limit=10)
    assert [(each.override.value, each.before) for each in changes] == [("6", "5"), ("5", "unlimited")]


async def test_a_setting_that_the_object_does_not_have_is_refused(store, switch):
    order = OverrideOrder({Setting.MAX_CPS: "9", Setting.PRIORITY: "4"}, "ann", NOW)
    with pytest.raises(UnfitSettingError, match="acme-pbx is a mapping gateway, which has no priority"):
        await set_overrides("acme-pbx", targets("acme-pbx"), order, store, switch)
    assert (await store.load()).by_key == {}


async def test_an_end_in_the_past_is_refused(store, switch):
    with pytest.raises(UnfitSettingError, match=r"2026-09-21T14:13:20\.000Z is in the past"):
        await set_overrides("carrier-a", targets("carrier-a"), BLOCK._replace(until=NOW), store, switch)


async def test_clearing_takes_what_fits_and_no_more_than_was_confirmed(store, switch):
    for name in ("carrier-a", "acme-pbx", "twin"):
        await block(store, switch, name)
    with pytest.raises(ManyOverridesError, match="4 overrides would be cleared"):
        await clear_overrides(Selection(), BLOCK, store, switch, at_most=1)
    fitting = Selection((Target.MAPPING, Target.ROUTING), "twin", Setting.BLOCKED)
    assert len((await clear_overrides(fitting, BLOCK, store, switch)).overrides) == 2
    assert (await clear_overrides(fitting, BLOCK, store, switch)).overrides == []
    assert len((await clear_overrides(Selection(), BLOCK, store, switch)).overrides) == 2
    assert (await store.load()).by_key == {}


async def test_an_override_of_what_is_not_configured_any_more_applies_to_nothing(store, switch):
    await block(store, switch, "carrier-a")
    await set_overrides("acme-pbx", targets("acme-pbx"), BLOCK._replace(until=NOW + 1), store, switch)
    without = CONFIGURED._replace(routing=set())
    stored = await store.load()
    assert [(row["name"], row["applies"]) for row in listed(stored, without, NOW)] == [
        ("acme-pbx", True),
        ("carrier-a", False),
    ]
    assert [row["name"] for row in listed(stored, CONFIGURED, NOW + 1)] == ["carrier-a"]


async def test_the_history_says_who_did_what(store, switch):
    await block(store, switch, "carrier-a")
    await clear_overrides(Selection(), BLOCK._replace(operator="bob", now=NOW + 1_000), store, switch)
    cleared, made = history(await store.changes(10))
    assert (made["action"], made["by"], made["at"]) == ("set", "ann", "2026-09-21T14:13:20.000Z")
    assert (cleared["action"], cleared["by"], cleared["at"]) == ("cleared", "bob", "2026-09-21T14:13:21.000Z")
    assert (cleared["name"], cleared["operator"], cleared["memo"]) == ("carrier-a", "ann", "fraud")


async def test_differences_name_the_overrides_that_differ_from_the_file(store, switch):
    order = OverrideOrder({Setting.PRIORITY: "4", Setting.MAX_CPS: "9"}, "ann", NOW, NOW + 1_000, "slow")
    values = await set_overrides("carrier-a", targets("carrier-a"), order, store, switch)
    limits = await block(store, switch, "1001")
    lost = await block(store, switch, "acme-pbx")
    file = {"routing gateway carrier-a": {"priority": 4, "max_cps": None}, "phone 1001": {}}
    found = differences_of([*values.overrides, *limits.overrides, *lost.overrides], file)
    assert [(each.object, each.key, each.running, each.file, each.override) for each in found] == [
        ("routing gateway carrier-a", "max_cps", "9", None, "by ann until 2026-09-21T14:13:21.000Z: slow"),
        ("phone 1001", "blocked", True, False, "by ann: fraud"),
    ]
