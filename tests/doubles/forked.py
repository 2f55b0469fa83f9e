"""Processes that are forked from one that has imported vosd and loaded a configuration: that is most of a start.

Each of them imports the module of the function that it runs. That module should be one of this folder with few imports,
or else be among those of ``rehearsed``.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["doubles.rehearsed"])
_TESTS: Final = Path(__file__).parent.parent
_SEARCHED: Final = "PYTHONPATH"


def forked(run: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs ``run`` and ends; it is killed when this one ends."""
    _provide_server()
    process = _CONTEXT.Process(target=run, args=arguments, daemon=True)
    process.start()
    return process


def _provide_server() -> None:
    """Start the process that forks, if it is not there yet. It finds modules by its environment, not by our path."""
    before = os.environ.get(_SEARCHED)
    os.environ[_SEARCHED] = os.pathsep.join(filter(None, (str(_TESTS), before)))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ[_SEARCHED]
        else:
            os.environ[_SEARCHED] = before
