"""Process of the management API: ``vosd.processes.entry vosd.api.process``, with what it serves as arguments.

``CHANNEL LISTENER``: the switch starts it, and it ends with the switch. ``CONFIG``: it stands alone (``vosd api``).
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from vosd.admin.office.tokens import principal_of
from vosd.api.access_log import AccessLog
from vosd.api.address_gate import AddressGate, Served
from vosd.api.application import Application, Identify
from vosd.api.console import Console
from vosd.api.feed import EventFeed
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.routes import Routes
from vosd.api.server import ApiServer
from vosd.api.table import OPERATIONS
from vosd.base.secret import Secret
from vosd.catalogue.problems import ConfigError
from vosd.engine.settings import ApiSettings
from vosd.net.tls import TlsFileError, check_pair
from vosd.obs import log
from vosd.obs.events import Event, log as _log
from vosd.processes.channel import received
from vosd.processes.life import give_way, live_as_long_as_the_switch
from vosd.processes.standard_streams import occupy_closed_streams
from vosd.wiring.last_good import in_force

BAD_CONFIGURATION: Final = 3
"""Exit code of an invalid configuration, as of every verb."""
LOG_LEVEL: Final = "info"
_NICENESS: Final = 5


def main() -> None:
    """Serve until the switch ends, or until SIGTERM."""
    occupy_closed_streams()
    if len(sys.argv) == 2:
        _stand_alone(Path(sys.argv[1]))
    else:
        live_as_long_as_the_switch()
        give_way(_NICENESS)
        channel, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
        run(_beside_the_switch(channel, listener))


def run(serving: Coroutine[object, object, None]) -> None:
    """Serve in a loop of this process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


async def _beside_the_switch(channel: socket.socket, listener: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    opening = await received(reader)
    config, settings = msgspec.msgpack.decode(opening, type=tuple[str, ApiSettings], dec_hook=_secret)
    await serve(Path(config), settings, listener, principal_of, reader.read(1))
    writer.close()


def _secret(kind: type, text: str) -> Secret:
    assert kind is Secret
    return Secret(text)


def _stand_alone(config: Path) -> None:
    try:
        with closing(in_force(config)) as configured:
            settings = configured.settings.api
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(BAD_CONFIGURATION)
    if settings is None:
        sys.stderr.write(f"{config}: api.listen is not set: say an address and a port, such as 127.0.0.1:8080\n")
        sys.exit(BAD_CONFIGURATION)
    family = socket.AF_INET6 if ":" in settings.listen.host else socket.AF_INET
    try:
        listener = socket.create_server(tuple(settings.listen), family=family)
    except OSError as error:
        sys.stderr.write(f"{settings.listen}: {error.strerror}; change api.listen\n")
        sys.exit(1)
    run(serve(config, settings, listener, principal_of, None))


def _check_files(settings: ApiSettings) -> None:
    """End the process where it has no certificate to show, as between the renewal of both files: it is tried again."""
    if settings.certificate is None or settings.key is None:
        return
    try:
        check_pair(Path(settings.certificate), Path(settings.key))
    except TlsFileError as error:
        why = f"{error.path}: expected {error.expected}"
        do = "put a certificate and its key into the files of api.tls: the switch, or systemd, starts the API again"
        _log.error(Event.API_CERTIFICATE_REFUSED.value, why=why, do=do)
        sys.exit(1)


async def serve(
    config: Path, settings: ApiSettings, listener: socket.socket, identify: Identify, until: Awaitable[object] | None
) -> None:
    """Answer requests until ``until`` returns; None: until a signal. ``identify`` returns the principal of a token."""
    log.configure(LOG_LEVEL)  # structlog's own form would print the values of variables, which have tokens
    _check_files(settings)
    replica = None if settings.replica is None else settings.replica.reveal()
    async with Offices(config, settings.statement_seconds, replica) as offices:
        feed = EventFeed(lambda: offices.running_switch)
        jobs = Jobs(config, offices, feed.report)
        application = Application(
            offices,
            identify,
            Routes(OPERATIONS),
            jobs,
            feed=feed,
            token_rate=settings.token_rate,
            address_rate=settings.address_rate,
        )
        served: Served = Console(application, settings.brand) if settings.console else application
        if settings.allow:
            served = AddressGate(served, settings.allow)
        access_log = AccessLog(settings.access_log, asyncio.get_running_loop().call_later)
        server = ApiServer(served, settings, feed.close, access_log, takes_signals=until is None)
        gc.collect()
        gc.freeze()
        working = asyncio.create_task(jobs.run(), name="jobs")
        reporting = asyncio.create_task(access_log.report_answers(lambda: offices.running_switch), name="answers")
        try:
            await server.run(listener, until)
        finally:
            access_log.close()
            reporting.cancel()
            working.cancel()
            await asyncio.gather(reporting, working, return_exceptions=True)
