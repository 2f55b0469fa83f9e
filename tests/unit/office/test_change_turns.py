"""Turns of changes: operators first, and two changes under way of each account of an agent or a customer."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest
from doubles.data import builders
from doubles.office import Defined, agent, customer, office_on, operator

from vosd.admin.agents import MayNotActError
from vosd.admin.office import phone_passwords
from vosd.admin.office.change_turns import ChangeTurns, TooManyChangesError
from vosd.admin.office.customers import NewObject, ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import SetObjects, set_objects
from vosd.admin.office.office import Office
from vosd.admin.office.phone_passwords import SetPhonePassword, TooManyPasswordsError, set_phone_password
from vosd.admin.office.planned_change import WantedObject
from vosd.admin.office.principal import OrderError, Principal
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.catalogue.stored_objects import DefinitionsMoved
from vosd.cdr.columns import iso_utc
from vosd.storage.database import Database

NOW: Final = 1_790_000_000_000
HOUR_S: Final = 3_600


async def passing(*names: str) -> tuple[ChangeTurns, list[str], dict[str, asyncio.Task[None]]]:
    """Return turns that are taken, and the names of those that wait, which note themselves when they have it."""
    turns, had, waiting = ChangeTurns(), list[str](), dict[str, asyncio.Task[None]]()
    await turns.take(None)

    async def wait(name: str) -> None:
        async with turns.turn(None if name.startswith("operator") else name):
            had.append(name)

    for name in names:
        waiting[name] = asyncio.create_task(wait(name))
        await asyncio.sleep(0)
    return turns, had, waiting


async def test_operators_have_their_turn_before_agents_and_customers_each_kind_in_its_order() -> None:
    turns, had, waiting = await passing("acme", "operator 1", "shop", "operator 2")
    assert had == []
    turns.leave()
    await asyncio.gather(*waiting.values())
    assert had == ["operator 1", "operator 2", "acme", "shop"]
    await turns.take(None)  # it is free again


@pytest.mark.parametrize("is_given", [False, True], ids=["while it waits", "as it gets its turn"])
async def test_the_turn_of_one_that_is_given_up_goes_to_the_next(is_given: bool) -> None:
    turns, had, waiting = await passing("operator 1", "acme")
    if is_given:
        turns.leave()
    waiting["operator 1"].cancel()
    await asyncio.sleep(0)
    if not is_given:
        turns.leave()
    await waiting["acme"]
    assert (had, waiting["operator 1"].cancelled()) == (["acme"], True)
    await turns.take(None)


async def test_the_turn_is_not_lost_where_it_is_left_before_one_that_was_given_up_has_ended() -> None:
    turns, had, waiting = await passing("operator 1", "acme")
    waiting["operator 1"].cancel()
    turns.leave()
    ended = await asyncio.gather(*waiting.values(), return_exceptions=True)
    assert ([type(each) for each in ended], had) == ([asyncio.CancelledError, type(None)], ["acme"])
    await turns.take(None)  # it is free again


def test_an_account_has_two_changes_under_way_and_operators_any_number() -> None:
    turns = ChangeTurns()
    with turns.under_way("acme"), turns.under_way("acme"), turns.under_way("shop"):
        with pytest.raises(TooManyChangesError) as refused, turns.under_way("acme"):
            pass
        assert (refused.value.retry_after_s, "account acme" in str(refused.value)) == (1, True)
        with turns.under_way(None), turns.under_way(None), turns.under_way(None):
            pass
    with turns.under_way("acme"), turns.under_way("acme"):
        pass


@pytest.fixture
async def office(database: Database) -> Office:
    accounts = builders.account("south", rights=frozenset({Right.PHONES})), builders.account("acme", agent="south")
    office = office_on(database, *accounts, now=NOW, payers={"7001": "acme", "7002": "acme"})
    phone = {"account": "acme", "password": "very-Secret-word"}
    wanted = tuple(WantedObject("phones", number, phone) for number in ("7001", "7002"))
    await set_objects(office, operator(), SetObjects(objects=wanted))
    return office


def new(number: int, phone: str = "7001") -> SetPhonePassword:
    return SetPhonePassword(number=phone, password=f"another-Long-word-{number}")


async def test_a_customer_with_many_changes_at_once_keeps_no_operator_waiting(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, free = office.definitions.check_objects, asyncio.Event()

    async def check_slowly(*words: Any) -> Any:
        await free.wait()
        return await check(*words)

    monkeypatch.setattr(office.definitions, "check_objects", check_slowly)
    changes = [asyncio.create_task(set_phone_password(office, customer("acme"), new(each))) for each in range(60)]
    done, _ = await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 58:
        done, _ = await asyncio.wait(changes, timeout=0.01)
    assert {type(each.exception()) for each in done} == {TooManyChangesError}
    shop = SetObjects(objects=(WantedObject("accounts", "shop", {"currency": "USD"}),))
    by_operator = asyncio.create_task(set_objects(office, operator(), shop))
    free.set()
    await by_operator
    await asyncio.wait(changes)


async def test_a_phone_gets_ten_passwords_an_hour_of_its_customer_and_any_number_of_operators(office: Office) -> None:
    for each in range(phone_passwords.CHANGES_MAX - 1):  # the phone itself was made a moment ago
        await set_phone_password(office, customer("acme"), new(each))
    with pytest.raises(TooManyPasswordsError) as refused:
        await set_phone_password(office, customer("acme"), new(10))
    assert refused.value.retry_after_s == HOUR_S
    await set_phone_password(office, customer("acme"), new(10, "7002"))
    await set_phone_password(office, operator(), new(10))
    later = office_on(
        office.stores.database, builders.account("acme"), now=NOW + 1_000 * HOUR_S, payers={"7001": "acme"}
    )
    await set_phone_password(later, customer("acme"), new(11))
    assert msgspec.json.decode((await office.stores.objects.history("phones", "7001"))[0].body or "")["password"] == (
        "another-Long-word-11"
    )


@pytest.mark.parametrize("who", [agent("south"), customer("acme")], ids=["agent", "customer"])
async def test_a_password_of_an_agent_or_a_customer_is_not_planned(office: Office, who: Principal) -> None:
    planned = msgspec.structs.replace(new(1), at=NOW + 1_000)
    with pytest.raises(OrderError, match="`at` is not for agents and customers"):
        await set_phone_password(office, who, planned)
    assert len(await office.stores.objects.history("phones", "7001")) == 1
    made = await set_phone_password(office, operator(), planned)
    assert [each.begins_at for each in made.changes] == [iso_utc(NOW + 1_000)]


async def test_the_bound_of_passwords_is_that_of_agents_too(office: Office) -> None:
    for each in range(phone_passwords.CHANGES_MAX):
        await set_phone_password(office, operator(), new(each))
    with pytest.raises(TooManyPasswordsError):
        await set_phone_password(office, agent("south"), new(10))


async def _waiting_in_turn(office: Office, order: Any, who: Principal) -> asyncio.Task[Any]:
    """Return a change that waits behind another one, which holds its turn."""
    await office.changing.take(None)
    act = set_phone_password if isinstance(order, SetPhonePassword) else set_objects
    if isinstance(order, ProvisionCustomer):
        act = provision_customer
    change = asyncio.create_task(act(office, who, order))
    while not office.changing._accounts:
        assert not change.done(), change
        await asyncio.sleep(0)
    return change


_CHANGED: Final = SetObjects(objects=(WantedObject("phones", "7001", {"max_concurrent": "1"}, is_merged=True),))
_ENDED: Final = SetObjects(objects=(WantedObject("phones", "7001", None),))
_MADE: Final = ProvisionCustomer(account="fresh", phones=(NewObject("7009", {"password": "a-Long-enough-word"}),))
_ACCOUNT: Final = SetObjects(objects=(WantedObject("accounts", "acme", {"max_cps": "3"}, is_merged=True),))


@pytest.mark.parametrize(
    ("order", "who", "lost", "refused"),
    [
        (_CHANGED, "south", {"south": {"rights": frozenset()}}, RightLackingError),
        (_ENDED, "south", {"south": {"rights": frozenset()}}, RightLackingError),
        (_MADE, "south", {"south": {"rights": frozenset({Right.PHONES})}}, RightLackingError),
        (_ACCOUNT, "south", {"south": {"rights": frozenset({Right.PHONES})}}, RightLackingError),
        (new(1), "south", {"south": {"rights": frozenset({Right.ACCOUNTS})}}, RightLackingError),
        (_CHANGED, "south", {"top": {"rights": frozenset()}}, RightLackingError),
        (_CHANGED, "south", {"acme": {"agent": "top"}}, OutOfScopeError),
        (_ACCOUNT, "south", {"acme": {"agent": "top"}}, OutOfScopeError),
        (_CHANGED, "south", {"acme": {"agent": "new"}, "new": {"agent": "south"}}, DefinitionsMoved),
        (_CHANGED, "south", {"top": {"enabled": False}}, MayNotActError),
        (new(1), "acme", {"south": {"enabled": False}}, MayNotActError),
        (_CHANGED, "south", {}, None),
        (_ENDED, "south", {}, None),
        (_MADE, "south", {}, None),
        (_ACCOUNT, "south", {"top": {"rights": frozenset({Right.ACCOUNTS})}}, None),
        (new(1), "acme", {"south": {"rights": frozenset()}}, None),
    ],
)
async def test_a_change_of_an_agent_that_waits_is_made_by_the_rights_that_hold_when_its_turn_comes(
    database: Database, order: Any, who: str, lost: Mapping[str, Mapping[str, Any]], refused: type[Exception] | None
) -> None:
    keys: dict[str, dict[str, Any]] = {
        "top": {"rights": frozenset(Right)},
        "south": {"agent": "top", "rights": frozenset(Right)},
        "acme": {"agent": "south"},
    }
    account = {name: builders.account(name, **each) for name, each in keys.items()}
    office = office_on(database, *account.values(), now=NOW, payers={"7001": "acme"})
    phone = {"account": "acme", "password": "very-Secret-word"}
    first = WantedObject("phones", "7001", phone), WantedObject("accounts", "acme", {"agent": "south"})
    await set_objects(office, operator(), SetObjects(objects=first))
    change = await _waiting_in_turn(office, order, agent(who) if who == "south" else customer(who))
    definitions = office.definitions
    assert isinstance(definitions, Defined)
    definitions.put(*(builders.account(name, **keys.get(name, {}) | each) for name, each in lost.items()))
    office.changing.leave()
    if refused is None:
        await change
    else:
        version = await office.stores.decks.version()
        with pytest.raises(refused):
            await change
        assert await office.stores.decks.version() == version
