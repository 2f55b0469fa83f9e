"""Process that checks changes: ``vosd.processes.entry vosd.api.check_process CHANNEL``. It ends with the API's."""

import pickle
import resource
import socket
import sys
from contextlib import closing
from typing import Final

from vosd.catalogue.problems import ConfigError
from vosd.processes.channel import LENGTH_BYTES, message
from vosd.processes.life import live_as_long_as_the_switch
from vosd.wiring.change_check import check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

MEMORY_MAX: Final = 2 << 30
"""Bytes of address space."""


def main() -> None:
    """Check changes until the channel is closed."""
    live_as_long_as_the_switch()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=int(sys.argv[1])) as channel, channel.makefile("rwb") as pipe:
        while length := pipe.read(LENGTH_BYTES):
            pipe.write(message(_answer(pipe.read(int.from_bytes(length, "big")))))
            pipe.flush()


def _answer(question: bytes) -> bytes:
    config, asked = pickle.loads(question)  # noqa: S301 - from the process that started this one
    with closing(ConfiguredSwitch(config)) as switch:
        try:
            return pickle.dumps(check_here(switch, asked))
        except ConfigError as error:
            return pickle.dumps(error)
