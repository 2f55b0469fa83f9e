"""``vosd parameters``: the value, the source and the meaning of each parameter."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.parameters import ListParameters, list_parameters
from vosd.admin.office.ports import ParameterSheet
from vosd.admin.office.scope import OperatorsOnlyError
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.source import CatalogueSource
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cli.main import main
from vosd.config.excerpt import Excerpt
from vosd.config.stored import Stored
from vosd.storage.database import Database

UNIT = "SS_BILLINGUNIT"


def shown(tmp_path: Path, text: str, *objects: ObjectVersion) -> dict[str, ParameterSheet]:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"node: sw1\n{text}")
    found = Stored(CatalogueSource("database"), objects={"parameters": {each.name: each for each in objects}})
    excerpt = Excerpt(config, {}, definitions=lambda _: found, has_objects=lambda _: bool(objects))
    return {each.name: each for each in excerpt.parameter_sheets()}


def test_a_parameter_that_is_not_written_has_its_default_and_its_meaning(tmp_path):
    found = shown(tmp_path, "")[UNIT]
    assert (found.value, found.source) == ("1", "default")
    assert found.meaning == "Increment of rates without one of their own, whose group has none either."


def test_every_parameter_has_a_meaning_in_one_line(tmp_path):
    assert all(each.meaning and "\n" not in each.meaning for each in shown(tmp_path, "").values())


def test_a_parameter_of_a_file_names_the_file_and_its_line(tmp_path):
    found = shown(tmp_path, f"parameters:\n  {UNIT}: 60\n")[UNIT]
    assert (found.value, found.source) == ("60", f"{tmp_path}/vosd.yaml:3")


def test_another_spelling_of_a_parameter_is_the_same_parameter(tmp_path):
    found = shown(tmp_path, "parameters:\n  SERVER_BILLING_FEE_PRECISION: 4\n  SERVER_BILLING_FEE_UNIT: 0.0001\n")
    assert found["SERVER_BILLING_FEE_PRECISTION"].source == f"{tmp_path}/vosd.yaml:3"
    assert "SERVER_BILLING_FEE_PRECISION" not in found


def test_a_preset_is_named_where_its_default_holds(tmp_path):
    found = shown(tmp_path, "preset: vos3000\n")
    assert (found[UNIT].value, found[UNIT].source) == ("60", "default of preset vos3000")
    assert found["SS_SIP_SESSION_TTL"].source == "default"


def test_a_parameter_of_the_database_names_its_version(tmp_path):
    of_database = ObjectVersion(
        kind="parameters", name=UNIT, version=3, body='"6"', begins_at=0, made_at=0, operator="ann"
    )
    found = shown(tmp_path, "", of_database)[UNIT]
    assert (found.value, found.source) == ("6", "database, version 3")


def test_a_parameter_without_effect_is_shown_where_it_is_written(tmp_path):
    assert "SS_H323_CALL" not in shown(tmp_path, "")
    found = shown(tmp_path, "parameters:\n  SS_H323_CALL: On\n")["SS_H323_CALL"]
    assert (found.value, found.meaning) == ("On", "No effect: H.323 is not supported.")


def test_a_bad_parameter_is_named_with_file_and_line(tmp_path):
    with pytest.raises(ConfigError, match=r"vosd.yaml:3: parameters.SS_BILLINGUNIT"):
        shown(tmp_path, f"parameters:\n  {UNIT}: soon\n")


async def test_an_agent_does_not_see_parameters(tmp_path):
    accounts = (builders.account("south"), builders.account("shop", agent="south"))
    office = office_on(Database("sqlite+aiosqlite://"), *accounts, now=0, socket=tmp_path / "vosd.sock")
    assert [each.name for each in await list_parameters(office, operator(), ListParameters())] == [UNIT]
    with pytest.raises(OperatorsOnlyError):
        await list_parameters(office, agent("south"), ListParameters())


def test_the_verb_needs_no_database(tmp_path):
    config = tmp_path / "vosd.yaml"
    config.write_text(f"node: sw1\nstate_dir: {tmp_path}\nparameters:\n  {UNIT}: 60\n")
    found = json.loads(CliRunner().invoke(main, ["-c", str(config), "parameters", "--json"]).stdout)
    assert {"name": UNIT, "value": "60", "source": f"{config}:4"}.items() <= next(
        each for each in found if each["name"] == UNIT
    ).items()
    text = CliRunner().invoke(main, ["-c", str(config), "parameters"]).stdout
    assert f"{UNIT} = 60  [{config}:4]\n    Increment of rates" in text
