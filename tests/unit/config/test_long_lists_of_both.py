"""Long lists whose items stand in the files and in the database: those of the database are made one by one."""

import json
from pathlib import Path

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.load import Loaded, load
from vosd.config.stored import Stored

GROUP = 'rate_groups:\n  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}\n'
KEYS = {"type": "direct", "rate_group": "sell"}


def loaded(directory: Path, text: str, accounts: dict[str, dict[str, str]]) -> Loaded:
    objects = {
        name: ObjectVersion(
            kind="accounts", name=name, version=1, body=json.dumps(keys), begins_at=1, made_at=1, operator="ann"
        )
        for name, keys in accounts.items()
    }
    stored = Stored(version=1, objects={"accounts": objects})
    file = directory / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {directory}/var\n"
        f"database: {{url: 'sqlite+aiosqlite:///{directory}/vosd.db'}}\n"
        f"control_socket: {directory}/vosd.sock\n{GROUP}{text}"
    )
    return load(file, {}, definitions=lambda _: stored)


def problems(directory: Path, text: str, accounts: dict[str, dict[str, str]]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loaded(directory, text, accounts)
    return [str(each).replace(f"{directory}/", "") for each in refused.value.problems]


def test_items_of_the_files_come_first_and_those_of_the_database_by_name(tmp_path: Path) -> None:
    found = loaded(tmp_path, "accounts:\n  - {id: z, type: direct, rate_group: sell}\n", {"c": KEYS, "b": KEYS})
    assert [*found.catalogue.accounts] == ["z", "b", "c"]


def test_a_list_without_items_in_the_files_has_those_of_the_database(tmp_path: Path) -> None:
    assert [*loaded(tmp_path, "accounts:\n", {"b": KEYS}).catalogue.accounts] == ["b"]


def test_an_item_of_the_files_that_the_database_has_too_is_a_mistake(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "accounts:\n  - {id: b, type: direct, rate_group: sell}\n", {"b": KEYS})
    assert found.startswith("accounts b (version 1) in the database: accounts[b].id: value 'b': expected each id once")
    assert found.endswith("it also stands at vosd.yaml:8")


def test_what_is_no_list_in_the_files_is_said_beside_the_list_of_the_database(tmp_path: Path) -> None:
    assert problems(tmp_path, "accounts: {a: b}\n", {"c": KEYS}) == [
        "accounts in the database: accounts: expected each value once; vosd.yaml:7 sets it too",
        "vosd.yaml:7: accounts: expected a list: lines that begin with '- '",
    ]


def test_mistakes_in_items_of_the_database_are_found(tmp_path: Path) -> None:
    b, c = problems(tmp_path, "", {"b": KEYS | {"type": "${NO}"}, "c": KEYS | {"fee_unit": "0.01"}, "d": KEYS})[::2]
    assert b.startswith(
        "accounts b (version 1) in the database: type: value '${NO}': expected the environment variable"
    )
    assert c.startswith("accounts c (version 1) in the database: accounts[c].fee_unit: value '0.01': expected fee_")
