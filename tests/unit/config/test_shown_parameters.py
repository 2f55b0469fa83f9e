"""``vosd parameters``: the value, the source and the meaning of each parameter."""

import json
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.parameters import ListParameters, list_parameters
from vosd.admin.office.ports import ParameterSheet
from vosd.admin.office.principal import OperatorsOnlyError
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cli.main import main
from vosd.config.excerpt import Excerpt
from vosd.config.stored import Stored
from vosd.storage.database import Database

UNIT = "SS_BILLINGUNIT"
DEFAULTS_OF_VOS3000: Final = {
    "SS_SIP_SESSION_TTL": "600",
    "SS_SIP_SESSION_UPDATE_SEGMENT": "2",
    "SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP": "0",
    "SS_SIP_NO_TIMER_REINVITE_INTERVAL": "7200",
    "SS_SIP_SESSION_MIN_SE": "90",
    "SS_SIP_NAT_KEEP_ALIVE_MESSAGE": "HELLO",
    "SS_SIP_NAT_KEEP_ALIVE_PERIOD": "30",
    "SS_SIP_NAT_KEEP_ALIVE_SEND_INTERVAL": "500",
    "SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME": "3000",
    "SS_SIP_RESEND_INTERVAL": "0.5,1,2,4,4,4,4,4,4,4",
    "SS_AUTHENTICATION_MAX_RETRY": "6",
    "SS_AUTHENTICATION_FAILED_SUSPEND": "180",
    "SS_SIP_AUTHENTICATION_CODE": "Unauthorized(401)",
    "SS_SIP_AUTHENTICATION_TIMEOUT": "10",
    "SS_SIP_AUTHENTICATION_RETRY": "6",
    "SS_MEDIAPROXYMODE": "Auto",
    "SS_RTP_PORT_RANGE": "10000,39999",
    "IVR_RTP_PORT": "40000,47999",
    "SS_QOS_SIGNAL": "0xa0",
    "SS_QOS_RTP": "0xa0",
    "SERVER_MAX_CDR_PENDING_LIST_LENGTH": "100000",
    "SERVER_CDR_FILE_WRITE_MAX": "2048",
    "SERVER_BILLING_HOLD_TIME_PRECISION": "50",
    "SERVER_BILLING_FEE_PRECISTION": "2",
    "SERVER_BILLING_FEE_UNIT": "0.01",
    "SERVER_BILLING_FREE_TIME": "0",
    "SERVER_BILLING_FREE_E164S": "",
    "SERVER_BILLING_NO_CDR_E164S": "",
    "SERVER_BILLING_GATEWAY_ROUTE_PREFIX": "0",
    "SERVER_BILLING_RECORD_SERVER_HANG_UP": "1",
    "SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME": "1",
    "SS_STARTBILLINGTIME": "0",
}
"""Every parameter whose default is known, H.323 and what has no effect here left out."""


def shown(tmp_path: Path, text: str, *objects: ObjectVersion) -> dict[str, ParameterSheet]:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"node: sw1\n{text}")
    found = Stored(objects={"parameters": {each.name: each for each in objects}})
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


def test_with_the_preset_every_parameter_has_the_default_of_vos3000(tmp_path):
    found = shown(tmp_path, "preset: vos3000\n")
    assert {name: found[name].value for name in DEFAULTS_OF_VOS3000} == DEFAULTS_OF_VOS3000
