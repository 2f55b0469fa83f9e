"""``vosd run`` in a forked process: what an executed program would find in its process, it finds here."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from doubles import spare

_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def run_switch(
    command: Sequence[str],
    directory: Path,
    log: Path,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None,
) -> None:
    """Become ``vosd run``, with the system calls that the unit leaves it; ``prepare`` is called before."""
    from doubles import unit_filter  # compiled where it is imported: by the process that forks, not by each worker, too
    from vosd.cli.main import main
    from vosd.daemon import checks, traffic, traffic_process
    from vosd.storage import bookkeeper, separate_books
    from vosd.wiring import check_process

    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, place, how in ((0, os.devnull, os.O_RDONLY), (1, os.devnull, os.O_WRONLY), (2, str(log), _APPEND)):
        opened = os.open(place, how)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the descriptors that were just put in place
    assert "doubles.rehearsed" in sys.modules, "this process was not forked from one that is prepared for it"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What was imported is no garbage: to look through it, as the switch does once at its start, would copy it all.
    gc.freeze()
    spare.wait_for(bookkeeper.__name__, separate_books.__name__)
    # To execute these takes a second: that of checks starts with the first change, that of traffic in half a minute.
    spare.wait_for(check_process.__name__, checks.__name__)
    spare.wait_for(traffic_process.__name__, traffic.__name__)
    traffic.LAST_COUNTS_S = 30.0  # type: ignore[misc] # tests look for these counts, however busy the machine is
    if prepare is not None:
        prepare()
    unit_filter.confine()
    sys.argv = list(command)
    main(list(command[1:]), prog_name=command[0])
