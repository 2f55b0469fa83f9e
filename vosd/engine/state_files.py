"""Small files of ``state_dir`` that carry live state over a restart: quality, blacklist, turns of number pools."""

from pathlib import Path
from typing import Final

from vosd.base.clock import Clock
from vosd.callcontrol.live_state import LiveState
from vosd.engine.background import BackgroundTasks
from vosd.engine.calls.blacklist_file import BlacklistFile
from vosd.engine.calls.pool_file import PoolFile
from vosd.engine.peers.quality_file import QualityFile


class StateFiles:
    """The files of one switch."""

    def __init__(self, state_dir: Path, live: LiveState, clock: Clock) -> None:
        self._quality: Final = QualityFile(state_dir / "quality.json", live.quality, clock)
        self._blacklist: Final = BlacklistFile(state_dir / "blacklist.json", live.dynamic_lists, clock)
        self._pools: Final = PoolFile(state_dir / "number-pools.json", live.pool_turns)

    def restore(self) -> None:
        """Read all of them."""
        self._quality.restore()
        self._blacklist.restore()
        self._pools.restore()

    def begin(self, tasks: BackgroundTasks) -> None:
        """Write what changes from now on."""
        tasks.run("dynamic blacklist to disk", self._blacklist.run)
        tasks.run("turns of number pools to disk", self._pools.run)

    def write_last(self) -> None:
        """Write what has changed since: the switch stops."""
        self._blacklist.write_last()
        self._pools.write_last()
        self._quality.write()
