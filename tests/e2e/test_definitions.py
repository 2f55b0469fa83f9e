"""Objects of the database, through the daemon: in force when the command returns, refused ones change nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from doubles.daemon import Daemon

from .addresses import DECK_SWITCH
from .stage import Stage, configuration

TRUNK = "account: {account}\nhosts: [192.0.2.77]\nmax_concurrent: {limit}\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Daemon(tmp_path_factory.mktemp("definitions"), configuration("decks.yaml", DECK_SWITCH)) as daemon:
        yield Stage(daemon, DECK_SWITCH)
        assert daemon.interrupt() == 0


def text(stage: Stage, content: str) -> str:
    path = stage.daemon.directory / "object.yaml"
    path.write_text(content, encoding="utf-8")
    return str(path)


def defined(stage: Stage, kind: str, name: str, content: str, *more: str) -> dict[str, Any]:
    answer: dict[str, Any] = stage.daemon.ask("definitions", "set", kind, name, "--file", text(stage, content), *more)
    return answer


def trunks(stage: Stage) -> list[str]:
    """Return the trunks that the running switch knows."""
    return [each["gateway"] for each in stage.daemon.ask("gateway", "list")]


def test_a_change_is_in_force_in_the_running_switch_when_the_command_returns(stage: Stage) -> None:
    assert defined(stage, "accounts", "shop", "rate_group: sell\n")["in_force"] is True
    assert defined(stage, "mapping_gateways", "shop-trunk", TRUNK.format(account="shop", limit=30))["in_force"] is True
    assert "shop-trunk" in trunks(stage)

    refused = stage.daemon.verb(
        "definitions",
        "set",
        "mapping_gateways",
        "shop-trunk",
        "--file",
        text(stage, TRUNK.format(account="no", limit=3)),
    )
    assert refused.code == 3
    assert stage.daemon.ask("definitions", "list", "mapping_gateways")[0]["version"] == 1
    assert stage.status()["catalogue"]["error"] is None

    file = stage.daemon.directory / "export.yaml"
    assert stage.daemon.verb("definitions", "export", "--out", str(file)).code == 0
    stage.daemon.ask("definitions", "delete", "mapping_gateways", "shop-trunk", "--yes")
    assert "shop-trunk" not in trunks(stage)
    stage.daemon.ask("definitions", "delete", "accounts", "shop", "--yes")
    back = stage.daemon.ask("definitions", "import", str(file))
    assert [(each["name"], each["version"]) for each in back["changes"]] == [("shop", 3), ("shop-trunk", 3)]
    assert "shop-trunk" in trunks(stage)
