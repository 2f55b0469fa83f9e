"""Processes that are forked from one that has imported vosd and loaded a configuration: that is most of a start.

Each of them imports the module of the function that it runs. That module should be one of this folder with few imports,
or else be among those of ``rehearsed``.

All workers of a run have the same one: all those imports take three seconds of a busy processor. It ends with the last
worker that uses it.
"""

import fcntl
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from scratch import directory_of_run

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["doubles.rehearsed"])
_TESTS: Final = Path(__file__).parent.parent
_SEARCHED: Final = "PYTHONPATH"
_SERVER: Final[Any] = forkserver._forkserver


def forked(run: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs ``run`` and ends; it is killed when this one ends."""
    _provide_server()
    process = _CONTEXT.Process(target=run, args=arguments, daemon=True)
    process.start()
    return process


def _provide_server() -> None:
    """Take the process that forks from another worker, or start it."""
    run = directory_of_run()
    if run is None or _SERVER._forkserver_address is not None:
        _start_server()
        return
    with (run / "forks").open("a+", encoding="ascii") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        note.seek(0)
        if not _is_taken(note.read().split()):
            multiprocessing.current_process()._config["tempdir"] = str(run)  # type: ignore[attr-defined]  # of its socket
            _start_server()
            note.truncate(0)
            note.write(f"{_SERVER._forkserver_address} {os.getpid()} {_SERVER._forkserver_alive_fd}")


def _is_taken(noted: list[str]) -> bool:
    """Use the process that another worker has noted, which runs as long as this pipe is open anywhere."""
    if not noted:
        return False
    address, worker, pipe = noted
    try:
        _SERVER._forkserver_alive_fd = os.open(f"/proc/{worker}/fd/{pipe}", os.O_WRONLY)
    except FileNotFoundError:  # that worker has ended
        return False
    _SERVER._forkserver_address = address
    _SERVER.ensure_running = resource_tracker.ensure_running
    return True


def _start_server() -> None:
    """Start the process that forks, if it is not there yet. It finds modules by its environment, not by our path."""
    before = os.environ.get(_SEARCHED)
    os.environ[_SEARCHED] = os.pathsep.join(filter(None, (str(_TESTS), before)))
    try:
        _SERVER.ensure_running()
    finally:
        if before is None:
            del os.environ[_SEARCHED]
        else:
            os.environ[_SEARCHED] = before
