"""VOS3000's parameters, and the preset that sets other defaults."""

from typing import Final

from vosd.base.money import unit_of
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.keys.parameters import PARAMETERS, WITHOUT_EFFECT, ParameterKeys
from vosd.config.keys.presets import OWN_DEFAULTS, PRESETS, Defaults
from vosd.config.keys.trunk_presets import TRUNK_PRESETS, TrunkDefaults
from vosd.config.reader.document import Entry, Scalar, Section, written_in
from vosd.config.reader.reading import read_section

_PRESETS: Final = {preset.value: defaults for preset, defaults in PRESETS.items()}
_TRUNK_PRESETS: Final = {preset.value: defaults for preset, defaults in TRUNK_PRESETS.items()}


def defaults_of(section: Section) -> Defaults:
    """Return the defaults of a section's preset; a preset that does not exist is reported with the other keys."""
    return _PRESETS.get(section.text_of("preset").lower(), OWN_DEFAULTS)


def trunk_defaults_of(section: Section) -> TrunkDefaults | None:
    """Return the defaults of a trunk's preset; None for none, and for one that does not exist, which is reported."""
    return _TRUNK_PRESETS.get(section.text_of("preset").lower()) if "preset" in section.entries else None


def over_defaults(section: Section, defaults: Defaults) -> Section:
    """Return a rate group with the values of a preset where it has none of its own."""
    place = section.place
    laid_under = {
        name: Entry(place, Scalar(place, text, text, is_bare=True)) for name, text in defaults.rate_groups.items()
    }
    return Section(place, {**laid_under, **section.entries}) if laid_under else section


def take_parameters(document: Section, defaults: Defaults, problems: ProblemList) -> ParameterKeys:
    """Remove the parameters from the document and return them; of bad ones the defaults, so that checking can go on."""
    entry = document.entries.pop(PARAMETERS, None)
    section = Section(SourceLine("", 0))
    if entry is not None and isinstance(entry.node, Section):
        section = _effective(entry.node, problems)
    elif entry is not None and not entry.is_empty:
        problems.error(entry.place, PARAMETERS, "names and values of parameters")
    parameters = read_section(ParameterKeys, section, PARAMETERS, problems, defaults.parameters)
    if parameters is None:
        return ParameterKeys()
    _warn_of_parameters(parameters, section, problems)
    return parameters.model_copy(update={"fee_unit": max(parameters.fee_unit, unit_of(parameters.fee_precision))})


def _effective(parameters: Section, problems: ProblemList) -> Section:
    """Return the parameters without those that have no effect, with a warning for each of those."""
    kept = {}
    for name, entry in parameters.entries.items():
        why = why_without_effect(name)
        if why is None:
            kept[name] = entry
        else:
            expected = f"no such parameter, as it has no effect: {why}"
            problems.warning(entry.place, f"{PARAMETERS}.{name}", expected, written_in(entry.node))
    return Section(parameters.place, kept)


def why_without_effect(name: str) -> str | None:
    """Return why a parameter of VOS3000 changes nothing; None = it has an effect, or is none."""
    for known, why in WITHOUT_EFFECT.items():
        if name == known or (known.endswith("_") and name.startswith(known)):
            return why
    return None


def _warn_of_parameters(parameters: ParameterKeys, section: Section, problems: ProblemList) -> None:
    """Warn of settings that work, but probably not as intended."""

    def warn(name: str, expected: str, value: object) -> None:
        entry = section.entries.get(name)
        place = section.place if entry is None else entry.place
        problems.warning(place, f"{PARAMETERS}.{name}", expected, str(value))

    natural_unit = unit_of(parameters.fee_precision)
    if parameters.fee_unit != natural_unit:
        expected = f"{natural_unit:f}, as the fee precision is {parameters.fee_precision}: fees are rounded twice"
        if parameters.fee_unit < natural_unit:
            decimals = parameters.fee_precision
            expected = f"no less than {natural_unit:f}, as fees have {decimals} decimals, which is what counts then"
        warn("SERVER_BILLING_FEE_UNIT", expected, f"{parameters.fee_unit:f}")
    if not parameters.record_server_hang_up:
        expected = "1: calls that the switch ends are paid for but leave no CDR, so reports will not add up"
        warn("SERVER_BILLING_RECORD_SERVER_HANG_UP", expected, 0)
    if not parameters.record_zero_hold_time:
        expected = "1: calls that fail leave no CDR, so the reason cannot be found later"
        warn("SERVER_BILLING_RECORD_ZERO_HOLD_TIME", expected, 0)
    if parameters.session_ttl < parameters.session_min_se:
        expected = f"no less than SS_SIP_SESSION_MIN_SE, {parameters.session_min_se}, which is what counts then"
        warn("SS_SIP_SESSION_TTL", expected, parameters.session_ttl)
