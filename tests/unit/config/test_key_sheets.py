"""Declarations of keys for forms: all that the models declare, in forms that a program can draw."""

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Annotated

import pytest

from vosd.admin.office.ports import KeySheet
from vosd.catalogue.stored_objects import KINDS
from vosd.config import text_values
from vosd.config.key_sheets import key_sheets
from vosd.config.keys.trunks import PhoneKeys, RoutingGatewayKeys
from vosd.config.meanings import meanings_of
from vosd.config.reader.fields import choice, whole
from vosd.config.text_values import MODELS_OF

FORMS = {
    "text", "switch", "choice", "number", "seconds", "amount", "moment", "secret", "pair", "map", "text_or_map", "keys",
}  # fmt: skip


def sheet(kind: str, *path: str) -> KeySheet:
    keys = key_sheets(kind).keys
    for name in path:
        found = next(each for each in keys if each.name == name)
        keys = found.keys
    return found


def all_keys(keys: tuple[KeySheet, ...]) -> Iterator[KeySheet]:
    for each in keys:
        yield each
        yield from all_keys(each.keys)


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_has_a_meaning_and_a_form_that_can_be_drawn(kind: str) -> None:
    for each in all_keys(key_sheets(kind).keys):
        assert each.meaning, each.name
        assert each.form in FORMS, each.name
        assert (each.form == "keys") == bool(each.keys), each.name
        assert (each.form in {"switch", "choice"}) == bool(each.choices), each.name
        assert not each.names or each.names in KINDS, each.name


@pytest.mark.parametrize("kind", MODELS_OF)
def test_every_key_of_the_models_is_there(kind: str) -> None:
    found = key_sheets(kind)
    names = [each.name for each in found.keys] + ([found.named.name] if found.named else [])
    declared = {name for model in MODELS_OF[kind] for name in (*model.by_key(), *model.apart)}
    if kind == "templates":
        declared -= {"id", "name", "number", "template"}
    assert sorted(names) == sorted(declared)
    assert found.named is None or found.named.name == KINDS[kind]


def test_the_shapes_of_values() -> None:
    found = sheet("routing_gateways", "max_concurrent")
    assert (found.form, found.lowest, found.highest, found.default) == ("number", "1", "1000000", ())
    found = sheet("routing_gateways", "options_ping", "timeout")
    assert (found.form, found.lowest, found.highest, found.unit, found.default) == ("seconds", "0.1", "60", "s", ("4",))
    assert sheet("accounts", "enabled").default == ("yes",)
    found = sheet("accounts", "type")
    assert (found.form, found.choices, found.default) == ("choice", ("direct", "clearing", "partner"), ("direct",))
    assert (sheet("accounts", "rate_group").names, sheet("phones", "template").names) == ("rate_groups", "templates")
    assert (sheet("phones", "account").names, sheet("phones", "account").required) == ("accounts", True)
    assert sheet("phones", "gateways_allow").names == "routing_gateways"
    assert sheet("phones", "gateways_allow").many
    assert sheet("routing_gateways", "auth", "password").form == "secret"
    assert (sheet("phones", "callee_rewrite").form, sheet("phones", "callee_rewrite").many) == ("pair", True)
    assert sheet("routing_gateways", "reject_codes").form == "map"
    assert sheet("accounts", "loss_guard").form == "text_or_map"
    assert sheet("accounts", "expires_at").form == "moment"
    assert sheet("rate_groups", "rates", "billing_rate").form == "amount"
    assert sheet("calendars", "entries").many
    assert sheet("parameters", "SS_BILLINGUNIT").default == ("1",)
    assert sheet("parameters", "SS_SIP_AUTHENTICATION_RETRY").form == "number"
    assert sheet("accounts", "database_away").form == "choice"
    assert not sheet("templates", "account").required


class Tone(Enum):
    LOW = "low"
    HIGH = "high"


class WithANewKey(RoutingGatewayKeys):
    """A gateway of another release."""

    tone: Annotated[Tone, choice(Tone)] = Tone.LOW
    """The tone of it."""
    tones: Annotated[int | None, whole(1, 9, "tones")] = None
    """Number of them."""


def test_a_new_key_of_a_gateway_appears_by_its_declaration_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(text_values.MODELS_OF, "routing_gateways", (WithANewKey,))
    key_sheets.cache_clear()
    tone, tones = sheet("routing_gateways", "tone"), sheet("routing_gateways", "tones")
    key_sheets.cache_clear()
    assert (tone.form, tone.choices, tone.default, tone.meaning) == (
        "choice",
        ("low", "high"),
        ("low",),
        "The tone of it.",
    )
    assert (tones.form, tones.lowest, tones.highest, tones.unit) == ("number", "1", "9", "tones")


def test_every_name_of_another_object_says_of_which_kind() -> None:
    """Keys with the name of an object of a kind that the database defines."""
    own = {"name", "id", "number", "group", "partner", "period_rates", "tls"}
    for model in (PhoneKeys, RoutingGatewayKeys):
        for name, field in model.by_key().items():
            words = [word for word in field.metadata if getattr(word, "expected", "").startswith("a name of 1 to")]
            assert all(word.shape.names for word in words) or name in own, name


def test_meanings_are_read_by_several_threads_at_once() -> None:
    """A collection of garbage in the middle of a tree lets another thread run, as in an API with much to do."""
    models = [model for found in MODELS_OF.values() for model in found]
    before = gc.get_threshold()

    def let_others_run(*_: object) -> None:
        time.sleep(0)

    gc.callbacks.append(let_others_run)
    gc.set_threshold(3_000)
    try:
        with ThreadPoolExecutor(3) as threads:
            found = [*threads.map(meanings_of, [*models, *reversed(models)])]
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(let_others_run)
    assert all(found)
