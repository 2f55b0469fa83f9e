"""Entry of the processes that the switch starts for itself: ``python -m vosd.processes.entry MODULE ARGUMENT...``.

It calls ``main`` of that module, a quarter sooner than ``python -m MODULE`` would: garbage is not sought among modules,
and structlog finds no ``rich`` to import, which is for tracebacks in colour that these processes never print.
"""

import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import vosd
from vosd.processes.life import end_before_the_switch

_END_FIRST: Final = frozenset({"vosd.api.process", "vosd.wiring.check_process"})
"""Modules of processes that end before the switch when memory is short: importing them takes much of it."""


def search_path() -> str:
    """Return where Python finds this package, wherever it was started from."""
    return os.pathsep.join(filter(None, (str(Path(vosd.__file__).parents[1]), os.environ.get("PYTHONPATH"))))


def _main() -> None:
    # A terminal sends Ctrl-C to the switch and to all of its processes: it ends them itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's mark of a module that cannot be imported
    del sys.argv[0]
    if sys.argv[0] in _END_FIRST:
        end_before_the_switch()
    module = import_module(sys.argv[0])
    gc.freeze()
    gc.enable()
    module.main()


if __name__ == "__main__":
    _main()
