"""People: links, log-ins, second factors, sessions and their ends, on virtual time."""

import asyncio
import base64
import itertools
from contextlib import suppress

import msgspec
import pytest
from doubles.data.builders import account
from doubles.office import office_on, operator
from doubles.quick_hashes import QUICK
from sqlalchemy import text, update

from vosd.admin.office import passwords
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.log_in_turns import ROOM, LogInStanding, TooManyLogInsError
from vosd.admin.office.people import (
    AddPerson,
    ChangedMeanwhileError,
    DisablePerson,
    EnablePerson,
    GiveRole,
    ListPeople,
    NoSuchPersonError,
    ResetPerson,
    SetPassword,
    ShowPerson,
    add_person,
    disable_person,
    enable_person,
    give_role,
    list_people,
    reset_person,
    set_password,
    show_person,
)
from vosd.admin.office.principal import SHIPPED, Means, OrderError, Permission, Role
from vosd.admin.office.roles import (
    DropRole,
    ListRoles,
    SetRole,
    TooPowerfulError,
    drop_role,
    list_roles,
    role_named,
    set_role,
)
from vosd.admin.office.second_factor import code_at, new_secret
from vosd.admin.office.sessions import (
    IDLE_MS,
    LIFE_MS,
    BeginTotp,
    ChangePassword,
    CodeMissingError,
    ConfirmTotp,
    CsrfError,
    LinkRefusedError,
    LogIn,
    LogInRefusedError,
    LogIns,
    SecondFactorMissingError,
    TooManyGuessesError,
    UseLink,
    confirm_totp,
    log_out,
    log_out_everywhere,
    principal_of_session,
    use_link,
)
from vosd.admin.office.tokens import AddToken, ListTokens, UnauthorizedError, add_token, list_tokens
from vosd.cdr.columns import iso_utc
from vosd.storage import schema
from vosd.storage.access import LastAdministratorError, NoSuchRoleError, RoleChangedError, RoleInUseError, SqlAccess
from vosd.storage.people import PersonExistsError, SqlPeople

NOW = 1_790_000_010_000
DAY_MS = 24 * 3_600_000
PLACES, PLACES_OF_SOURCE = ROOM[LogInStanding.NEW]
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
GOOD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    for name, value in QUICK.items():
        monkeypatch.setattr(passwords, name, value)


class House:
    """The office of one customer, at a moment that moves, with the log-ins of one process."""

    def __init__(self, database, state_dir):
        self.database, self.state_dir, self.now = database, state_dir, NOW
        self.ahead_ms = 0
        """Error of the wall clock."""
        self.log_ins = LogIns(lambda: self.now)
        self.accounts = [account("acme")]

    @property
    def office(self):
        return office_on(
            self.database, *self.accounts, now=self.now + self.ahead_ms, socket=self.state_dir / "vosd.sock"
        )

    async def add(self, name="ann", role="viewer", **more):
        link = await add_person(self.office, operator("root"), AddPerson(name=name, role=role, **more))
        await use_link(self.office, HOME, UseLink(link=link.link, password=GOOD))

    async def log_in(self, name="ann", password=GOOD, source=HOME, code=""):
        return await self.log_ins.log_in(self.office, source, LogIn(name=name, password=password, code=code))

    async def principal(self, opened, source=HOME, **more):
        return await principal_of_session(self.office, opened.session, source, **{"changes": False} | more)

    async def enrol(self, opened, **proof):
        """Set up a second factor; return its secret, the recovery codes, and the session that goes on."""
        who = await self.principal(opened, enrols=True)
        begun = await self.log_ins.begin_totp(self.office, who, BeginTotp(**proof))
        secret = base64.b32decode(begun.secret)
        confirmed = await confirm_totp(self.office, who, ConfirmTotp(self.code(secret)), opened.session)
        return secret, confirmed.codes.codes, msgspec.structs.replace(opened, session=confirmed.session)

    def code(self, secret, off=0):
        return code_at(secret, self.now // 30_000 + off)


@pytest.fixture
def house(database, tmp_path):
    return House(database, tmp_path)


async def test_a_person_sets_a_password_by_a_link_that_works_once(house):
    link = await add_person(house.office, operator(), AddPerson(name="ann", role="night"))
    assert link.link.startswith("/#/first-login/")
    with pytest.raises(LogInRefusedError):
        await house.log_in()
    with pytest.raises(OrderError, match="12 to 256"):
        await use_link(house.office, HOME, UseLink(link=link.link, password="short"))
    await use_link(house.office, HOME, UseLink(link=f"http://127.0.0.1:8080{link.link}", password=GOOD))
    with pytest.raises(LinkRefusedError):
        await use_link(house.office, HOME, UseLink(link=link.link, password=GOOD))
    who = await house.principal(await house.log_in())
    assert (who.role, who.name, who.login, who.means) == (Role.OPERATOR, "ann", "ann", Means.PAGE)
    assert who.permissions == SHIPPED["night"].permissions


@pytest.mark.parametrize("role", ["customer", "agent", "night"])
async def test_the_audit_has_the_kind_of_the_person_who_has_used_a_link(house, role):
    house.accounts.append(account("shop", agent="acme"))
    await house.add(role=role, account=None if role == "night" else "acme")
    await house.log_in()
    logged_in, used = (await list_audit(house.office, operator(), ListAudit()))[:2]
    assert (used.action, used.role) == ("UseLink", "operator" if role == "night" else role)
    assert (used.principal, used.role, used.login) == (logged_in.principal, logged_in.role, logged_in.login)


async def test_a_link_ends_after_a_day(house):
    link = await add_person(house.office, operator(), AddPerson(name="ann", role="night"))
    house.now += 24 * 3_600_000
    for wrong in (link.link, "", "/#/first-login/", "x"):
        with pytest.raises(LinkRefusedError):
            await use_link(house.office, HOME, UseLink(link=wrong, password=GOOD))


async def test_two_that_use_one_link_at_once_are_one(house):
    link = await add_person(house.office, operator(), AddPerson(name="ann", role="night"))
    uses = [use_link(house.office, HOME, UseLink(link=link.link, password=f"{GOOD} {each}")) for each in range(4)]
    found = await asyncio.gather(*uses, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["LinkRefusedError"] * 3 + ["UsedLink"]


async def test_a_session_ends_when_it_is_idle_and_at_its_end(house):
    await house.add()
    opened = await house.log_in()
    for _ in range(LIFE_MS // (IDLE_MS - 1_000)):
        house.now += IDLE_MS - 1_000
        await house.principal(opened)
    house.now = NOW + LIFE_MS
    with pytest.raises(UnauthorizedError, match="has ended"):
        await house.principal(opened)
    opened = await house.log_in()
    house.now += IDLE_MS
    with pytest.raises(UnauthorizedError, match="has ended"):
        await house.principal(opened)
    with pytest.raises(UnauthorizedError, match="no such session"):
        await house.principal(opened)


async def test_requests_that_no_person_has_made_keep_no_idle_session_alive(house):
    await house.add()
    opened = await house.log_in()
    for _ in range(2):
        house.now += IDLE_MS // 2 - 1_000
        await house.principal(opened, is_use=False)
    house.now += 2_000
    with pytest.raises(UnauthorizedError, match="has ended"):
        await house.principal(opened, is_use=False)


async def test_a_session_that_was_begun_while_its_person_was_disabled_is_worth_nothing(house):
    await house.add()
    opened = await house.log_in()
    async with house.database.writing() as connection:
        await connection.execute(update(schema.person).values(disabled_at=house.now))
    with pytest.raises(UnauthorizedError, match="has ended"):
        await house.principal(opened)


async def test_a_change_takes_the_csrf_token_of_its_own_session(house):
    await house.add()
    opened, other = await house.log_in(), await house.log_in()
    assert opened.session != other.session
    await house.principal(opened, changes=True, csrf=opened.sheet.csrf)
    for wrong in (None, "", other.sheet.csrf, "é"):
        with pytest.raises(CsrfError):
            await house.principal(opened, changes=True, csrf=wrong)


async def test_a_person_logs_out_here_or_everywhere(house):
    await house.add()
    first, second, third = [await house.log_in() for _ in range(3)]
    await log_out(house.office, first.session)
    with pytest.raises(UnauthorizedError):
        await house.principal(first)
    await log_out_everywhere(house.office, await house.principal(second))
    for each in (second, third):
        with pytest.raises(UnauthorizedError):
            await house.principal(each)


@pytest.mark.parametrize(
    "change",
    [
        lambda office: disable_person(office, operator(), DisablePerson("ann")),
        lambda office: reset_person(office, operator(), ResetPerson("ann")),
        lambda office: give_role(office, operator(), GiveRole(name="ann", role="night")),
        lambda office: set_password(office, operator(), SetPassword(name="ann", password="other horse battery")),
    ],
    ids=["disabled", "reset", "another role", "another password"],
)
async def test_what_changes_a_person_ends_its_sessions(house, change):
    await house.add()
    opened = await house.log_in()
    await house.principal(opened, is_use=False)
    await change(house.office)
    for is_use in (False, True):  # a stream of events looks its session up again and again, which is no use of it
        with pytest.raises(UnauthorizedError):
            await house.principal(opened, is_use=is_use)


async def test_a_change_of_a_role_ends_the_sessions_of_its_people(house):
    await set_role(house.office, operator(), SetRole(name="desk", permissions=(Permission.CALLS_SEE,)))
    await house.add(role="desk")
    opened = await house.log_in()
    await set_role(house.office, operator(), SetRole(name="desk", permissions=(Permission.STATE_SEE,)))
    with pytest.raises(UnauthorizedError):
        await house.principal(opened)
    assert (await house.principal(await house.log_in())).permissions == {Permission.STATE_SEE}
    with pytest.raises(RoleInUseError, match="ann"):
        await drop_role(house.office, operator(), DropRole("desk"))


async def test_a_disabled_person_logs_in_when_it_is_enabled(house):
    await house.add()
    await disable_person(house.office, operator(), DisablePerson("ann"))
    with pytest.raises(LogInRefusedError):
        await house.log_in()
    await enable_person(house.office, operator(), EnablePerson("ann"))
    await house.log_in()
    with pytest.raises(NoSuchPersonError):
        await disable_person(house.office, operator(), DisablePerson("absent"))


async def test_wrong_passwords_lock_their_source_out_and_a_success_there_resets_no_other(house):
    await house.add()
    await house.add("bob")
    for guess in range(5):
        with pytest.raises(LogInRefusedError):
            await house.log_in("ann", f"guess {guess}", ELSEWHERE)
    await house.log_in("bob", source=ELSEWHERE)
    with pytest.raises(LogInRefusedError):
        await house.log_in("ann", "guess 5", ELSEWHERE)
    with pytest.raises(TooManyGuessesError):
        await house.log_in("ann", GOOD, ELSEWHERE)
    house.now += 180_000
    await house.log_in("ann", source=ELSEWHERE)


@pytest.mark.parametrize("set_ms", [-DAY_MS, DAY_MS])
async def test_an_address_is_locked_out_for_three_minutes_whatever_happens_to_the_wall_clock(house, set_ms):
    await house.add()
    for guess in range(7):
        with pytest.raises((LogInRefusedError, TooManyGuessesError)):
            await house.log_in("ann", f"guess {guess}", ELSEWHERE)
    house.ahead_ms = set_ms
    with pytest.raises(TooManyGuessesError, match="in 180 s"):
        await house.log_in("ann", GOOD, ELSEWHERE)
    house.now += 180_000
    await house.log_in("ann", GOOD, ELSEWHERE)


async def test_refused_log_ins_have_their_lines_after_a_clock_that_was_ahead(house):
    await house.add()
    house.ahead_ms = DAY_MS
    for guess in range(6):
        with pytest.raises(LogInRefusedError):
            await house.log_in("ann", f"guess {guess}", ELSEWHERE)
    house.ahead_ms = 0
    with pytest.raises(LogInRefusedError):
        await house.log_in("ann", "guess", HOME)
    found = await list_audit(house.office, operator(), ListAudit(action="RefuseLogIn"))
    assert sorted(each.at for each in found) == [iso_utc(NOW), *[iso_utc(NOW + DAY_MS)] * 6]


@pytest.mark.parametrize("is_opened_ahead", [True, False])
async def test_a_session_that_was_opened_or_used_at_a_wrong_later_time_has_ended(house, is_opened_ahead):
    await house.add()
    house.ahead_ms = 90_000 if is_opened_ahead else 0
    opened = await house.log_in()
    house.ahead_ms = 90_000
    await house.principal(opened)
    house.ahead_ms = 30_000
    await house.principal(opened)  # no more than clocks are corrected
    house.ahead_ms = 0
    with pytest.raises(UnauthorizedError, match="has ended"):
        await house.principal(opened)


async def test_guesses_at_one_person_from_many_sources_wait_longer_each_time(house):
    await house.add()
    waits = []
    for guess in range(10):
        source = f"203.0.113.{guess}"
        try:
            await house.log_in("ann", "guess", source)
        except TooManyGuessesError as refused:
            waits.append(refused.retry_after_s)
            house.now += 1_000 * refused.retry_after_s
            with pytest.raises(LogInRefusedError):
                await house.log_in("ann", "guess", source)
        except LogInRefusedError:
            pass
    assert waits == [1, 2, 4]


async def test_the_home_of_a_person_stays_open_while_others_guess(house):
    await house.add()
    await house.log_in()
    for guess in range(8):
        with pytest.raises((LogInRefusedError, TooManyGuessesError)):
            await house.log_in("ann", "guess", f"203.0.113.{guess}")
    await house.log_in()


async def test_many_guesses_at_once_are_counted_one_by_one(house):
    await house.add()
    counted = 0
    for _ in range(6):
        guesses = [house.log_in("ann", f"guess {each}", ELSEWHERE) for each in range(12)]
        found = await asyncio.gather(*guesses, return_exceptions=True)
        counted += sum(isinstance(each, LogInRefusedError) for each in found)
    assert counted == 6
    more = await asyncio.gather(
        *(house.log_in("ann", "guess", f"203.0.113.{each}") for each in range(40)), return_exceptions=True
    )
    assert sum(isinstance(each, TooManyGuessesError | TooManyLogInsError) for each in more) >= 40 - PLACES


async def test_a_source_that_is_locked_out_takes_no_place_and_one_that_has_failed_two(house, monkeypatch):
    await house.add()
    await house.add("bob")
    third, office = "198.51.100.3", "198.51.100.4"
    for source, guesses in ((ELSEWHERE, 6), (third, 1)):
        for guess in range(guesses):
            with pytest.raises(LogInRefusedError):
                await house.log_in("none", f"guess {guess}", source)
    free, looked = asyncio.Event(), []
    find = house.log_ins._judge

    async def judge_slowly(office, source, order):
        looked.append(source)
        await free.wait()
        return await find(office, source, order)

    monkeypatch.setattr(house.log_ins, "_judge", judge_slowly)
    waiting = [asyncio.create_task(house.log_in("other", "guess", third)) for _ in range(PLACES)]
    waiting += [asyncio.create_task(house.log_in("none", "guess", ELSEWHERE)) for _ in range(PLACES)]
    waiting += [asyncio.create_task(house.log_in("bob", source=office)) for _ in range(PLACES)]
    waiting += [asyncio.create_task(house.log_in("ann")) for _ in range(2)]
    await asyncio.sleep(0)
    free.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    asked = [looked.count(source) for source in (third, ELSEWHERE, office, HOME)]
    assert asked == [2, 0, PLACES_OF_SOURCE, 2]
    assert [type(each).__name__ for each in found[-2:]] == ["OpenedSession"] * 2
    refused = [str(each) for each in found if isinstance(each, TooManyGuessesError | TooManyLogInsError)]
    others, locked = "others log in at this moment: try again in 1 s", "too many wrong passwords: try again in 180 s"
    assert refused == [others] * 30 + [locked] * 32 + [others] * 20


@pytest.mark.parametrize(("network", "own"), [("2001:db8:1:{:x}::1", "192.0.2.{}"), ("203.0.113.{}", "2001:db8:2::{}")])
async def test_a_person_gets_in_while_clients_guess_from_ever_new_addresses_of_one_network(
    house, network, own, monkeypatch
):
    await house.add()
    numbers = itertools.cycle(range(250))

    async def guess_on():
        while True:
            number = next(numbers)
            with suppress(LogInRefusedError, TooManyGuessesError, TooManyLogInsError):
                await house.log_in(f"person {number}", "guess", network.format(number))
            await judged.wait()

    judged, looked, judge = asyncio.Event(), [], house.log_ins._judge
    marks = {count: asyncio.Event() for count in (1, 4, 40)}

    async def noted(office, source, order):
        looked.append(source)
        if len(looked) in marks:
            marks[len(looked)].set()
        try:
            return await judge(office, source, order)
        finally:
            judged.set()  # those who wait try again
            judged.clear()

    monkeypatch.setattr(house.log_ins, "_judge", noted)
    clients = [asyncio.create_task(guess_on()) for _ in range(60)]
    try:
        for count, mark in marks.items():
            await mark.wait()
            mine, before = own.format(count), len(looked)  # another one each time: no person has logged in there
            assert (await house.log_in(source=mine)).sheet.name == "ann"
            assert looked.index(mine, before) - before <= 2 * len(LogInStanding)
    finally:
        for each in clients:
            each.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def test_a_person_that_logs_in_from_several_addresses_all_the_time_keeps_no_other_out(house, monkeypatch):
    await house.add()
    await house.add("bob")
    free, looked, judge = asyncio.Event(), [], house.log_ins._judge

    async def judge_slowly(office, source, order):
        looked.append(source)
        await free.wait()
        return await judge(office, source, order)

    monkeypatch.setattr(house.log_ins, "_judge", judge_slowly)
    sources = [f"203.0.113.{number}" for number in range(4)]
    flood = [asyncio.create_task(house.log_in("bob", source=source)) for source in sources for _ in range(12)]
    await asyncio.sleep(0)
    mine = asyncio.create_task(house.log_in("ann"))
    await asyncio.sleep(0)
    free.set()
    assert (await mine).sheet.name == "ann"
    await asyncio.gather(*flood, return_exceptions=True)
    assert looked.index(HOME) <= len(sources) + 1


async def test_one_wrong_password_at_an_office_keeps_no_other_of_its_people_waiting(house):
    await house.add()
    await house.add("bob")
    await house.log_in()
    with pytest.raises(LogInRefusedError):
        await house.log_in("ann", "mistyped")
    found = await asyncio.gather(*(house.log_in(each) for each in ("ann", "bob", "ann", "bob")), return_exceptions=True)
    assert not [each for each in found if isinstance(each, TooManyLogInsError)]


async def test_a_person_logs_in_at_home_though_a_neighbour_has_locked_the_address_out(house):
    await house.add()
    await house.log_in()
    for guess in range(6):
        with pytest.raises(LogInRefusedError):
            await house.log_in("none", f"guess {guess}", HOME)
    with pytest.raises(TooManyGuessesError):
        await house.log_in("none", "guess", HOME)
    await house.log_in()


async def test_a_name_with_a_space_at_its_end_is_of_no_person(house):
    await house.add()
    for refused in (
        house.log_in("ann "),
        disable_person(house.office, operator(), DisablePerson("ann ")),
        show_person(house.office, operator(), ShowPerson("ann ")),
    ):
        with pytest.raises((LogInRefusedError, NoSuchPersonError)):
            await refused
    await house.log_in()


async def test_names_that_do_not_exist_are_refused_alike(house):
    await house.add()
    said = set()
    for name in ("ann", "absent", "", "x" * 500, "a\0b", "\udcff"):
        with pytest.raises(LogInRefusedError) as refused:
            await house.log_in(name, "wrong password", f"203.0.113.{len(said)}")
        said.add(str(refused.value))
    assert len(said) == 1


async def test_a_second_factor_is_asked_for_behind_the_password_and_each_code_works_once(house):
    await house.add()
    secret, _codes, _opened = await house.enrol(await house.log_in())
    with pytest.raises(LogInRefusedError, match="the name, the password or the code is wrong"):
        await house.log_in(password="wrong password", code=house.code(secret))
    with pytest.raises(CodeMissingError):
        await house.log_in()
    with pytest.raises(LogInRefusedError):
        await house.log_in(code=house.code(secret))  # it was used to confirm
    house.now += 60_000
    sheet = (await house.log_in(code=house.code(secret))).sheet
    assert (sheet.wants_totp, sheet.has_password, sheet.has_totp) == (False, True, True)
    with pytest.raises(LogInRefusedError, match="this code was used before, perhaps where the answer was lost"):
        await house.log_in(code=house.code(secret))
    for again in (house.code(secret, -1), house.code(new_secret()), "no code"):
        with pytest.raises(LogInRefusedError):
            await house.log_in(code=again)


async def test_two_log_ins_with_one_code_are_one(house):
    await house.add()
    secret, _codes, _opened = await house.enrol(await house.log_in())
    house.now += 60_000
    other = LogIns()
    logs = [
        (house.log_ins if each % 2 else other).log_in(
            house.office, HOME, LogIn(name="ann", password=GOOD, code=house.code(secret))
        )
        for each in range(4)
    ]
    found = await asyncio.gather(*logs, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["LogInRefusedError"] * 3 + ["OpenedSession"]


async def test_guesses_at_codes_lock_out_as_those_at_passwords_do(house):
    await house.add()
    secret, codes, _opened = await house.enrol(await house.log_in())
    house.now += 3 * 3_600_000  # the address is no home of the person any more
    for guess in ("000000", "not-a-code", codes[0][:-1] + "!", "", "999999", "xxxx-xxxx", "111111"):
        with pytest.raises((LogInRefusedError, CodeMissingError)):
            await house.log_in(code=guess, source=ELSEWHERE)
    for right in (house.code(secret), codes[0]):
        with pytest.raises(TooManyGuessesError):
            await house.log_in(code=right, source=ELSEWHERE)


async def test_a_refused_log_in_has_its_line_in_the_audit_without_what_was_typed(house):
    await house.add()
    await house.add("bob")
    await disable_person(house.office, operator(), DisablePerson("bob"))
    for name in ("ann", "my password by mistake", "bob"):
        with pytest.raises(LogInRefusedError):
            await house.log_in(name, GOOD if name == "bob" else "wrong password", ELSEWHERE)
    lines = (await list_audit(house.office, operator(), ListAudit()))[:3]
    assert {(each.action, each.source, each.principal) for each in lines} == {("RefuseLogIn", ELSEWHERE, "")}
    assert [(each.subject, each.detail) for each in lines] == [
        ("bob", {"why": "disabled person"}),
        ("", {"why": "unknown person"}),
        ("ann", {"why": "wrong password"}),
    ]


async def test_a_recovery_code_replaces_one_code_once(house):
    await house.add()
    _secret, codes, _opened = await house.enrol(await house.log_in())
    await house.log_in(code=codes[3])
    with pytest.raises(LogInRefusedError):
        await house.log_in(code=codes[3])
    await house.log_in(code=codes[4].upper())


async def test_a_role_that_demands_a_second_factor_lets_people_set_it_up_and_nothing_else(house):
    await set_role(house.office, operator(), SetRole(name="finance", wants_totp=True))
    await house.add(role="finance")
    opened = await house.log_in()
    assert opened.sheet.wants_totp
    assert not opened.sheet.has_totp
    with pytest.raises(SecondFactorMissingError):
        await house.principal(opened)
    _secret, _codes, renewed = await house.enrol(opened)
    await house.principal(renewed)
    with pytest.raises(UnauthorizedError):
        await house.principal(opened)  # an id from before the proof does not come to allow more


async def test_a_new_second_factor_holds_when_a_code_of_it_was_seen(house):
    await house.add()
    opened = await house.log_in()
    who = await house.principal(opened)
    with pytest.raises(LogInRefusedError):
        await confirm_totp(house.office, who, ConfirmTotp("123456"), opened.session)
    await house.log_ins.begin_totp(house.office, who, BeginTotp())
    with pytest.raises(LogInRefusedError):
        await confirm_totp(house.office, who, ConfirmTotp(house.code(new_secret())), opened.session)
    await house.log_in()


async def test_a_second_factor_is_replaced_by_those_who_have_it(house):
    await house.add()
    secret, _codes, opened = await house.enrol(await house.log_in())
    again = ConfirmTotp(house.code(secret))
    with pytest.raises(LogInRefusedError, match="the second factor is in force already"):
        await confirm_totp(house.office, await house.principal(opened), again, opened.session)
    house.now += 60_000
    for proof in ({}, {"password": GOOD, "code": "123456"}):
        with pytest.raises(LogInRefusedError):
            await house.enrol(opened, **proof)
    await house.enrol(opened, password=GOOD, code=house.code(secret))


async def test_a_person_changes_its_password_by_the_old_one_and_its_session_goes_on_under_another_id(house):
    await house.add()
    opened, other = await house.log_in(), await house.log_in()
    who = await house.principal(opened)
    wrong = ChangePassword(old="wrong password", new="other horse battery")
    with pytest.raises(LogInRefusedError):
        await house.log_ins.change_password(house.office, who, wrong, opened.session)
    right = ChangePassword(old=GOOD, new="other horse battery")
    renewed = await house.log_ins.change_password(house.office, who, right, opened.session)
    await house.principal(msgspec.structs.replace(opened, session=renewed), changes=True, csrf=opened.sheet.csrf)
    for before in (opened, other):
        with pytest.raises(UnauthorizedError):
            await house.principal(before)
    with pytest.raises(LogInRefusedError):
        await house.log_in()
    await house.log_in(password="other horse battery")


async def test_a_customer_acts_for_its_account(house):
    await house.add(role="customer", account="acme")
    who = await house.principal(await house.log_in())
    assert (who.role, who.account) == (Role.CUSTOMER, "acme")
    with pytest.raises(OrderError):
        await house.add("bob", role="customer")


async def test_no_person_changes_one_with_permissions_that_it_lacks(house):
    desk = (Permission.PEOPLE_CHANGE, *SHIPPED["viewer"].permissions)
    await set_role(house.office, operator(), SetRole(name="desk", permissions=desk))
    await house.add(role="desk")
    await house.add("boss", role="administrator")
    who = await house.principal(await house.log_in())
    for refused in (
        add_person(house.office, who, AddPerson(name="eve", role="administrator")),
        reset_person(house.office, who, ResetPerson("boss")),
        disable_person(house.office, who, DisablePerson("boss")),
        set_password(house.office, who, SetPassword(name="boss", password="my own horse")),
        give_role(house.office, who, GiveRole(name="ann", role="administrator")),
    ):
        with pytest.raises(TooPowerfulError):
            await refused
    await add_person(house.office, who, AddPerson(name="eve", role="viewer"))


async def test_a_name_is_given_once(house):
    await house.add()
    with pytest.raises(PersonExistsError):
        await add_person(house.office, operator(), AddPerson(name="ann", role="night"))
    for wrong in ("", " ann", "a\nb", "x" * 65, "agent acme", "token 7"):
        with pytest.raises(OrderError):
            AddPerson(name=wrong, role="night")


async def test_neither_database_nor_audit_has_a_secret(house):
    await house.add()
    opened = await house.log_in()
    secret, codes, _opened = await house.enrol(opened)
    await set_password(house.office, operator(), SetPassword(name="ann", password="other horse battery"))
    link = await reset_person(house.office, operator(), ResetPerson("ann"))
    stored = []
    async with house.database.reading() as connection:
        for table in ("person", "person_session", "audit"):
            stored += [str(row) for row in await connection.execute(text(f"SELECT * FROM {table}"))]
    written = "\n".join(stored)
    for each in (GOOD, "other horse battery", opened.session, link.link.rpartition("/")[2], secret.hex(), *codes):
        assert each not in written
    actions = [each.action for each in await list_audit(house.office, operator(), ListAudit())]
    assert actions == ["ResetPerson", "SetPassword", "ConfirmTotp", "BeginTotp", "LogIn", "UseLink", "AddPerson"]


async def test_people_are_listed_with_their_state(house):
    await house.add()
    await house.add("bob")
    await add_person(house.office, operator(), AddPerson(name="cid", role="night"))
    await house.log_in()
    await disable_person(house.office, operator(), DisablePerson("bob"))
    found = await list_people(house.office, operator(), ListPeople())
    assert [(each.name, each.state, each.last_login is None) for each in found] == [
        ("ann", "active", False),
        ("bob", "disabled", True),
        ("cid", "invited", True),
    ]


async def test_a_log_in_beside_a_reset_opens_no_session(house):
    await house.add()
    log_ins = LogIns()

    async def proved_before(office, source, order):
        person = await LogIns._prove(log_ins, office, source, order)
        await reset_person(house.office, operator(), ResetPerson("ann"))
        return person

    log_ins._prove = proved_before
    with pytest.raises(ChangedMeanwhileError):
        await log_ins.log_in(house.office, HOME, LogIn(name="ann", password=GOOD))


async def test_the_last_administrator_is_neither_disabled_nor_gets_another_role(house):
    await house.add("ann", "administrator")
    await house.add("bob", "administrator")
    await disable_person(house.office, operator(), DisablePerson("bob"))
    await add_person(house.office, operator(), AddPerson(name="eve", role="administrator"))  # has no password yet
    with pytest.raises(LastAdministratorError, match="without ann no person who can log in"):
        await disable_person(house.office, operator(), DisablePerson("ann"))
    with pytest.raises(LastAdministratorError):
        await give_role(house.office, operator(), GiveRole(name="ann", role="viewer"))
    await enable_person(house.office, operator(), EnablePerson("bob"))
    await give_role(house.office, operator(), GiveRole(name="ann", role="viewer"))


async def test_of_two_administrators_who_disable_one_another_at_once_one_stays(house):
    await house.add("ann", "administrator")
    await house.add("bob", "administrator")
    orders = [disable_person(house.office, operator(), DisablePerson(name)) for name in ("ann", "bob")]
    await asyncio.gather(*orders, return_exceptions=True)
    assert "active" in {each.state for each in await list_people(house.office, operator(), ListPeople())}


async def test_the_role_of_the_last_administrators_keeps_its_permissions(house):
    await set_role(house.office, operator(), SetRole(name="chief", permissions=tuple(Permission)))
    await house.add("ann", "chief")
    with pytest.raises(LastAdministratorError, match="without chief"):
        await set_role(house.office, operator(), SetRole(name="chief", permissions=(Permission.MONEY_SEE,)))
    with pytest.raises(LastAdministratorError, match="without chief"):
        await drop_role(house.office, operator(), DropRole("chief"))
    await house.add("bob", "administrator")
    with pytest.raises(RoleInUseError, match="ann"):
        await drop_role(house.office, operator(), DropRole("chief"))
    await set_role(house.office, operator(), SetRole(name="chief", permissions=(Permission.MONEY_SEE,)))


async def test_a_role_keeps_what_another_order_has_changed_at_the_same_time(house, monkeypatch):
    """To demand a second factor of a role does not give it back a permission that was taken meanwhile."""
    await set_role(house.office, operator(), SetRole(name="desk", permissions=(Permission.CALLS_SEE, Permission.BLOCK)))
    write = SqlAccess.set_role

    async def write_behind_another(*terms):
        monkeypatch.undo()
        await set_role(house.office, operator(), SetRole(name="desk", permissions=(Permission.CALLS_SEE,)))
        await write(*terms)

    monkeypatch.setattr(SqlAccess, "set_role", write_behind_another)
    with pytest.raises(RoleChangedError, match="role desk was changed at the same time"):
        await set_role(house.office, operator(), SetRole(name="desk", wants_totp=True))
    assert (await role_named(house.office, "desk")).permissions == {Permission.CALLS_SEE}


async def test_of_two_changes_at_once_that_together_leave_no_administrator_one_is_refused(house):
    """Changes of two roles, and of the role of one administrator beside the other one: each alone is allowed."""
    office, who = house.office, operator()
    await house.add("ann", "administrator")
    await set_role(office, who, SetRole(name="chief", permissions=tuple(Permission)))
    await set_role(office, who, SetRole(name="head", permissions=tuple(Permission)))
    await house.add("bob", "chief")
    await house.add("cid", "head")
    weaker = [
        set_role(office, who, SetRole(name=name, permissions=(Permission.MONEY_SEE,))) for name in ("chief", "head")
    ]
    await disable_person(office, who, DisablePerson("ann"))
    outcomes = await asyncio.gather(*weaker, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["LastAdministratorError", "RoleSheet"]
    await enable_person(office, who, EnablePerson("ann"))
    for name in ("chief", "head"):
        await set_role(office, who, SetRole(name=name, permissions=tuple(Permission)))
    await disable_person(office, who, DisablePerson("cid"))
    outcomes = await asyncio.gather(
        set_role(office, who, SetRole(name="chief", permissions=(Permission.MONEY_SEE,))),
        disable_person(office, who, DisablePerson("ann")),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in outcomes].count("LastAdministratorError") == 1


def gives_desk(house):
    """Return the orders that give the role ``desk``: to a new person, to one who is there, and to a token."""
    office, who = house.office, operator()
    return {
        "add": lambda: add_person(office, who, AddPerson(name="new", role="desk")),
        "change": lambda: give_role(office, who, GiveRole(name="ann", role="desk")),
        "add_token": lambda: add_token(office, who, AddToken(name="crm", role="desk")),
    }


async def holders(house):
    """Return who has the role ``desk``, and whether it is there."""
    office, who = house.office, operator()
    people, tokens = await list_people(office, who, ListPeople()), await list_tokens(office, who, ListTokens())
    having = [each.name for each in (*people, *tokens) if each.role == "desk"]
    return having, "desk" in {each.name for each in await list_roles(office, who, ListRoles())}


@pytest.fixture
async def with_desk(house):
    await add_person(house.office, operator(), AddPerson(name="ann", role="viewer"))
    await set_role(house.office, operator(), SetRole(name="desk", permissions=(Permission.CALLS_SEE,)))
    return house


@pytest.mark.parametrize("write", ["add", "change", "add_token"])
async def test_a_role_that_is_dropped_before_it_is_given_is_not_given(with_desk, monkeypatch, write):
    owner = SqlAccess if write == "add_token" else SqlPeople
    give, as_it_is = gives_desk(with_desk)[write], getattr(owner, write)

    async def late(*given, **named):
        await drop_role(with_desk.office, operator(), DropRole("desk"))
        return await as_it_is(*given, **named)

    monkeypatch.setattr(owner, write, late)
    with pytest.raises(NoSuchRoleError):
        await give()
    assert await holders(with_desk) == ([], False)


@pytest.mark.parametrize("write", ["add", "change", "add_token"])
async def test_a_role_that_is_given_before_it_is_dropped_stays(with_desk, monkeypatch, write):
    give, as_it_is = gives_desk(with_desk)[write], SqlAccess.drop_role

    async def late(*given, **named):
        await give()
        return await as_it_is(*given, **named)

    monkeypatch.setattr(SqlAccess, "drop_role", late)
    with pytest.raises(RoleInUseError):
        await drop_role(with_desk.office, operator(), DropRole("desk"))
    (having,), is_there = await holders(with_desk)
    assert (having, is_there) == ({"add": "new", "change": "ann", "add_token": "crm"}[write], True)


async def test_of_a_role_that_is_given_and_dropped_at_once_one_is_refused(with_desk):
    for round_ in range(20):
        name = f"new{round_}"
        await set_role(with_desk.office, operator(), SetRole(name="desk", permissions=(Permission.CALLS_SEE,)))
        refused = await asyncio.gather(
            add_person(with_desk.office, operator(), AddPerson(name=name, role="desk")),
            drop_role(with_desk.office, operator(), DropRole("desk")),
            return_exceptions=True,
        )
        assert [type(each) for each in refused if isinstance(each, Exception)] in [[NoSuchRoleError], [RoleInUseError]]
        having, is_there = await holders(with_desk)
        assert (having, is_there) in [([], False), ([name], True)]
        if having:
            await give_role(with_desk.office, operator(), GiveRole(name=name, role="viewer"))
