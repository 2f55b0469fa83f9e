"""A start while the database is away: calls are taken by what was known last, and all is booked when it is back."""

from collections.abc import Callable
from signal import SIGTERM

import pytest
from doubles.process.mariadb import MariaDb
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Peer
from doubles.telephone import Telephone
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd.engine.booking.known_database import used_kind

from .conftest import CONFIGURATION

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"
ACME = '{id: acme, type: direct, rate_group: sell, overdraft_limit: "1000"}'
PHONES = "phones: [" + ", ".join(f'{{number: "100{n}", account: acme, password: secret}}' for n in (1, 2, 3)) + "]"
TRUNK = '{name: acme-pbx, account: acme, hosts: ["$customer"]}'
LEAVING = "\n  - {name: leaving, account: acme, auth: {username: leaving, password: secret}}"
PREPAID = '{id: acme, type: direct, rate_group: sell, overdraft_limit: "0"}'


@pytest.mark.mariadb
def test_a_switch_starts_by_what_it_knew_last_and_books_when_the_database_is_back(stage, server):
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 1')
    scene = stage(configuration=text.replace(ACME, PREPAID))
    daemon = scene.daemon
    daemon.succeed("payment", "add", "--account", "acme", "--amount", "3.00", "--reference", "bank-1")
    daemon.succeed("gateway", "set", "carrier", "--max-concurrent", "4")
    eventually(lambda: daemon.ask("status")["overrides"] == 1, "the override in force")
    scene.answered(1)
    scene.compared()
    daemon.interrupt()  # notes the balance; the call ends
    server.stop()

    daemon.start()
    assert daemon.ask("status")["database"]["state"] == "away"
    (started,) = scene.events("started_without_database")
    assert (started["accounts"], started["overrides"]) == (2, 1)
    before = len(scene.customer.answered)
    for number in range(8):  # each holds 0.60 for its first minute
        scene.customer.call(f"4420{number:05d}")
    eventually(lambda: len(scene.customer.decided) == 1 + 8, "every call is decided")
    assert len(scene.customer.answered) - before == 4, "what the balance pays for, and the override allows"
    for call in scene.customer.answered[before : before + 2]:
        scene.customer.hang_up(call)
    eventually(lambda: daemon.ask("status")["spool_rows"] >= 2, "ended calls wait")

    server.start()
    eventually(lambda: daemon.ask("status")["database"]["state"] == "well", "the database used")
    eventually(lambda: daemon.ask("status")["spool_rows"] == 0, "everything booked")
    assert len(daemon.ask("calls")) == 2, "running calls go on"
    daemon.succeed("payment", "add", "--account", "acme", "--amount", "1.00", "--reference", "bank-2")
    for call in scene.customer.answered[before + 2 :]:
        scene.customer.hang_up(call)
    eventually(lambda: len([each for each in scene.records() if each["answered_at"]]) == 5, "each call booked once")
    daemon.succeed("ledger", "verify")


@pytest.mark.mariadb
def test_kills_in_an_outage_cost_its_wait_once(stage, server):
    """The parties are served again as soon as the process is there; when the database is back, the next one waits."""
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 4')
    scene = stage(configuration=text)
    daemon = scene.daemon
    scene.answered(1)
    scene.compared()
    daemon.interrupt()
    assert used_kind(daemon.directory / "var") == "mysql"
    server.stop()
    for starts in range(2, 6):
        daemon.start()
        eventually(lambda starts=starts: len(scene.events("ready")) == starts, "its figures in the log")
        daemon.kill()
    steps_ms = [ready["steps_ms"].get("database", 0) for ready in scene.events("ready")]
    assert [ms >= 4_000 for ms in steps_ms] == [False, True, False, False, False]
    server.start()
    daemon.start()
    eventually(lambda: len(scene.events("ready")) == 6, "a start with the database")
    daemon.kill()
    server.stop()
    daemon.start()
    eventually(lambda: len(scene.events("ready")) == 7, "its figures in the log")
    assert scene.events("ready")[-1]["steps_ms"]["database"] >= 4_000


@pytest.mark.mariadb
def test_a_start_that_waits_for_the_database_ends_no_alarm_that_still_holds(stage, server):
    """A low balance, and a trunk that was gone before the stop and comes back later."""
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 0')
    text = text.replace(ACME, ACME.replace("}", ', balance_low: "2000"}')).replace(TRUNK, f"{TRUNK}{LEAVING}")
    scene = stage(configuration=f"{text}alarms: {{memory: 1, hysteresis: 0}}\n")
    daemon = scene.daemon
    with Peer(Endpoint(f"{NETWORK}.32", 17_905)) as peer:
        trunk = Telephone(peer, scene.switch, Login("leaving", "secret"))
        trunk.register()
        trunk.register(expires_s=0)

    def reports() -> list[int]:
        counts = {each["alarm"]: each["count"] for each in daemon.ask("alarms")}
        return [counts.get(name, 0) for name in ("balance_low", "gateway_unregistered", "memory_high")]

    eventually(lambda: reports() == [1, 1, 1], lambda: f"the alarms of before: {reports()}")
    daemon.interrupt()
    server.stop()
    daemon.start(wait=False)
    eventually(lambda: len(scene.events("memory_high")) == 2, "values compared with their limits during the start")
    server.start()
    eventually(lambda: len(scene.events("ready")) == 2, "the end of the start")
    eventually(lambda: reports() == [2, 2, 2], lambda: f"the alarms, reported again: {reports()}")
    assert scene.events("balance_recovered") == []
    (row,) = [each for each in daemon.ask("status", "--gateways") if each["gateway"] == "leaving"]
    assert row["state"] == "unregistered"


@pytest.mark.mariadb
@pytest.mark.parametrize("is_back_later", [False, True])
def test_a_database_that_answers_ends_the_alarms_of_an_outage_in_which_the_earlier_run_ended(
    stage, server, is_back_later
):
    url = f'"{server.create_database("vosd")}", start_without: 1'
    scene = stage(configuration=CONFIGURATION.replace(f'"{SQLITE_URL}"', url))
    daemon = scene.daemon
    scene.answered(1)
    scene.compared()

    def parts_away() -> set[str]:
        return {each["subject"] for each in daemon.ask("alarms") if each["alarm"] == "database_away"}

    server.stop()
    eventually(lambda: len(parts_away()) > 1, "alarms of several parts")
    daemon.interrupt()
    if not is_back_later:
        server.start()
    daemon.start()
    if is_back_later:
        eventually(lambda: {"start", "lease"} <= parts_away(), "those of before, and the one of this start")
        server.start()
    assert eventually(lambda: not parts_away(), "none of them holds")


def read_only(server: MariaDb) -> Callable[[], None]:
    """Have the server refuse every change, as a replica that was not made the primary yet; return what ends that."""
    server.stop()
    server.start("--innodb-read-only")

    def end() -> None:
        server.stop()
        server.start()

    return end


def locked(server: MariaDb) -> Callable[[], None]:
    """Have changes wait without end, as beside a backup that hangs; return what ends that."""
    holder = server.connection()
    holder.cursor().execute("FLUSH TABLES WITH READ LOCK")
    return holder.close


@pytest.mark.mariadb
@pytest.mark.parametrize("unwritable", [read_only, locked])
def test_a_database_that_can_only_be_read_is_away_at_a_start(stage, server, unwritable):
    """The schema of the database can be checked, the lease cannot be taken."""
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 1')
    scene = stage(configuration=f"{text}on_sigterm: keep\n")
    daemon = scene.daemon
    scene.answered(2)
    scene.compared()
    daemon.signal(SIGTERM)
    assert daemon.wait() == 0
    mend = unwritable(server)

    daemon.start()
    assert daemon.ask("status")["database"]["state"] == "away"
    assert len(daemon.ask("calls")) == 2, "running calls go on"
    scene.answered(1, first=2)
    mend()
    eventually(lambda: daemon.ask("status")["database"]["state"] == "well", "the database used")
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(lambda: len(scene.records()) == 3, "each call booked once")
    daemon.succeed("ledger", "verify")


@pytest.mark.mariadb
def test_registrations_of_an_outage_outlive_the_process(stage, server):
    """Another place of a phone, a new phone, and one that was removed, before a stop at which the database is away."""
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 1')
    scene = stage(configuration=f"{text}{PHONES}\n")
    daemon = scene.daemon

    def register(name: str, port: int) -> str:
        """Register a phone at a port; return its place."""
        with Peer(Endpoint(f"{NETWORK}.32", port)) as peer:
            Telephone(peer, scene.switch, Login(name, "secret")).register()
        return f"sip:{name}@{peer.contact}"

    def stored() -> list[tuple[str, str]]:
        with server.connection(database="vosd") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name, contact FROM registration ORDER BY name, contact")
            return list(cursor.fetchall())

    before = [("1001", register("1001", 17_901)), ("1002", register("1002", 17_902))]
    scene.compared()
    daemon.interrupt()
    assert stored() == before
    server.stop()
    daemon.start()
    after = [before[0], ("1001", register("1001", 17_903)), ("1003", register("1003", 17_904))]
    daemon.succeed("registrations", "--forget", "1002")
    daemon.interrupt()

    daemon.start()
    assert daemon.ask("status")["database"]["state"] == "away"
    server.start()
    eventually(lambda: stored() == after, lambda: f"the registrations of the outage: {stored()}")
