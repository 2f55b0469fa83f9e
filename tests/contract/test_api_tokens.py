"""Tokens of programs: shown once, narrowed, ended, and looked up at each request."""

import asyncio

import msgspec
import pytest
from doubles.data.builders import account
from doubles.office import office_on, operator
from sqlalchemy import text

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.people import (
    AddPerson,
    DisablePerson,
    EnablePerson,
    GiveRole,
    ResetPerson,
    SetPassword,
    add_person,
    disable_person,
    enable_person,
    give_role,
    reset_person,
    set_password,
)
from vosd.admin.office.principal import SHIPPED, ActsFor, Means, OrderError, Permission, Role
from vosd.admin.office.roles import DropRole, ListRoles, SetRole, TooPowerfulError, drop_role, list_roles, set_role
from vosd.admin.office.tokens import (
    AddToken,
    ListTokens,
    RevokeToken,
    ShowToken,
    UnauthorizedError,
    add_token,
    list_tokens,
    principal_of,
    revoke_token,
    show_token,
)
from vosd.storage.access import NoSuchRoleError, NoSuchTokenError, RoleInUseError

NOW = 1_790_000_000_000
HOME = "192.0.2.7"


class Installation:
    """The office of an agent, its customer and another one, at any moment."""

    def __init__(self, database):
        self._database = database

    def at(self, now=NOW):
        accounts = (account("south"), account("shop", agent="south"), account("acme"))
        return office_on(self._database, *accounts, now=now)

    async def add(self, name="crm", role="viewer", **more):
        return await add_token(self.at(), operator(), AddToken(name=name, role=role, **more))

    async def principal(self, made, source=HOME, now=NOW):
        return await principal_of(self.at(now), getattr(made, "token", made), source)


@pytest.fixture
def installation(database):
    return Installation(database)


async def test_a_token_acts_under_the_name_of_its_program_with_the_permissions_of_its_role(installation):
    who = await installation.principal(await installation.add())
    assert (who.role, who.name, who.means, who.source, who.account) == (Role.PROGRAM, "crm", Means.TOKEN, HOME, None)
    assert who.permissions == SHIPPED["viewer"].permissions
    agent = await installation.principal(await installation.add(role="agent", account="south"))
    assert (agent.role, agent.account, agent.recorded) == (Role.AGENT, "south", "agent south")
    customer = await installation.principal(await installation.add(role="customer", account="acme"))
    assert (customer.role, customer.account) == (Role.CUSTOMER, "acme")


async def test_scopes_narrow_the_role_and_add_nothing_to_it(installation):
    made = await installation.add(role="finance", scopes=("money", "rates.change"))
    who = await installation.principal(made)
    left = (Permission.MONEY_SEE, Permission.MONEY_BOOK, Permission.JOBS)
    assert who.permissions == {*left}, "who may order long work sees what becomes of it"
    sheet = await show_token(installation.at(), operator(), ShowToken(made.id))
    assert sheet.permissions == left
    with pytest.raises(OrderError, match="leaves nothing of the role viewer"):
        await installation.add(scopes=("installation.run",))


async def test_the_secret_is_neither_in_the_database_nor_in_the_audit(installation, database):
    made = await installation.add()
    secret = made.token.split("_", 2)[2]  # which may have a further one
    async with database.reading() as connection:
        stored = [str(row) for row in await connection.execute(text("SELECT * FROM api_token"))]
        noted = [str(row) for row in await connection.execute(text("SELECT * FROM audit"))]
    assert len(stored) == len(noted) == 1
    assert secret not in stored[0] + noted[0]
    (line,) = await list_audit(installation.at(), operator(), ListAudit())
    assert (line.action, line.subject) == ("AddToken", f"token {made.id}")


async def test_a_token_that_was_revoked_is_refused_at_the_next_request(installation):
    made, other = await installation.add(), await installation.add()
    await revoke_token(installation.at(NOW + 1), operator(), RevokeToken(made.id))
    with pytest.raises(UnauthorizedError, match=f"token {made.id} was revoked"):
        await installation.principal(made)
    assert await installation.principal(other)
    with pytest.raises(NoSuchTokenError):
        await revoke_token(installation.at(), operator(), RevokeToken(made.id))
    assert [each.id for each in await list_tokens(installation.at(), operator(), ListTokens())] == [other.id]
    assert len(await list_tokens(installation.at(), operator(), ListTokens(revoked=True))) == 2


async def test_a_token_ends_at_its_time_and_holds_in_its_networks_alone(installation):
    made = await installation.add(expires_at=NOW + 1_000, networks=("192.0.2.0/24", "2001:db8::/32"))
    for source in (HOME, "::ffff:192.0.2.9", "2001:db8::1"):
        assert await installation.principal(made, source)
    for source in ("198.51.100.1", "2001:db9::1", "", "rubbish"):
        with pytest.raises(UnauthorizedError, match="may not be used from"):
            await installation.principal(made, source)
    await installation.principal(made, now=NOW + 999)
    with pytest.raises(UnauthorizedError, match="ended at 2026-09-21T"):
        await installation.principal(made, now=NOW + 1_000)


async def test_anything_else_is_an_unknown_token(installation):
    made = await installation.add()
    beginning, token_id, secret = made.token.split("_", 2)
    wrong = f"{beginning}_{token_id}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}"
    foreign = f"{beginning}_{'0' * len(token_id)}_{secret}"
    for token in ("", "vosd", "vosd__", wrong, foreign, f"x_{token_id}_{secret}", f"{made.token} ", "\udcff", "é" * 9):
        with pytest.raises(UnauthorizedError, match="the token is unknown"):
            await installation.principal(token)


async def test_the_last_use_is_written_once_a_minute(installation):
    made = await installation.add()

    async def last_used():
        (sheet,) = await list_tokens(installation.at(), operator(), ListTokens())
        return sheet.last_used

    assert await last_used() is None
    for now, noted in ((NOW, "10:13:20"), (NOW + 59_999, "10:13:20"), (NOW + 60_000, "10:14:20")):
        await installation.principal(made, now=now)
        assert noted[3:] in (await last_used())


async def test_a_token_is_for_an_account_where_its_role_is_and_only_there(installation):
    for role, of, said in (
        ("viewer", "acme", "is not for the role viewer"),
        ("customer", None, "is missing"),
        ("customer", "nowhere", "nowhere is not configured"),
        ("agent", "acme", "acme is no agent"),
    ):
        with pytest.raises(OrderError, match=said):
            await installation.add(role=role, account=of)
    with pytest.raises(NoSuchRoleError):
        await installation.add(role="king")
    with pytest.raises(OrderError, match="in the past"):
        await installation.add(expires_at=NOW)
    for wrong in (
        {"name": " "},
        {"name": "crm "},
        {"name": ""},
        {"name": "a\tb"},
        {"name": "agent south"},
        {"networks": ("192.0.2.1/8",)},
        {"scopes": ("everything",)},
    ):
        with pytest.raises(OrderError):
            await installation.add(**wrong)


async def test_no_person_gives_a_permission_that_he_has_not(installation):
    desk = ("people.change", "people.see", *SHIPPED["viewer"].permissions)
    await set_role(installation.at(), operator(), SetRole(name="desk", permissions=tuple(map(Permission, desk))))
    clerk = await installation.principal(await installation.add(role="desk"))
    await add_token(installation.at(), clerk, AddToken(name="crm", role="viewer"))
    with pytest.raises(TooPowerfulError, match="may not give the role administrator"):
        await add_token(installation.at(), clerk, AddToken(name="crm", role="administrator"))
    with pytest.raises(TooPowerfulError):
        await set_role(installation.at(), clerk, SetRole(name="all", permissions=tuple(Permission)))
    await set_role(installation.at(), operator(), SetRole(name="all", permissions=tuple(Permission)))
    with pytest.raises(TooPowerfulError):
        await set_role(installation.at(), clerk, SetRole(name="all", permissions=(Permission.BLOCK,)))


async def test_no_person_takes_a_permission_that_he_has_not(installation):
    office = installation.at()
    await set_role(office, operator(), SetRole(name="desk", permissions=(Permission.PEOPLE_CHANGE,)))
    await set_role(office, operator(), SetRole(name="strong", permissions=(Permission.MONEY_BOOK,)))
    clerk = await installation.principal(await installation.add(role="desk"))
    strong, other = await installation.add(role="strong"), await installation.add(role="desk")
    with pytest.raises(TooPowerfulError, match="nor take it: it has the permission"):
        await revoke_token(office, clerk, RevokeToken(strong.id))
    assert await installation.principal(strong)
    assert (await revoke_token(office, clerk, RevokeToken(other.id))).revoked == "2026-09-21T14:13:20.000Z"
    await revoke_token(office, operator(), RevokeToken(strong.id))
    with pytest.raises(TooPowerfulError):
        await drop_role(office, clerk, DropRole("strong"))
    await drop_role(office, operator(), DropRole("strong"))


async def test_a_token_ends_itself_also_where_its_scopes_leave_less_than_its_role(installation):
    made = await installation.add(role="administrator", scopes=("people.change",))
    who, other = await installation.principal(made), await installation.add(role="administrator")
    with pytest.raises(TooPowerfulError):
        await revoke_token(installation.at(), who, RevokeToken(other.id))
    await revoke_token(installation.at(), who, RevokeToken(made.id))
    with pytest.raises(UnauthorizedError, match="was revoked"):
        await installation.principal(made)


async def test_a_token_whose_role_is_gone_is_revoked_by_all_who_may_revoke(installation, database):
    await set_role(installation.at(), operator(), SetRole(name="desk", permissions=(Permission.PEOPLE_CHANGE,)))
    await set_role(installation.at(), operator(), SetRole(name="strong", permissions=(Permission.MONEY_BOOK,)))
    clerk = await installation.principal(await installation.add(role="desk"))
    made = await installation.add(role="strong")
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM access_role WHERE name = 'strong'"))
    assert (await revoke_token(installation.at(), clerk, RevokeToken(made.id))).revoked


async def test_a_name_with_a_space_at_its_end_is_another_one(installation):
    office, who = installation.at(), operator()
    await set_role(office, who, SetRole(name="bank", permissions=(Permission.MONEY_BOOK,)))
    made = await installation.add(role="bank")
    for refused in (
        drop_role(office, who, DropRole("bank ")),
        add_token(office, who, AddToken(name="crm", role="bank ")),
    ):
        with pytest.raises(NoSuchRoleError):
            await refused
    for name in ("bank ", " bank"):
        with pytest.raises(OrderError, match="`name` has a space at its beginning or end: leave it out"):
            await set_role(office, who, SetRole(name=name, permissions=(Permission.MONEY_SEE,)))
    with pytest.raises(NoSuchTokenError):
        await revoke_token(office, who, RevokeToken(f"{made.id} "))
    assert (await installation.principal(made)).permissions == {Permission.MONEY_BOOK}


async def test_an_own_role_holds_at_once_when_it_is_changed_and_stays_while_it_is_used(installation):
    office, who = installation.at(), operator()
    await set_role(office, who, SetRole(name="bank", permissions=(Permission.MONEY_BOOK,)))
    made = await installation.add(role="bank")
    await set_role(office, who, SetRole(name="bank", permissions=(Permission.MONEY_SEE,)))
    assert (await installation.principal(made)).permissions == {Permission.MONEY_SEE}
    with pytest.raises(RoleInUseError, match=made.id):
        await drop_role(office, who, DropRole("bank"))
    await revoke_token(office, who, RevokeToken(made.id))
    await drop_role(office, who, DropRole("bank"))
    assert [each.name for each in await list_roles(office, who, ListRoles())] == list(SHIPPED)


async def test_a_role_that_ships_keeps_its_permissions_and_may_demand_a_second_factor(installation):
    office, who = installation.at(), operator()
    with pytest.raises(OrderError, match="ships"):
        await set_role(office, who, SetRole(name="viewer", permissions=(Permission.BLOCK,)))
    with pytest.raises(OrderError, match="ships"):
        await drop_role(office, who, DropRole("viewer"))
    await set_role(office, who, SetRole(name="viewer", wants_totp=True))
    shown = {each.name: each for each in await list_roles(office, who, ListRoles())}["viewer"]
    assert (shown.wants_totp, shown.permissions) == (True, SHIPPED["viewer"].permissions)
    order = SetRole(name="x", permissions=(Permission.BLOCK,), acts_for=ActsFor.CUSTOMER)
    with pytest.raises(OrderError, match="are not for a role of the kind customer"):
        await set_role(office, who, order)


async def test_two_uses_at_once_are_no_conflict(installation):
    made = await installation.add()
    found = await asyncio.gather(*(installation.principal(made) for _ in range(5)))
    assert {each.name for each in found} == {"crm"}


BOUND = {"networks": ("192.0.2.0/24", "2001:db8::/48"), "expires_at": NOW + 3_600_000}


async def _bound(installation):
    return await installation.principal(await installation.add(role="administrator", **BOUND))


async def test_a_token_that_a_bound_one_makes_has_its_networks_and_its_end(installation):
    made = await add_token(installation.at(), await _bound(installation), AddToken(name="child", role="viewer"))
    child = await installation.principal(made)
    assert (child.bounds.networks, child.bounds.expires_at) == (BOUND["networks"], BOUND["expires_at"])
    with pytest.raises(UnauthorizedError, match="may not be used from 198"):
        await installation.principal(made, source="198.51.100.1")
    with pytest.raises(UnauthorizedError, match="ended at"):
        await installation.principal(made, now=BOUND["expires_at"])


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"networks": ("192.0.2.0/23",)}, "networks"),
        ({"networks": ("192.0.2.7", "198.51.100.1")}, "networks"),
        ({"networks": ("0.0.0.0/0",)}, "networks"),
        ({"networks": ("::/0",)}, "networks"),
        ({"networks": ("2001:db8::/32",)}, "networks"),
        ({"networks": ("::ffff:192.0.2.0/120",)}, "networks"),
        ({"expires_at": BOUND["expires_at"] + 1}, "expires"),
    ],
)
async def test_a_bound_token_makes_none_with_wider_bounds(installation, more, field):
    with pytest.raises(OrderError) as refused:
        await add_token(installation.at(), await _bound(installation), AddToken(name="child", role="viewer", **more))
    assert refused.value.field == field


async def test_a_bound_token_makes_others_with_narrower_bounds_and_an_unbound_one_any(installation):
    who = await _bound(installation)
    narrow = {"networks": ("192.0.2.7", "2001:db8:0:1::/64"), "expires_at": NOW + 1}
    child = await installation.principal(
        await add_token(installation.at(), who, AddToken(name="child", role="viewer", **narrow))
    )
    assert (child.bounds.networks, child.bounds.expires_at) == (narrow["networks"], NOW + 1)
    free = await installation.principal(await installation.add(role="administrator"))
    assert free.bounds is None
    made = await add_token(installation.at(), free, AddToken(name="wide", role="viewer", networks=("0.0.0.0/0",)))
    assert (await installation.principal(made, source="198.51.100.1")).name == "wide"


async def test_a_bound_token_lets_no_person_into_the_installation_who_would_have_no_bounds(installation):
    who, office = await _bound(installation), installation.at()
    await add_person(office, operator(), AddPerson(name="root", role="administrator"))
    await add_person(office, who, AddPerson(name="jane", role="customer", account="acme"))
    for order in (
        add_person(office, who, AddPerson(name="eve", role="administrator")),
        give_role(office, who, GiveRole(name="jane", role="administrator")),
        reset_person(office, who, ResetPerson("root")),
        set_password(office, who, SetPassword(name="root", password="kx82-mmqpw-aa-77")),
    ):
        with pytest.raises(TooPowerfulError, match="crm has networks or an end"):
            await order
    assert (await disable_person(office, who, DisablePerson("jane"))).state == "disabled"


async def _person(installation, name="ann", role="administrator"):
    await add_person(installation.at(), operator(), AddPerson(name=name, role=role))
    return msgspec.structs.replace(operator(name), means=Means.PAGE)


async def test_a_token_may_do_no_more_than_the_person_may_now_who_has_made_it(installation):
    ann, office = await _person(installation), installation.at()
    made = await add_token(office, ann, AddToken(name="crm", role="finance"))
    south = await add_token(office, ann, AddToken(name="portal", role="agent", account="south"))
    of_terminal = await installation.add(role="finance")
    whole = (await installation.principal(made)).permissions
    assert whole == SHIPPED["finance"].permissions

    await give_role(office, operator(), GiveRole(name="ann", role="viewer"))
    left = (await installation.principal(made)).permissions
    assert left == SHIPPED["finance"].permissions & SHIPPED["viewer"].permissions
    assert Permission.MONEY_BOOK in whole - left
    assert Permission.MONEY_BOOK not in (await installation.principal(south)).permissions
    assert Permission.MONEY_BOOK in (await installation.principal(of_terminal)).permissions

    await give_role(office, operator(), GiveRole(name="ann", role="agent", account="south"))
    with pytest.raises(UnauthorizedError, match="by a person who acts for an account now"):
        await installation.principal(made)

    await give_role(office, operator(), GiveRole(name="ann", role="administrator"))
    assert (await installation.principal(made)).permissions == whole


async def test_a_token_is_refused_while_the_person_is_disabled_who_has_made_it(installation):
    ann, office = await _person(installation), installation.at()
    made = await add_token(office, ann, AddToken(name="crm", role="finance"))
    await add_person(office, operator(), AddPerson(name="eve", role="administrator"))
    await disable_person(office, operator(), DisablePerson("ann"))
    with pytest.raises(UnauthorizedError, match=f"token {made.id} was made by a person who is disabled now"):
        await installation.principal(made)
    shown = await show_token(office, operator(), ShowToken(made.id))
    assert (shown.maker, shown.permissions) == ("ann", ())
    assert shown.refused == f"token {made.id} was made by a person who is disabled now"
    await enable_person(office, operator(), EnablePerson("ann"))
    assert await installation.principal(made)
    assert (await show_token(office, operator(), ShowToken(made.id))).refused is None


async def test_tokens_that_a_token_has_made_end_with_it_and_with_its_person(installation):
    ann, office = await _person(installation), installation.at()
    first = await add_token(office, ann, AddToken(name="a", role="administrator"))
    second = await add_token(office, await installation.principal(first), AddToken(name="b", role="administrator"))
    third = await add_token(office, await installation.principal(second), AddToken(name="c", role="finance"))
    assert (await installation.principal(third)).permissions == SHIPPED["finance"].permissions

    await give_role(office, operator(), GiveRole(name="ann", role="viewer"))
    assert Permission.MONEY_BOOK not in (await installation.principal(third)).permissions
    await give_role(office, operator(), GiveRole(name="ann", role="administrator"))

    await revoke_token(office, operator(), RevokeToken(first.id))
    for each in (second, third):
        with pytest.raises(UnauthorizedError, match=f"token {first.id} was revoked"):
            await installation.principal(each)


async def test_a_token_whose_maker_is_not_known_any_more_is_refused(installation, database):
    made = await add_token(installation.at(), await _person(installation), AddToken(name="crm", role="viewer"))
    for maker in ("gone", "token 000000000000"):
        async with database.writing() as connection:
            await connection.execute(text("UPDATE api_token SET maker = :maker"), {"maker": maker})
        with pytest.raises(UnauthorizedError, match="person or token that is not known any more"):
            await installation.principal(made)


async def test_a_token_without_a_maker_is_refused(installation, database):
    """A program before schema 0096 has made it."""
    made = await installation.add(role="administrator")
    async with database.writing() as connection:
        await connection.execute(text("UPDATE api_token SET maker = NULL"))
    refused = f"the maker of token {made.id} is not known: make another token"
    with pytest.raises(UnauthorizedError, match=refused):
        await installation.principal(made)
    shown = await show_token(installation.at(), operator(), ShowToken(made.id))
    assert (shown.maker, shown.permissions, shown.refused) == (None, (), refused)


async def test_a_person_named_as_the_terminal_bounds_its_tokens(installation):
    made = await add_token(
        installation.at(), await _person(installation, "terminal"), AddToken(name="a", role="viewer")
    )
    await add_person(installation.at(), operator(), AddPerson(name="eve", role="administrator"))
    await disable_person(installation.at(), operator(), DisablePerson("terminal"))
    with pytest.raises(UnauthorizedError, match="was made by a person who is disabled now"):
        await installation.principal(made)
    with pytest.raises(OrderError, match="space at its beginning"):
        AddPerson(name=" terminal", role="administrator")
    with pytest.raises(OrderError, match="which browsers take out of addresses"):
        AddPerson(name="..", role="administrator")


async def test_only_so_many_tokens_make_each_other(installation):
    made = await installation.add(role="administrator")
    for _ in range(7):
        who = await installation.principal(made)
        made = await add_token(installation.at(), who, AddToken(name="next", role="administrator"))
    who = await installation.principal(made)
    with pytest.raises(OrderError, match="would be of a token that 7 others have made"):
        await add_token(installation.at(), who, AddToken(name="next", role="administrator"))
