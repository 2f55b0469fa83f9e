"""The service manager's protocol, sent to a socket of the test."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from doubles.descriptor_store import DescriptorStore
from doubles.service_manager import ServiceManager
from e2e.conditions import eventually

from vosd.daemon import systemd
from vosd.daemon.systemd import Notifier, from_environment, handed_over
from vosd.net import icmp_errors


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceManager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@vosd-test-{os.getpid()}"
    manager = ServiceManager(name)
    yield manager
    manager.close()


def test_each_state_is_sent_in_the_format_of_sd_notify(manager: ServiceManager) -> None:
    notifier = Notifier(manager.address)
    notifier.ready("takes calls")
    notifier.reloading(123_456)
    notifier.stopping("7 calls left", within_s=20)
    notifier.close()
    assert manager.heard() == [
        "READY=1\nSTATUS=takes calls",
        "RELOADING=1\nMONOTONIC_USEC=123456\nSTATUS=loading the configuration",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\nSTATUS=7 calls left",
    ]


def test_more_time_is_asked_for_again_and_again_while_something_takes_long(manager: ServiceManager) -> None:
    notifier = Notifier(manager.address)
    with notifier.extending("reading rates", every_s=0.001):
        assert manager.wait_for("EXTEND_TIMEOUT_USEC=3000") == ["STATUS=reading rates\nEXTEND_TIMEOUT_USEC=3000"]
        for _ in range(3):
            manager.wait_for("EXTEND_TIMEOUT_USEC=3000")
    manager.heard()
    assert manager.heard() == []
    notifier.close()


def test_what_takes_far_too_long_is_given_no_more_time(manager: ServiceManager) -> None:
    notifier = Notifier(manager.address)
    with notifier.extending("reading rates", every_s=0.001, within_s=0.0):
        manager.wait_for("EXTEND_TIMEOUT_USEC=3000")
    assert manager.heard() == []
    notifier.close()


def test_the_short_steps_of_a_start_do_not_fill_the_queue_of_a_busy_manager(
    manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "SOON_S", 60)
    notifier = Notifier(manager.address)
    with structlog.testing.capture_logs() as log:
        for number in range(50):
            with notifier.extending(f"starting step {number}"):
                pass
        notifier.ready("takes calls")
    assert (log, manager.heard()) == ([], ["READY=1\nSTATUS=takes calls"])
    notifier.close()


def fill(notifier: Notifier) -> None:
    """Fill the queue of a manager that does not read."""
    for number in range(1_000):
        notifier.waiting(f"{number} calls", within_s=1)


def test_a_state_that_does_not_fit_into_the_managers_queue_is_sent_before_the_next_notification(
    manager: ServiceManager,
) -> None:
    notifier = Notifier(manager.address)
    fill(notifier)
    notifier.reloading(1)
    notifier.stopping("0 calls left", within_s=20)
    assert not [each for each in manager.heard() if "STATUS=0 calls left" in each]
    notifier.alive()
    states = [each.partition("\n")[0] for each in manager.heard()]
    assert states == ["RELOADING=1", "STOPPING=1", "WATCHDOG=1"]
    notifier.close()


async def test_the_event_loop_sends_it_again_by_itself(manager: ServiceManager) -> None:
    notifier = Notifier(manager.address)
    fill(notifier)
    notifier.stopping("0 calls left", within_s=20)
    assert not [each for each in manager.heard() if "STOPPING=1" in each]
    async with asyncio.timeout(30):
        heard = await manager.next_message()
    assert heard == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\nSTATUS=0 calls left"
    notifier.close()


def test_without_a_notify_socket_nothing_is_opened() -> None:
    notifier, watchdog = from_environment({})
    notifier.ready("takes calls")
    watchdog.start()
    watchdog.stop()
    assert notifier._socket is None


def test_a_manager_that_is_gone_never_stops_the_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notifier = Notifier(str(tmp_path / "unknown"))
    notifier.alive()
    notifier.close()
    assert "service_manager_unreachable" in capsys.readouterr().out


async def test_the_watchdog_is_fed_twice_a_period_by_the_event_loop(manager: ServiceManager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}
    notifier, watchdog = from_environment(environ)
    started = time.monotonic()
    watchdog.start()
    fed = [await asyncio.wait_for(manager.next_message(), 30) for _ in range(3)]
    took = time.monotonic() - started
    watchdog.stop()
    notifier.close()
    assert fed == ["WATCHDOG=1"] * 3
    assert took >= 0.09


async def test_an_event_loop_that_hangs_does_not_feed_the_watchdog(manager: ServiceManager) -> None:
    notifier, watchdog = from_environment({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000"})
    watchdog.start()
    manager.heard()
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        pass  # what a busy loop does to everything else in the process
    heard = manager.heard()
    watchdog.stop()
    notifier.close()
    assert heard == []


@pytest.mark.parametrize(
    "environ", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}]
)
async def test_a_watchdog_that_is_off_or_another_process_s_is_not_fed(
    manager: ServiceManager, environ: dict[str, str]
) -> None:
    notifier, watchdog = from_environment({"NOTIFY_SOCKET": manager.address, **environ})
    watchdog.start()
    notifier.waiting("alone", within_s=1)
    notifier.close()
    assert manager.heard() == ["EXTEND_TIMEOUT_USEC=1000000\nSTATUS=alone"]


def test_sockets_are_kept_and_handed_to_the_next_process_by_their_names(tmp_path: Path) -> None:
    with DescriptorStore(tmp_path) as store, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        kept.bind(("127.0.0.1", 0))
        notifier = Notifier(str(store.notify))
        notifier.keep({"udp/127.0.0.1/5060": kept})
        eventually(lambda: store.kept, "the socket is kept")
        [descriptor] = store.kept.values()
        copy = os.dup(descriptor)
        assert os.fstat(copy).st_ino == os.fstat(kept.fileno()).st_ino
        os.close(copy)
        notifier.forget(["udp/127.0.0.1/5060"])
        notifier.close()
        eventually(lambda: not store.kept, "it is given back")


def test_a_socket_is_kept_whatever_its_peers_refuse(tmp_path: Path) -> None:
    """systemd closes its copy at an error of the socket, such as that of a vendor whose machine is down (`FDPOLL`)."""
    with DescriptorStore(tmp_path) as store, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        kept.bind(("127.0.0.1", 0))
        icmp_errors.enable(kept, wanted=True)
        notifier = Notifier(str(store.notify))
        notifier.keep({"udp/127.0.0.1/5060": kept})
        eventually(lambda: store.kept, "the socket is kept")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            place = gone.getsockname()
        kept.sendto(b"x", place)
        notifier.keep({"udp/127.0.0.1/5061": kept})
        eventually(lambda: "udp/127.0.0.1/5061" in store.kept, "the store has looked at what came before")
        notifier.close()
        assert "udp/127.0.0.1/5060" in store.kept


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}]
)
def test_descriptors_for_another_process_are_left_alone(environ: dict[str, str]) -> None:
    assert handed_over(environ) == {}
