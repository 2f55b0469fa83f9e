"""A switch that runs, with the API beside it, on one scratch database; both fronts are asked in the same way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from doubles.api import ADMINISTRATOR, Api
from doubles.daemon import Daemon
from e2e.addresses import API_SWITCH
from e2e.stage import Stage, configuration

from vosd.obs.events import Event


class Watched(NamedTuple):
    """The installation."""

    daemon: Daemon
    api: Api
    stage: Stage

    def items(self, path: str, token: str = ADMINISTRATOR) -> list[dict[str, Any]]:
        """Return the items of a list."""
        reply = self.api.ask("GET", path, token=token)
        assert reply.status == 200, reply.content
        found: list[dict[str, Any]] = reply.json["items"] if isinstance(reply.json, dict) else reply.json
        return found

    def cli(self, *words: str) -> Any:
        """Return the document of a verb."""
        return self.daemon.ask(*words)

    def drawn(self, *words: str) -> str:
        """Return the ladder that a verb draws."""
        return self.daemon.succeed(*words).removesuffix("\n")


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """Start both."""
    text = configuration(Path(__file__).parent / "switch.yaml", API_SWITCH)
    with Daemon(directory, text) as daemon, Api(daemon.configuration_file) as api:
        stage = Stage(daemon, API_SWITCH, Event.CALLER_BLACKLISTED)
        yield Watched(daemon, api, stage)
        stage.expect_clean_log()
