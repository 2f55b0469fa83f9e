"""Views that people keep: who sees and changes which, and what a view may have."""

import msgspec
import pytest
from doubles.data import builders
from doubles.office import office_on

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.people import AddPerson, GiveRole, add_person, give_role
from vosd.admin.office.planned_change import StaleVersionError
from vosd.admin.office.principal import ALL, SHIPPED, Means, OperatorsOnlyError, OrderError, Principal, Role
from vosd.admin.office.saved_views import (
    QUERY_MAX,
    VIEWS_MAX,
    AddView,
    ChangeView,
    DropView,
    ListViews,
    NoSuchViewError,
    NotYourViewError,
    ViewPage,
    add_view,
    change_view,
    drop_view,
    list_views,
)
from vosd.storage.database import Database
from vosd.storage.saved_views import TooManyViewsError

NOW = 1_790_000_000_000


def person(name: str, role: str = "viewer", account: str | None = None) -> Principal:
    """Return a person who has logged in to the console."""
    kind = Role(role) if account is not None else Role.OPERATOR
    return Principal(
        role=kind, name=name, login=name, means=Means.PAGE, permissions=SHIPPED[role].permissions, account=account
    )


ANN, BOB, ROOT = person("ann"), person("bob", "finance"), person("root", "administrator")
SHOP = person("sam", "customer", "shop")
BUSY = AddView(page=ViewPage.CDRS, name="busy", query="reason=Busy&columns=caller_in%2Cfee")


@pytest.fixture
def office(database: Database) -> Office:
    return office_on(database, builders.account("shop"), now=NOW)


async def names_of(office: Office, who: Principal) -> list[str]:
    return [each.name for each in await list_views(office, who, ListViews())]


async def test_a_view_is_its_owners_alone_until_it_is_shared_with_all_operators(office: Office) -> None:
    made = await add_view(office, ANN, BUSY)
    assert (made.owner, made.own, made.may_change, made.version) == ("ann", True, True, 1)
    assert [await names_of(office, who) for who in (ANN, BOB, ROOT, SHOP)] == [["busy"], [], [], []]
    shared = ChangeView(id=made.id, name="busy", query=made.query, shared=True, if_version=1)
    assert (await change_view(office, ANN, shared)).version == 2
    assert [await names_of(office, who) for who in (ANN, BOB, ROOT, SHOP)] == [["busy"], ["busy"], ["busy"], []]
    (seen,) = await list_views(office, BOB, ListViews())
    assert (seen.owner, seen.own, seen.may_change) == ("ann", False, False)


async def test_only_its_owner_and_an_administrator_change_it(office: Office) -> None:
    made = await add_view(office, ANN, msgspec.structs.replace(BUSY, shared=True))
    own = await add_view(office, ANN, msgspec.structs.replace(BUSY, name="own"))
    change = ChangeView(id=made.id, name="busier", query="reason=Loop", shared=True)
    with pytest.raises(NotYourViewError, match="shared by ann"):
        await change_view(office, BOB, change)
    with pytest.raises(NotYourViewError):
        await drop_view(office, BOB, DropView(id=made.id))
    for who, number in ((BOB, own.id), (SHOP, made.id), (ROOT, 999)):
        with pytest.raises(NoSuchViewError):
            await drop_view(office, who, DropView(id=number))
    almost = msgspec.structs.replace(BOB, permissions=ALL - {*sorted(ALL)[:1]})
    with pytest.raises(NotYourViewError):
        await change_view(office, almost, change)
    changed = await change_view(office, ROOT, change)
    assert (changed.owner, changed.name, changed.changed_by, changed.own) == ("ann", "busier", "root", False)
    with pytest.raises(StaleVersionError):
        await drop_view(office, ANN, DropView(id=made.id, if_version=1))
    assert (await drop_view(office, ROOT, DropView(id=made.id, if_version=2))).name == "busier"
    lines = await list_audit(office, ROOT, ListAudit())
    assert [(each.principal, each.action, each.subject) for each in lines[::-1]] == [
        ("ann", "AddView", "view busy"), ("ann", "AddView", "view own"),
        ("root", "ChangeView", "view busy"), ("root", "DropView", "view busier"),
    ]  # fmt: skip


async def test_agents_and_customers_share_none(office: Office) -> None:
    made = await add_view(office, SHOP, BUSY)
    assert await names_of(office, SHOP) == ["busy"]
    with pytest.raises(OperatorsOnlyError):
        await add_view(office, SHOP, msgspec.structs.replace(BUSY, name="two", shared=True))
    with pytest.raises(OperatorsOnlyError):
        await change_view(office, SHOP, ChangeView(id=made.id, name="busy", query="", shared=True))
    assert await names_of(office, BOB) == []


async def test_views_of_a_person_who_becomes_a_customer_are_shared_no_longer(office: Office) -> None:
    await add_person(office, ROOT, AddPerson(name="ann", role="viewer"))
    made = await add_view(office, ANN, msgspec.structs.replace(BUSY, shared=True))
    await give_role(office, ROOT, GiveRole(name="ann", role="viewer"))
    assert await names_of(office, BOB) == ["busy"]
    await give_role(office, ROOT, GiveRole(name="ann", role="customer", account="shop"))
    assert await names_of(office, BOB) == []
    ann = person("ann", "customer", "shop")
    (kept,) = await list_views(office, ann, ListViews())
    assert (kept.shared, kept.version) == (False, made.version + 1)
    change = ChangeView(id=made.id, name="busy", query="reason=Loop", shared=kept.shared, if_version=kept.version)
    await change_view(office, ann, change)
    with pytest.raises(OrderError, match="is for views of operators, and ann acts for account shop"):
        await change_view(office, ROOT, msgspec.structs.replace(change, shared=True, if_version=None))


async def test_who_may_not_see_calls_keeps_no_views(office: Office) -> None:
    blind = msgspec.structs.replace(ANN, permissions=frozenset())
    with pytest.raises(PermissionLackingError):
        await list_views(office, blind, ListViews())


async def test_a_token_keeps_its_own(office: Office) -> None:
    token = msgspec.structs.replace(ANN, login="token 5f0c9a1e", means=Means.TOKEN)
    await add_view(office, token, BUSY)
    assert await names_of(office, ANN) == []
    assert await names_of(office, token) == ["busy"]


async def test_each_has_a_bounded_number(office: Office) -> None:
    for number in range(VIEWS_MAX):
        await add_view(office, ANN, msgspec.structs.replace(BUSY, name=str(number)))
    with pytest.raises(TooManyViewsError, match="100 views"):
        await add_view(office, ANN, BUSY)
    await add_view(office, BOB, BUSY)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": ""}),
        ("name", {"name": " a"}),
        ("name", {"name": "a\n"}),
        ("name", {"name": "a\u2028b"}),
        ("name", {"name": "a\u202eb"}),
        ("name", {"name": "a" * 65}),
        ("query", {"query": "a" * (QUERY_MAX + 1)}),
        ("query", {"query": "a=b#c"}),
        ("query", {"query": "a=<script>"}),
        ("query", {"query": "a=b\n"}),
        ("query", {"query": "a=中"}),
    ],
)
def test_a_name_or_a_query_that_is_none_is_refused(field: str, changes: dict[str, str]) -> None:
    with pytest.raises(OrderError) as refused:
        AddView(**{"page": ViewPage.REPORTS, "name": "a", "query": "name=daily"} | changes)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["我的\u3000搜索", "a\u00a0b", "👩\u200d💻 calls"])
def test_a_name_has_blanks_and_emoji_of_any_language(name: str) -> None:
    assert AddView(page=ViewPage.CDRS, name=name, query="").name == name
