"""Objects of the database, through the daemon: in force when the command returns, refused ones change nothing."""

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from doubles.daemon import Daemon

from vosd.wiring import change_check

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
    made = [(each["name"], each["version"]) for each in back["changes"] if each["version"] is not None]
    assert made == [("shop", 3), ("shop-trunk", 3)]
    assert "shop-trunk" in trunks(stage)


def test_a_command_leaves_the_check_to_the_switch(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_here(*_: object) -> NoReturn:
        raise AssertionError("the command has read the configuration itself")

    monkeypatch.setattr(change_check, "check_here", check_here)
    for limit, action in (("5", "defined"), ("6", "changed")):
        (change,) = defined(stage, "accounts", "quick", f"rate_group: sell\noverdraft_limit: {limit}\n")["changes"]
        assert change["action"] == action
    refused = stage.daemon.verb("definitions", "set", "accounts", "quick", "--file", text(stage, "rate_group: none\n"))
    assert refused.code == 3
    assert "accounts quick (version 3) in the database: accounts[quick].rate_group: value 'none'" in refused.stderr


def test_a_group_of_the_database_holds_for_gateways_of_the_files_and_its_change_for_those_that_name_it(
    stage: Stage,
) -> None:
    pair = "gateways: [carrier-a]\nmax_concurrent: {limit}\n"
    for limit in (7, 9):
        assert defined(stage, "gateway_groups", "pair", pair.format(limit=limit))["in_force"] is True
        (row,) = stage.daemon.ask("gateway", "show", "pair")["running"]
        assert (row["kind"], row["max_concurrent"]) == ("group", limit)
    assert defined(stage, "address_groups", "sites", "hosts: [192.0.2.80]\n")["in_force"] is True
    defined(stage, "accounts", "group-shop", "rate_group: sell\n")
    trunk = "account: group-shop\naddress_groups: sites\ngateways_allow: pair\n"
    assert defined(stage, "mapping_gateways", "group-trunk", trunk)["in_force"] is True
    assert claimed_by(stage, "192.0.2.80") == ["group-trunk"]
    defined(stage, "address_groups", "sites", "hosts: [192.0.2.81]\n")
    assert claimed_by(stage, "192.0.2.81") == ["group-trunk"]
    named = stage.daemon.verb("definitions", "delete", "gateway_groups", "pair", "--yes")
    assert (named.code, "gateways_allow" in named.stderr) == (3, True)


def claimed_by(stage: Stage, host: str) -> list[str]:
    """Return the trunks that keep another one from having a source of its own."""
    other = text(stage, f"account: group-shop\nhosts: [{host}]\n")
    refused = stage.daemon.verb("definitions", "set", "mapping_gateways", "rival", "--file", other)
    assert refused.code == 3
    return [name for name in trunks(stage) if f"differ from {name!r}" in refused.stderr]
