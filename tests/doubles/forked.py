"""Processes that are forked from one that has imported vosd and loaded a configuration: that is most of a start.

Each of them imports the module of the function that it runs. That module should be one of this folder with few imports,
or else be among those of ``rehearsed``.

The workers of a run fork from one process. The first worker that needs it starts it; it ends with the last process that
holds the pipe which keeps it alive.
"""

import ctypes
import fcntl
import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["doubles.rehearsed"])
_TESTS: Final = Path(__file__).parent.parent
_SEARCHED: Final = "PYTHONPATH"
_RUN: Final = "PYTEST_XDIST_TESTRUNUID"
"""Variable of the environment of a worker with the name of its run."""
_SERVER: Final[Any] = forkserver._forkserver
_PR_SET_PDEATHSIG: Final = 1


def forked(run: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs ``run`` and ends; it is killed when this one ends, however that ends."""
    provide_server()
    process = _CONTEXT.Process(target=_run, args=(run, *arguments), daemon=True)
    process.start()
    return process


def _run(run: Callable[..., None], *arguments: Any) -> None:
    """Run it, and be killed with the process that forks: a test that was killed leaves no switch on its ports.

    That ends with the last that holds its pipe, which each forked process is given as well.
    """
    os.close(_SERVER._forkserver_alive_fd)
    _SERVER._forkserver_alive_fd = None
    assert ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0
    run(*arguments)


def provide_server() -> None:
    """Have a process that forks, if there is none yet: that of another worker, or one of our own.

    It imports before it forks, which takes half a minute where the machine is busy.
    """
    if _SERVER._forkserver_address is not None:
        _SERVER.ensure_running()
    elif _RUN not in os.environ or "TMPDIR" not in os.environ:
        _start_server()
    else:
        shared = Path(tempfile.gettempdir(), f"forks-{os.environ[_RUN][:8]}")  # the name of a socket is short
        shared.mkdir(exist_ok=True)
        with (shared / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _joined(shared):
                _start_server()
                _share(shared)


def _joined(shared: Path) -> bool:
    """Use the process that another worker has started, if both are still there."""
    with suppress(OSError):
        owner, descriptor, pipe, key = json.loads((shared / "owner").read_text())
        alive = os.open(f"/proc/{owner}/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        if os.fstat(alive).st_ino != pipe:  # the number is that of another process by now
            os.close(alive)
            return False
        _SERVER._forkserver_alive_fd = alive
        _SERVER._forkserver_address = str(shared / "socket")
        _SERVER._forkserver_authkey = bytes.fromhex(key)
        _SERVER.ensure_running = lambda: None  # it would start another one: this is no child of ours
        return True
    return False


def _share(shared: Path) -> None:
    """Let other workers use the process that this one has started, also when this one has ended."""
    (shared / "socket").unlink(missing_ok=True)
    os.link(_SERVER._forkserver_address, shared / "socket")
    alive = _SERVER._forkserver_alive_fd
    key = getattr(_SERVER, "_forkserver_authkey", b"")  # Python 3.14 asks those for it that have a process forked
    (shared / "owner").write_text(json.dumps([os.getpid(), alive, os.fstat(alive).st_ino, key.hex()]))


def _start_server() -> None:
    """Start a process that forks. It finds modules by its environment, not by our path."""
    before = os.environ.get(_SEARCHED)
    os.environ[_SEARCHED] = os.pathsep.join(filter(None, (str(_TESTS), before)))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ[_SEARCHED]
        else:
            os.environ[_SEARCHED] = before
    first = _CONTEXT.Process(target=os.getpid)
    first.start()  # returns once the imports are done
    first.join()
