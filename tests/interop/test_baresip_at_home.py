"""baresip behind a real NAT, in a network of its own: it registers, calls, is called, and sound comes through."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from string import Template

import pytest
from doubles.daemon import Daemon
from doubles.home import CARRIER, OTHER_PHONE, ROUTER, Home, NoNamespacesError
from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually
from e2e.namespaces import do_without
from e2e.stage import Stage

from .baresip import Baresip
from .telephones import expect_sound

HERE = Path(__file__).parent
SWITCH = Endpoint(CARRIER[0], 5060)
AT_HOME = Endpoint(OTHER_PHONE, 5060)
AT_WORK = Endpoint(CARRIER[0], 5070)
"""At the address that its media leave from, too: a NAT drops answers of others."""
MAPPING_S = 30
"""More than the test lasts."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home whose router keeps ports, so that media can be found at the port that they name."""
    with ExitStack() as open_ones:
        try:
            home = open_ones.enter_context(Home(MAPPING_S, keeps_ports=True))
        except NoNamespacesError as error:
            do_without(str(error))
        yield home


@pytest.fixture
def stage(home: Home, tmp_path: Path) -> Iterator[Stage]:
    """The carrier's switch."""
    configuration = (HERE / "carrier.yaml").read_text()
    directory = tmp_path / "switch"
    directory.mkdir()
    text = Template(configuration).safe_substitute(switch=str(SWITCH))
    with Daemon(directory, text, prepare=home.carrier.enter) as daemon:
        yield Stage(daemon, SWITCH)
        assert daemon.interrupt() == 0


def test_sound_comes_through_in_calls_from_home_and_to_home(
    home: Home, stage: Stage, baresip: Callable[..., Baresip]
) -> None:
    at_home = baresip("7001", AT_HOME, "udp", SWITCH, home.home)
    at_work = baresip("7002", AT_WORK, "udp", SWITCH, home.carrier)

    def registered() -> dict[str, str]:
        return {row["name"]: row["received"] for row in stage.daemon.ask("registrations")}

    places = eventually(lambda: len(found := registered()) == 2 and found, "both registered")
    assert places["7001"].startswith(f"{ROUTER}:")

    for caller, callee, number in ((at_home, at_work, "7002"), (at_work, at_home, "7001")):
        caller.dial(number, SWITCH)
        callee.expect("CALL_INCOMING")
        callee.accept()
        caller.expect("CALL_ESTABLISHED")
        callee.expect("CALL_ESTABLISHED")
        expect_sound(at_home)
        expect_sound(at_work)
        at_work.hang_up()
        at_home.expect("CALL_CLOSED")
        at_work.expect("CALL_CLOSED")
        stage.expect_nothing_left()
        record = stage.record_of(number)
        assert (record["end_reason"], record["routing_gateway"]) == ("Normal", number)
    at_work_bodies = "".join(message.body for message in at_work.came())
    assert f"c=IN IP4 {ROUTER}\r\n" in at_work_bodies
    assert OTHER_PHONE not in at_work_bodies
    stage.expect_books_in_order()
