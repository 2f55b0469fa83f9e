"""The reference of the configuration, generated from the models: ``python tests/manuals/configuration.py``.

The output is ``docs/configuration.md``; a test compares the two.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from pydantic.fields import FieldInfo

from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.calendars import CalendarKeys
from vosd.config.keys.currencies import CurrencyKeys, ExchangeRateKeys
from vosd.config.keys.destinations import DestinationClassKeys
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.keys.parameters import WITHOUT_EFFECT, ParameterKeys
from vosd.config.keys.period_rates import PeriodRatesKeys
from vosd.config.keys.presets import PRESETS, Defaults
from vosd.config.keys.rate_groups import RateGroupKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.keys.routing_plans import RouteKeys, RoutingPlanKeys
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.keys.trunk_presets import TRUNK_PRESETS
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.meanings import meanings_of, sentence
from vosd.config.reader.fields import FromText, Keys
from vosd.config.reader.reading import reading_of, section_in_list, section_of

_INTRODUCTION: Final = """\
# Configuration

This page is generated: `python tests/manuals/configuration.py > docs/configuration.md`.

The switch reads one YAML file, `config/vosd.yaml` unless `-c FILE` or `VOSD_CONFIG` names another, and the
files that it includes. `vosd check` validates it without starting anything: every mistake is named with file,
line, key, value and what was expected, all at once. A running switch reads a changed file on `vosd reload` or
SIGHUP; a file with a mistake changes nothing.

- Every value is read as text and then converted: `0044`, `no`, `10:30` and `0.10` keep their digits.
- Unknown keys are errors. A key of a capability that does not exist yet is an error that says so.
- `include` takes files and patterns. Lists of several files are appended, mappings are merged, and the same
  value in two files is an error that names both.
- `templates` holds keys by name; accounts, gateways and phones with `template: NAME` get them, and their own win.
- `${NAME}` in a value is replaced by the environment variable; a missing one is an error. Use it for
  passwords, which appear in no message.
- Files that are read are relative to the file that names them, files that are written to the working directory.
- A program that makes such a file again writes it under another name and renames it (`mv`): each change of a definition
  loads the configuration again, and a file that is half written then stays in force until the next load.
- YAML anchors, aliases and `<<` merges work. Values may be quoted or not.
"""

_AFTER_PARAMETERS: Final = """\
These have no effect and get a warning, so that a parameter file of VOS3000 can be taken as it is:

"""

_RATES: Final = f"""\
Rates stand under `rates` of a group, or in its `rates_file`: UTF-8 CSV with comma, semicolon or tab, whose
first line names the columns above in any order. Empty cells count as left out. Other spellings are accepted:
{", ".join(f"`{alias}` for `{name}`" for alias, name in RateKeys.aliases.items())}.
"""


def reference() -> str:
    """Return the whole reference in Markdown."""
    section = partial(_section, {})
    parts = [
        _INTRODUCTION,
        *section("The top level", "", InstallationKeys),
        *section("Parameters", "parameters", ParameterKeys),
        _AFTER_PARAMETERS,
        _without_effect(),
        *_presets(),
        *_trunk_presets(),
        *section("Rate groups", "rate_groups[]", RateGroupKeys),
        *section("Rates", "rate_groups[].rates[]", RateKeys),
        _RATES,
        *section("Accounts", "accounts[]", AccountKeys),
        *section("Mapping gateways", "mapping_gateways[]", MappingGatewayKeys),
        *section("Routing gateways", "routing_gateways[]", RoutingGatewayKeys),
        *section("Phones", "phones[]", PhoneKeys),
        *section("Number lists", "number_lists[]", NumberListKeys),
        *section("Number pools", "number_pools[]", NumberPoolKeys),
        *section("Numbers of customers", "dids[]", DidKeys),
        *section("Groups of addresses", "address_groups[]", AddressGroupKeys),
        *section("Groups of gateways", "gateway_groups[]", GatewayGroupKeys),
        *section("Calendars", "calendars[]", CalendarKeys),
        *section("Period rates", "period_rates[]", PeriodRatesKeys),
        *section("Currencies", "currencies[]", CurrencyKeys),
        *section("Exchange rates", "exchange_rates[]", ExchangeRateKeys),
        *section("Destination classes", "destination_classes[]", DestinationClassKeys),
        *section("Routing plans", "routing_plans[]", RoutingPlanKeys),
        *section("Columns of a `routes_file`", "routing_plans[].routes_file", RouteKeys),
        *section("Reports at fixed times", "reports[]", ScheduledReportKeys),
    ]
    return "\n".join(parts)


def _section(told: dict[type[Keys], str], title: str, key: str, model: type[Keys]) -> Iterator[str]:
    """Yield one chapter, and behind it those of the sections inside.

    Keys of a model that a chapter before has are not repeated: ``told`` has the path of that one.
    """
    yield f"## {title}\n"
    yield f"{inspect.cleandoc(model.__doc__ or '')}\n"
    before = told.setdefault(model, key)
    if before != key:
        yield f"The keys are those of [`{before}`](#{re.sub(r'[^a-z_]', '', before)}).\n"
        return
    yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    inner = {}
    meanings = meanings_of(model)
    for name, field in model.by_key().items():
        nested, item = section_of(field.annotation), section_in_list(field.annotation)
        if nested is not None:
            inner[name] = nested
            yield f"| `{name}` | keys and values | | {sentence(nested.__doc__)} |"
        elif item is not None:
            inner[f"{name}[]"] = item
            yield f"| `{name}` | a list of keys and values | | {sentence(meanings[name] or item.__doc__)} |"
        else:
            yield _row(name, field, meanings[name])
    for name, meaning in model.apart.items():
        yield f"| `{name}` | | | {sentence(meaning)} |"
    yield ""
    for name, nested in inner.items():
        path = f"{key}.{name}" if key else name
        yield from _section(told, f"`{path}`", path, nested)


def _row(name: str, field: FieldInfo, meaning: str | None) -> str:
    is_list, reading = reading_of(field)
    expected = f"one or a list: {reading.expected}" if is_list else reading.expected
    return f"| `{name}` | {expected} | {_default(field, reading, is_list=is_list)} | {sentence(meaning)} |"


def _default(field: FieldInfo, reading: FromText, *, is_list: bool) -> str:
    if field.is_required():
        return "required"
    if field.default in {None, ""} or field.default_factory is not None:
        return ""
    values = field.default if is_list else (field.default,)
    return ", ".join(f"`{reading.write(value)}`" for value in values)


def _presets() -> Iterator[str]:
    for preset, defaults in PRESETS.items():
        yield f"## `preset: {preset.value}`\n"
        yield "Defaults that differ; what the file sets itself still wins."
        yield "Requests are sent again by `SS_SIP_RESEND_INTERVAL`, answers as `sip.timers` says.\n"
        yield "| key | default |\n| --- | --- |"
        for name, value in _flat(_as_one(defaults)):
            yield f"| `{name}` | `{value}` |"
        yield ""


def _trunk_presets() -> Iterator[str]:
    yield "## Presets of trunks\n"
    yield "Defaults of gateways with `preset`; the gateway's own keys win, key by key.\n"
    yield "| preset | keys of a mapping gateway | keys of a routing gateway |\n| --- | --- | --- |"
    for preset, defaults in TRUNK_PRESETS.items():
        shown = ("<br>".join(f"`{name}: {_listed(value)}`" for name, value in _flat(values)) for values in defaults)
        yield f"| `{preset.value}` | {' | '.join(shown)} |"
    yield ""


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _as_one(defaults: Defaults) -> Mapping[str, object]:
    return {
        **defaults.settings,
        "parameters": defaults.parameters,
        "mapping_gateways[]": defaults.mapping_gateways,
        "rate_groups[]": defaults.rate_groups,
    }


def _flat(values: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _without_effect() -> str:
    """Return the parameters that change nothing, grouped by the reason."""
    names: dict[str, list[str]] = {}
    for name, why in WITHOUT_EFFECT.items():
        names.setdefault(why, []).append(f"`{name}…`" if name.endswith("_") else f"`{name}`")
    return "".join(f"- {', '.join(those)}: {why}\n" for why, those in names.items())


if __name__ == "__main__":
    sys.stdout.write(reference())
