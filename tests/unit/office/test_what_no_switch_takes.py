"""Changes that no running switch takes are refused before they are stored: stored, they block those of others."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner
from doubles.data import builders
from doubles.fake_switch import FakeSwitch, status_of
from doubles.migrated import migrated
from doubles.office import agent, office_on, operator

from vosd.admin.office import taken_change
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.customers import FirstPayment, ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import ChangeSheet, EndObject, SetObjects, end_object, set_objects
from vosd.admin.office.installation import CheckConfiguration, check_configuration
from vosd.admin.office.objects_in_use import UsedByCallsError
from vosd.admin.office.office import Office
from vosd.admin.office.payments import BookPayment, MoveMoney, RefusePayment, book_payment, move_money, refuse_payment
from vosd.admin.office.planned_change import WantedObject
from vosd.admin.office.principal import Principal
from vosd.admin.office.taken_change import NotTakenError
from vosd.admin.office.withdrawn_changes import has_mistake, objects_at_fault
from vosd.api.offices import Offices
from vosd.billing.rights import Right
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cli.main import main
from vosd.control.client import DaemonRefusedError
from vosd.control.installation import FindObjectsInUse, GetStatus, ObjectsInUse, Reload, ReloadOutcome
from vosd.control.server import CommandError
from vosd.daemon.commands import ConfigurationInvalidError
from vosd.daemon.reload import UnconfirmedError
from vosd.storage.database import Database

NOW: Final = 1_790_000_000_000
STATUS: Final = status_of()
SHOP: Final = WantedObject("accounts", "shop", {"currency": "USD", "agent": "south"})
TRUNK: Final = WantedObject("mapping_gateways", "pbx", {"account": "shop", "hosts": ["192.0.2.7"]})
NONE: Final = ObjectsInUse([], [], {})
TAKEN: Final = ReloadOutcome("def", [])


EXPECTED: Final = "in the database: accounts[shop].currency: value 'EUR': expected USD"
INVALID: Final = ConfigurationInvalidError("not taken", [f"accounts shop (version 2) {EXPECTED}"])
BUSY: Final = CommandError("not now")
WITHDRAWN: Final = "the running switch does not take the change, which was withdrawn"
KEPT: Final = "the change is in the database, and the running switch does not take it"
LIMITED: Final = SetObjects(objects=(WantedObject("accounts", "shop", {"max_cps": "3"}, is_merged=True),))


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> Office:
    south = builders.account("south", rights=frozenset({Right.ACCOUNTS, Right.GATEWAYS}))
    accounts = south, builders.account("shop", agent="south", currency="USD")
    office = office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")
    await set_objects(office, operator(), SetObjects(objects=(SHOP, TRUNK)))
    return office


async def paid(office: Office) -> None:
    await book_payment(office, operator(), BookPayment(account="shop", amount=Decimal(1)))


async def in_euros(office: Office, who: Principal, **terms: Any) -> ChangeSheet:
    wanted = WantedObject("accounts", "shop", {"currency": "EUR"}, is_merged=True)
    return await set_objects(office, who, SetObjects(objects=(wanted,), **terms))


async def numbers(office: Office, kind: str, name: str) -> list[int]:
    return [each.version for each in await office.stores.objects.history(kind, name)]


@pytest.mark.parametrize("terms", [{}, {"is_trial": True}, {"is_confirmed": True}, {"at": NOW + 1_000}])
async def test_an_account_keeps_the_currency_of_its_money(office: Office, terms: dict[str, Any]) -> None:
    await paid(office)
    with pytest.raises(ConfigError, match=r"accounts\[shop\].currency: value 'EUR': expected USD, the currency of"):
        await in_euros(office, operator(), **terms)
    assert await numbers(office, "accounts", "shop") == [1]


async def test_an_account_keeps_the_currency_of_money_that_waits_for_a_second_person(database: Database) -> None:
    accounts = [builders.account(name, currency="USD") for name in ("south", "shop")]
    office = office_on(database, *accounts, now=NOW, confirm_above=Decimal(9))
    await set_objects(office, operator(), SetObjects(objects=(msgspec.structs.replace(SHOP, keys={}),)))
    await office.stores.books.open_accounts(["south", "shop"], {"south": "USD", "shop": "USD"})
    moved = MoveMoney(source="south", target="shop", amount=Decimal(10), reference="t")
    asked = BookPayment(account="shop", amount=Decimal(10))
    for number, asking in enumerate(
        (book_payment(office, operator(), asked), move_money(office, operator(), moved)), start=1
    ):
        await asking
        with pytest.raises(ConfigError, match=r"expected USD, the currency of the money .* waits for a second person"):
            await in_euros(office, operator())
        await refuse_payment(office, operator(), RefusePayment(number))
    await in_euros(office, operator())
    assert await numbers(office, "accounts", "shop") == [2, 1]


async def test_an_agent_reads_why_its_account_keeps_its_currency_and_no_more(office: Office) -> None:
    await paid(office)
    with pytest.raises(ConfigError) as refused:
        await in_euros(office, agent("south"))
    said = "accounts shop: accounts[shop].currency: value 'EUR': expected USD, the currency of the money that this"
    assert str(refused.value).startswith(said)
    assert await numbers(office, "accounts", "shop") == [1]


async def test_an_account_without_money_gets_another_currency(office: Office) -> None:
    await in_euros(office, operator())
    assert await numbers(office, "accounts", "shop") == [2, 1]


@pytest.mark.parametrize(("terms", "is_planned"), [({}, False), ({"at": NOW + 1_000}, True)])
async def test_a_planned_change_is_checked_as_one(office: Office, terms: dict[str, Any], is_planned: bool) -> None:
    await in_euros(office, operator(), **terms)
    assert office.definitions.asked.is_planned is is_planned


async def test_an_account_keeps_the_currency_of_its_running_calls(office: Office, tmp_path: Path) -> None:
    used = ObjectsInUse(["shop"], [], {"shop": "USD"})
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, STATUS).answers(Reload, TAKEN)
    async with switch.answers(FindObjectsInUse, used):
        with pytest.raises(ConfigError, match="expected USD, the currency of the money"):
            await in_euros(office, operator())
        assert await numbers(office, "accounts", "shop") == [1]
        switch.answers(FindObjectsInUse, NONE)
        assert (await in_euros(office, operator())).in_force is True
    assert switch.asked.count(FindObjectsInUse(["shop"], [])) == 2


async def test_an_account_that_moves_into_a_file_keeps_the_currency_of_its_running_calls(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(asked: ChangeCheck) -> CheckedObjects:
        return CheckedObjects({}, {"shop": "EUR"})  # as the files have it

    monkeypatch.setattr(office.definitions, "check_objects", check)
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, STATUS).answers(Reload, TAKEN)
    async with switch.answers(FindObjectsInUse, ObjectsInUse(["shop"], [], {"shop": "USD"})):
        with pytest.raises(ConfigError, match="value 'EUR': expected USD, the currency of the money"):
            await end_object(office, operator(), EndObject(kind="accounts", name="shop", is_confirmed=True))
    assert await numbers(office, "accounts", "shop") == [1]


@pytest.mark.parametrize(("kind", "name"), [("accounts", "shop"), ("mapping_gateways", "pbx")])
async def test_objects_of_running_calls_are_removed_by_a_confirmed_order_alone(
    office: Office, tmp_path: Path, kind: str, name: str
) -> None:
    used = ObjectsInUse(["shop"], ["pbx"], {})
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(FindObjectsInUse, used).answers(Reload, TAKEN)
    async with switch:
        end = EndObject(kind=kind, name=name)
        with pytest.raises(UsedByCallsError, match=f"running calls use what the change removes: {kind} {name}$"):
            await end_object(office, operator(), end)
        assert (await numbers(office, kind, name), switch.asked.count(Reload())) == ([1], 0)
        assert (await end_object(office, operator(), msgspec.structs.replace(end, is_trial=True))).dry_run
        planned = msgspec.structs.replace(end, at=NOW + 1_000)
        assert (await end_object(office, operator(), planned)).in_force is None
        confirmed = msgspec.structs.replace(end, is_confirmed=True)
        assert (await end_object(office, operator(), confirmed)).in_force is True


async def test_a_switch_that_is_busy_says_not_that_no_call_uses_an_object(office: Office, tmp_path: Path) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(FindObjectsInUse, BUSY)
    async with switch.answers(GetStatus, STATUS).answers(Reload, TAKEN):
        with pytest.raises(DaemonRefusedError, match="not now"):
            await end_object(office, operator(), EndObject(kind="mapping_gateways", name="pbx"))
        with pytest.raises(DaemonRefusedError, match="not now"):
            await in_euros(office, operator())
        assert await numbers(office, "mapping_gateways", "pbx") == await numbers(office, "accounts", "shop") == [1]


async def test_a_switch_of_an_earlier_version_is_not_asked_what_it_does_not_know(
    office: Office, tmp_path: Path
) -> None:
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, TAKEN):
        assert (await end_object(office, operator(), EndObject(kind="mapping_gateways", name="pbx"))).in_force is True


async def test_long_names_are_asked_for_in_several_questions(office: Office, tmp_path: Path) -> None:
    names = [f"{number:05}{'线' * 59}" for number in range(400)]
    trunks = tuple(
        WantedObject("mapping_gateways", name, {"account": "shop", "hosts": ["192.0.2.8"]}) for name in names
    )
    await set_objects(office, operator(), SetObjects(objects=trunks))
    used = names[-1]

    def answer(question: FindObjectsInUse) -> ObjectsInUse:
        return ObjectsInUse([], [used] if used in question.gateways else [], {})

    async with FakeSwitch(tmp_path / "vosd.sock").answers(FindObjectsInUse, answer) as switch:
        ended = tuple(msgspec.structs.replace(each, keys=None) for each in trunks)
        with pytest.raises(UsedByCallsError, match=f"mapping_gateways {used}$"):
            await set_objects(office, operator(), SetObjects(objects=ended))
        asked = [name for each in switch.asked if isinstance(each, FindObjectsInUse) for name in each.gateways]
        assert (asked, len(switch.asked)) == (names, 3)


async def test_objects_that_no_call_uses_are_removed_without_confirmation(office: Office, tmp_path: Path) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(FindObjectsInUse, NONE).answers(Reload, TAKEN)
    async with switch:
        assert (await end_object(office, operator(), EndObject(kind="mapping_gateways", name="pbx"))).in_force is True
        assert switch.asked == [FindObjectsInUse([], ["pbx"]), Reload()]


async def test_a_change_is_taken_though_others_have_ended_what_running_calls_use(
    office: Office, tmp_path: Path
) -> None:
    def answer(order: Reload) -> ReloadOutcome:
        if order.follows_order:
            return TAKEN
        raise UnconfirmedError(("the file removes mapping gateways that running calls use: g2",))

    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer) as switch:
        made = await set_objects(office, operator(), SetObjects(objects=(WantedObject("templates", "t", {}),)))
        assert (made.in_force, switch.asked) == (True, [Reload(), Reload(follows_order=True)])


@pytest.mark.parametrize("who", [agent("south"), operator()], ids=["agent", "operator"])
async def test_a_confirmed_order_confirms_nothing_about_the_files(
    office: Office, tmp_path: Path, who: Principal
) -> None:
    def answer(order: Reload) -> ReloadOutcome:
        if order.is_confirmed:
            return TAKEN
        raise UnconfirmedError(("the file removes 3 of 4 routing gateways: g1, g2, g3",))

    end = EndObject(kind="mapping_gateways", name="pbx", is_confirmed=True)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer) as switch:
        with pytest.raises(NotTakenError, match=KEPT):
            await end_object(office, who, end)
        assert switch.asked == [Reload(follows_order=True)]


async def test_an_agent_reads_nothing_of_others_where_the_switch_does_not_take_its_change(
    office: Office, tmp_path: Path
) -> None:
    for refused, kept in ((INVALID, WITHDRAWN), (BUSY, KEPT)):
        async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, refused):
            with pytest.raises(NotTakenError) as said:
                await set_objects(office, agent("south"), LIMITED)
        assert str(said.value) == f"{kept}: ask its operators"


async def bodies(office: Office, kind: str, name: str) -> list[str | None]:
    """Return the keys of each version, the newest first."""
    return [each.body for each in await office.stores.objects.history(kind, name)]


async def test_a_change_that_the_switch_refuses_is_withdrawn_and_others_go_on(office: Office, tmp_path: Path) -> None:
    new = WantedObject("accounts", "new", {"currency": "USD"})
    wanted = SetObjects(objects=(*LIMITED.objects, new))
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, INVALID):
        with pytest.raises(NotTakenError, match=r"(?s)which was withdrawn:\nnot taken\naccounts shop"):
            await set_objects(office, operator(), wanted)
    limited, before = '{"currency":"USD","agent":"south","max_cps":"3"}', '{"currency":"USD","agent":"south"}'
    assert await bodies(office, "accounts", "shop") == [before, limited, before]
    assert await bodies(office, "accounts", "new") == [None, '{"currency":"USD"}']
    line, change = (await list_audit(office, operator(), ListAudit()))[:2]
    assert (line.action, line.subject, line.principal) == ("WithdrawChange", "2 objects", "ann")
    assert line.detail["why"] == [*INVALID.problems]
    assert line.detail["versions"] == ["accounts shop 3", "accounts new 2"]
    assert change.action == "SetObjects"
    made = await set_objects(office, operator(), SetObjects(objects=(msgspec.structs.replace(new, is_new=True),)))
    assert made.changes[0].version == 3


@pytest.mark.parametrize("memo", ["x" * 256, "ticket \0 4711"])
async def test_a_change_is_withdrawn_though_its_memo_was_stored_otherwise(
    office: Office, tmp_path: Path, memo: str
) -> None:
    wanted = SetObjects(objects=(*LIMITED.objects, WantedObject("templates", "t", {})), memo=memo)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, INVALID):
        with pytest.raises(NotTakenError, match=WITHDRAWN):
            await set_objects(office, operator(), wanted)
    assert await numbers(office, "accounts", "shop") == [3, 2, 1]
    assert await bodies(office, "templates", "t") == [None, "{}"]


@pytest.mark.parametrize(
    "problem",
    [
        f"accounts rival (version 2) {EXPECTED}",
        f"accounts shop (version 1) {EXPECTED}",
        "/etc/vosd/vosd.yaml:7: accounts[shop].currency: expected USD",
        "accounts shop (version 2) in the database: warning: accounts[shop].enabled: expected yes",
        f"/etc/vosd/vosd.yaml:7: pools: value 'accounts shop (version 2) {EXPECTED}",
    ],
)
@pytest.mark.parametrize("who", [operator(), agent("south")], ids=["operator", "agent"])
async def test_a_change_is_not_withdrawn_for_a_mistake_of_others(
    office: Office, tmp_path: Path, who: Principal, problem: str
) -> None:
    said = f"{KEPT}:\nnot taken\n{problem}" if who.account is None else f"{KEPT}: ask its operators"
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, ConfigurationInvalidError("not taken", [problem])):
        with pytest.raises(NotTakenError) as refused:
            await set_objects(office, who, LIMITED)
    assert (str(refused.value), await numbers(office, "accounts", "shop")) == (said, [2, 1])


@pytest.mark.parametrize("directory", ["", "/etc/vosd/", "./"], ids=["as people read it", "with a directory", "here"])
def test_a_mistake_in_a_version_is_found_by_its_place(directory: str) -> None:
    name = "shöp 1" if not directory else "sh%C3%B6p%201"
    version = ObjectVersion(
        kind="accounts", name="shöp 1", version=2, body="{}", begins_at=NOW, made_at=NOW, operator="ann"
    )
    problem = f"{directory}accounts {name} (version 2) {EXPECTED}"
    assert has_mistake([version], ["another", problem])
    assert not has_mistake(
        [version], [problem.replace("(version 2)", "(version 12)"), f"my accounts {name} (version 2) {EXPECTED}"]
    )


@pytest.mark.parametrize("is_withdrawn", [True, False])
async def test_a_change_is_taken_when_that_of_others_before_it_is_withdrawn(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_withdrawn: bool
) -> None:
    monkeypatch.setattr(taken_change, "_MENDED_S", 60.0 if is_withdrawn else 0.2)
    refused, stored = asyncio.Event(), office.stores.objects
    bad = (await stored.history("accounts", "shop"))[0]

    def answer(_order: Reload) -> ReloadOutcome:
        if refused.is_set():
            return TAKEN
        refused.set()
        raise ConfigurationInvalidError("not taken", [f"accounts shop (version 1) {EXPECTED}"])

    switch = FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer)
    async with switch:
        template = SetObjects(objects=(WantedObject("templates", "t", {}),))
        change = asyncio.create_task(set_objects(office, operator(), template))
        await refused.wait()
        if is_withdrawn:
            await stored.add([msgspec.structs.replace(bad, version=2)])
            assert (await change).in_force
        else:
            with pytest.raises(NotTakenError, match=KEPT):
                await change
    assert switch.asked == [Reload()] * (2 if is_withdrawn else 1)
    assert await numbers(office, "templates", "t") == [1]


def test_objects_at_fault_are_those_of_the_database_with_mistakes() -> None:
    assert objects_at_fault(
        [
            f"accounts night shift (version 2) {EXPECTED}",
            f"/etc/vosd/phones 4%2F9 (version 7) {EXPECTED}",
            f"./phones 4%20 (version 8) {EXPECTED}",
            "accounts b (version 3) in the database: warning: enabled: expected yes",
            f"/etc/vosd/vosd.yaml:7: accounts c (version 3) {EXPECTED}",
            "/etc/vosd/vosd.yaml:7: accounts[shop].currency: expected USD",
            f"rate_groups wholesale/24 (version 3) {EXPECTED}",
            f"rate_groups a/rate_groups b (version 4) {EXPECTED}",
            f"templates t (version 5) in the database: warning: phones x/y (version 6) {EXPECTED}",
        ]
    ) == {
        ("accounts", "night shift"): 2, ("phones", "4/9"): 7, ("phones", "4 "): 8, ("rate_groups", "wholesale/24"): 3,
        ("rate_groups", "a/rate_groups b"): 4,
    }  # fmt: skip


async def test_a_withdrawal_has_time_of_its_own(office: Office, tmp_path: Path) -> None:
    def answer(_order: Reload) -> ReloadOutcome:
        office.until = asyncio.get_running_loop().time() - 1  # type: ignore[misc]
        raise INVALID

    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer):
        with pytest.raises(NotTakenError, match=WITHDRAWN):
            await set_objects(office, operator(), LIMITED)
    assert await numbers(office, "accounts", "shop") == [3, 2, 1]


async def test_a_withdrawal_goes_on_where_the_request_is_given_up(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, begun, free = office.definitions.check_objects, asyncio.Event(), asyncio.Event()

    async def check_slowly(*words: Any) -> Any:
        begun.set()
        await free.wait()
        return await check(*words)

    def answer(_order: Reload) -> ReloadOutcome:
        monkeypatch.setattr(office.definitions, "check_objects", check_slowly)
        raise INVALID

    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer):
        request = asyncio.create_task(set_objects(office, operator(), LIMITED))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        free.set()
        await office.changing.take(None)  # the withdrawal has left its turn
    assert await numbers(office, "accounts", "shop") == [3, 2, 1]


async def test_a_change_that_another_one_follows_is_not_withdrawn(office: Office, tmp_path: Path) -> None:
    async def answer(_order: Reload) -> ReloadOutcome:
        other = (await office.stores.objects.history("accounts", "shop"))[0]
        await office.stores.objects.add([msgspec.structs.replace(other, version=other.version + 1, operator="bob")])
        raise INVALID

    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer):
        with pytest.raises(NotTakenError, match="the change is in the database"):
            await set_objects(office, operator(), LIMITED)
    assert await numbers(office, "accounts", "shop") == [3, 2, 1]


def refusal(*places: str) -> ConfigurationInvalidError:
    return ConfigurationInvalidError("not taken", [f"{place} {EXPECTED}" for place in places])


BEFORE: Final = '{"currency":"USD","agent":"south"}'
BY_ANN: Final = '{"currency":"USD","agent":"south","max_cps":"3"}'
BY_BOTH: Final = '{"currency":"USD","agent":"south","max_cps":"3","overdraft_limit":"5"}'
ON_TOP: Final = SetObjects(objects=(WantedObject("accounts", "shop", {"overdraft_limit": "5"}, is_merged=True),))


async def one_on_top_of_the_other(
    office: Office, monkeypatch: pytest.MonkeyPatch, *reloads: ReloadOutcome | Exception
) -> list[str]:
    """Store a change of ann's, then one of bob's on top of it, and return what each of them reads.

    The first reload, which ann waits for, has an answer when bob's version is stored, and bob's when ann has gone on.
    """
    changes: list[asyncio.Task[ChangeSheet]] = []
    answers, bob_asks, ann_has_gone_on = [*reloads], asyncio.Event(), asyncio.Event()

    async def answer(_order: Reload) -> ReloadOutcome:
        number = len(changes)
        found = answers.pop(0)
        if number == 1:
            changes.append(asyncio.create_task(set_objects(office, operator("bob"), ON_TOP)))
            await bob_asks.wait()
        elif not bob_asks.is_set():
            bob_asks.set()
            await ann_has_gone_on.wait()
        if isinstance(found, Exception):
            raise found
        return found

    mended = taken_change._mended

    async def waited_for(office: Office, at_fault: Mapping[tuple[str, str], int]) -> bool:
        ann_has_gone_on.set()
        return await mended(office, at_fault)

    monkeypatch.setattr(taken_change, "_mended", waited_for)
    limited = SetObjects(objects=(*LIMITED.objects, WantedObject("templates", "t", {})))
    async with FakeSwitch(office.definitions.settings.state_dir / "vosd.sock").answers(Reload, answer):
        changes.append(asyncio.create_task(set_objects(office, operator("ann"), limited)))
        changes[0].add_done_callback(lambda _task: ann_has_gone_on.set())
        await bob_asks.wait()
        read = [str(each) for each in await asyncio.gather(*changes, return_exceptions=True)]
    assert not answers
    return [each.split("\n")[0] for each in read]


async def test_a_version_that_was_refused_is_not_put_back_where_the_one_on_top_of_it_is_withdrawn(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_ann, of_bob = refusal("accounts shop (version 2)"), refusal("accounts shop (version 3)")
    read = await one_on_top_of_the_other(office, monkeypatch, of_ann, of_bob)
    assert read == [f"{KEPT}:", f"{WITHDRAWN}:"]
    assert await bodies(office, "accounts", "shop") == [BEFORE, BY_BOTH, BY_ANN, BEFORE]
    line = next(each for each in await list_audit(office, operator(), ListAudit()) if each.action == "WithdrawChange")
    assert (line.principal, line.detail["versions"]) == ("bob", ["accounts shop 4"])
    assert line.detail["beside"] == ["accounts shop 2: ann"]
    assert not office.changing.untaken.of("accounts", "shop")


@pytest.mark.parametrize("then", [TAKEN, refusal("accounts rival (version 1)")], ids=["taken then", "refused then"])
async def test_a_change_is_withdrawn_together_with_one_on_top_of_it_and_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch, then: ReloadOutcome | Exception
) -> None:
    monkeypatch.setattr(taken_change, "_MENDED_S", 60.0)
    of_both = refusal("accounts shop (version 3)")
    read = await one_on_top_of_the_other(office, monkeypatch, of_both, of_both, then)
    assert read == [f"{WITHDRAWN}:"] * 2
    assert await bodies(office, "accounts", "shop") == [BEFORE, BY_BOTH, BY_ANN, BEFORE]
    assert await bodies(office, "templates", "t") == [None, "{}"], "the rest of the change is withdrawn, too"
    lines = [each for each in await list_audit(office, operator(), ListAudit()) if each.action == "WithdrawChange"]
    assert [(each.principal, each.detail["versions"], each.detail.get("beside")) for each in lines] == [
        ("ann", ["templates t 2"], None), ("bob", ["accounts shop 4"], ["accounts shop 2: ann"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "of_ann",
    [TAKEN, BUSY, refusal("mapping_gateways pbx (version 1)")],
    ids=["taken", "not now", "a mistake of others"],
)
async def test_a_version_without_a_mistake_is_put_back_where_the_one_on_top_of_it_is_withdrawn(
    office: Office, monkeypatch: pytest.MonkeyPatch, of_ann: ReloadOutcome | Exception
) -> None:
    monkeypatch.setattr(taken_change, "_MENDED_S", 0.0)
    read = await one_on_top_of_the_other(office, monkeypatch, of_ann, refusal("accounts shop (version 3)"))
    assert read[1] == f"{WITHDRAWN}:"
    assert read[0].startswith("ChangeSheet(") if of_ann is TAKEN else read[0] == f"{KEPT}:"
    assert await bodies(office, "accounts", "shop") == [BY_ANN, BY_BOTH, BY_ANN, BEFORE]
    assert await bodies(office, "templates", "t") == ["{}"]


@pytest.mark.parametrize("has_more", [True, False], ids=["beside another object", "alone"])
async def test_a_planned_version_that_has_begun_before_the_withdrawal_stays_in_force(
    office: Office, tmp_path: Path, has_more: bool
) -> None:
    planned = WantedObject("accounts", "shop", {"currency": "USD", "agent": "south", "max_cps": "9"})
    moments = [NOW + 5]
    office.now = lambda: moments[-1]  # type: ignore[misc]
    await set_objects(office, operator(), SetObjects(objects=(planned,), at=NOW + 1_000))

    at_fault = "accounts shop (version 3)"

    def answer(_order: Reload) -> ReloadOutcome:
        moments.append(NOW + 1_000)
        raise ConfigurationInvalidError("not taken", [f"{at_fault} {EXPECTED}"])

    wanted = (*LIMITED.objects, WantedObject("templates", "t", {})) if has_more else LIMITED.objects
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, answer):
        with pytest.raises(NotTakenError, match=WITHDRAWN if has_more else KEPT):
            await set_objects(office, operator(), SetObjects(objects=wanted))
    assert await numbers(office, "accounts", "shop") == [3, 2, 1]
    in_force = await office.stores.objects.named(NOW + 2_000, "accounts", ["shop"])
    assert '"max_cps":"9"' in (in_force[0].body or "")
    assert await bodies(office, "templates", "t") == ([None, "{}"] if has_more else [])


async def test_a_change_that_cannot_be_put_back_stays(office: Office, tmp_path: Path) -> None:
    """Money was booked with it, or the switch only wants something else first."""
    first = ProvisionCustomer(account="new", keys={"currency": "USD"}, payment=FirstPayment(amount=Decimal(1)))
    office.definitions.accounts()["new"] = builders.account("new", currency="USD")  # type: ignore[index]
    invalid = ConfigurationInvalidError("not taken", [f"accounts new (version 1) {EXPECTED}"])
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, invalid) as switch:
        with pytest.raises(NotTakenError, match="the change is in the database"):
            await provision_customer(office, operator(), first)
        assert await numbers(office, "accounts", "new") == [1]
        switch.answers(Reload, BUSY)
        with pytest.raises(NotTakenError, match="the change is in the database"):
            await set_objects(office, operator(), LIMITED)
    assert await numbers(office, "accounts", "shop") == [2, 1]


async def test_a_check_of_the_configuration_warns_of_mistakes_at_a_planned_moment(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    text = (
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}\n"
        f"control_socket: {tmp_path}/vosd.sock\naccounts: [{{id: desk, currency: USD}}, {{id: shop, currency: USD}}]\n"
    )

    async def checked() -> tuple[bool, list[tuple[str, str]]]:
        async with Offices(file) as offices:
            office = await offices.open(needs_database=True, patience_s=60)
            found = await check_configuration(office, operator(), CheckConfiguration())
        by_command = await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(file), "check"])
        assert by_command.exit_code == 0
        assert all(each.key in by_command.output for each in found.problems)
        return found.valid, [(each.key, each.severity) for each in found.problems]

    file.write_text(text)
    async with Offices(file) as offices:
        office = await offices.open(needs_database=True, patience_s=60)
        await set_objects(office, operator(), SetObjects(objects=(TRUNK,), at=office.now() + 3_600_000))
    assert await checked() == (True, [])
    file.write_text(text.replace("id: shop", "id: other"))
    is_valid, found = await checked()
    assert is_valid, "what is not in force yet refuses nothing"
    assert found == [("begins_at", "warning"), ("mapping_gateways[pbx].account", "warning")]
    missing = f"{{certificate: {tmp_path}/no.pem, key: {tmp_path}/no.key}}"
    file.write_text(f"{text.replace('id: shop', 'id: other')}api: {{listen: '127.0.0.1:8080', tls: {missing}}}\n")
    async with Offices(file) as offices:
        mistaken = await check_configuration(
            await offices.open(needs_database=True, patience_s=60), operator(), CheckConfiguration()
        )
    assert not mistaken.valid
    severities = [(each.key, each.severity) for each in mistaken.problems]
    assert severities[:3] == [("api.tls.certificate", "error"), *found]


async def test_a_check_of_the_configuration_finds_accounts_with_money_in_another_currency(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    text = (
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}\n"
        f"control_socket: {tmp_path}/vosd.sock\naccounts: [{{id: shop, currency: USD}}]\n"
    )

    async def checked() -> tuple[bool, list[str], int]:
        async with Offices(file) as offices:
            office = await offices.open(needs_database=True, patience_s=60)
            found = await check_configuration(office, operator(), CheckConfiguration())
        by_command = await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(file), "check"])
        assert all(each.key in by_command.stdout for each in found.problems)
        return found.valid, [each.key for each in found.problems], by_command.exit_code

    file.write_text(text)
    assert await checked() == (True, [], 0)
    async with Offices(file) as offices:
        await paid(await offices.open(needs_database=True, patience_s=60))
    assert await checked() == (True, [], 0)
    file.write_text(text.replace("USD", "EUR"))
    assert await checked() == (False, ["accounts[shop].currency"], 3)
