"""Each use case of the office needs a permission, and refuses those who have it not before it does anything."""

import inspect
import textwrap
from typing import Any

import msgspec
import pytest
from doubles.office import NOWHERE, Defined
from test_orders_from_json import use_cases

from vosd.admin.office.decks import put_in_force
from vosd.admin.office.office import BY_ACCOUNT, INSTEAD, NEEDED, Office, PermissionLackingError
from vosd.admin.office.principal import (
    ALL,
    OPEN_TO,
    SHIPPED,
    ActsFor,
    Means,
    OperatorsOnlyError,
    OrderError,
    Permission,
    Principal,
    Role,
    permissions_of,
)

CASES = [
    pytest.param(each, id=name)
    for name, each in (*use_cases(), ("decks.put_in_force", put_in_force))
    if inspect.iscoroutinefunction(inspect.unwrap(each)) or inspect.isasyncgenfunction(inspect.unwrap(each))
]


def closed_office() -> Office:
    def none() -> Any:
        raise AssertionError("it was opened before the permission was checked")

    return Office(Defined(state_dir=NOWHERE), none, none, lambda: 0)


def program(*permissions: Permission) -> Principal:
    return Principal(role=Role.PROGRAM, name="probe", login="t", means=Means.TOKEN, permissions=frozenset(permissions))


@pytest.mark.parametrize("use_case", CASES)
def test_a_use_case_refuses_who_has_every_permission_but_its_own(use_case: Any) -> None:
    needed = getattr(use_case, NEEDED)
    with pytest.raises(PermissionLackingError, match=f"^probe may not do this: it needs the permission {needed}$"):
        use_case(closed_office(), program(*(ALL - {needed} - getattr(use_case, INSTEAD))), None)


@pytest.mark.parametrize("use_case", CASES)
def test_a_use_case_that_is_for_agents_and_customers_checks_their_scope(use_case: Any) -> None:
    scoped = textwrap.dedent(inspect.getsource(use_case))
    if getattr(use_case, BY_ACCOUNT):
        assert getattr(use_case, NEEDED) in OPEN_TO[ActsFor.AGENT]
        ways = (
            "scope_of(who)",
            "await scope_for_invoices(office, who)",  # scope_of, and what an agent without accounts has issued
            "_set_gateway(office, who",
            "await list_objects(office, who",
            "await list_definitions(office, who",
            "await _set(office, who",  # of numbers: set_objects, which has the scope of objects
        )
        assert any(each in scoped for each in ways)
        return
    agent = Principal(role=Role.AGENT, name="a", login="a", means=Means.TOKEN, permissions=ALL, account="south")
    office = closed_office()
    office.scope_of = lambda _who: _refusing()  # type: ignore[method-assign]
    with pytest.raises(OperatorsOnlyError):
        use_case(office, agent, None)


@pytest.mark.parametrize("use_case", CASES)
def test_a_use_case_refuses_text_that_is_not_utf_8_and_names_its_field(use_case: Any) -> None:
    office = closed_office()
    who = Principal(role=Role.OPERATOR, name="ann", login="ann", means=Means.TERMINAL, permissions=ALL)
    for order in (Noted(1, "caf\udce9"), Noted(1, "", {"a": ["\ud800"]})):
        with pytest.raises(OrderError, match=f"^`{'memo' if order.memo else 'more'}` has bytes that are not UTF-8"):
            use_case(office, who, order)


class Noted(msgspec.Struct):
    number: int
    memo: str
    more: Any = None


def _refusing() -> Any:
    class Refusing:
        def require_operator(self) -> None:
            raise OperatorsOnlyError("agent south may not do this: it is for operators")

    return Refusing()


def test_each_permission_is_needed_by_a_use_case() -> None:
    needed = {getattr(use_case.values[0], NEEDED) for use_case in CASES}
    assert needed == ALL


def test_a_role_that_ships_has_no_permission_that_is_closed_to_its_kind() -> None:
    assert set(SHIPPED) == {"viewer", "night", "rates", "finance", "administrator", "agent", "customer"}
    for role in SHIPPED.values():
        assert role.permissions <= OPEN_TO[role.acts_for]
    assert SHIPPED["administrator"].permissions == ALL
    changing = {"book", "change", "run", "hang_up", "block"}
    assert not [each for each in SHIPPED["viewer"].permissions if each.rpartition(".")[2] in changing]


def test_scopes_are_permissions_subjects_or_all_that_changes_nothing() -> None:
    assert permissions_of(["accounts.see"]) == {Permission.ACCOUNTS_SEE}
    assert permissions_of(["money", "block"]) == {Permission.MONEY_SEE, Permission.MONEY_BOOK, Permission.BLOCK}
    assert {each.rpartition(".")[2] for each in permissions_of(["read"])} == {"see"}
    with pytest.raises(OrderError, match=r"'accounts\.sea' is none: expected read"):
        permissions_of(["accounts.sea"])
