"""The parameters of VOS3000 as they are in force, for people: value, source and meaning of each."""

from vosd.admin.office.ports import ParameterSheet
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly.parameters import defaults_of, take_parameters, why_without_effect
from vosd.config.keys.parameters import PARAMETERS, ParameterKeys
from vosd.config.keys.presets import PRESETS
from vosd.config.meanings import meanings_of, sentence
from vosd.config.reader.document import Section, written_in
from vosd.config.reader.fields import FromText
from vosd.config.stored_text import version_at


def parameter_sheets(document: Section, problems: ProblemList) -> list[ParameterSheet]:
    """Take the parameters out of a document and return them; mistakes are added to ``problems``."""
    entry = document.entries.get(PARAMETERS)
    written = entry.node.entries if entry is not None and isinstance(entry.node, Section) else {}
    places = {ParameterKeys.aliases.get(name, name): each.place for name, each in written.items()}
    defaults = defaults_of(document)
    parameters = take_parameters(document, defaults, problems)
    preset = next((f" of preset {each.value}" for each, values in PRESETS.items() if values is defaults), "")
    meanings = meanings_of(ParameterKeys)
    found = []
    for field, info in ParameterKeys.model_fields.items():
        name = info.alias or field
        reading = next(each for each in info.metadata if isinstance(each, FromText))
        source = f"default{preset if name in defaults.parameters else ''}"
        if name in places:
            source = _source(places[name])
        value = reading.write(getattr(parameters, field))
        found.append(ParameterSheet(name, value, source, sentence(meanings[name])))
    for name, each in written.items():
        why = why_without_effect(name)
        if why is not None:
            value = written_in(each.node) or ""
            found.append(ParameterSheet(name, value, _source(each.place), f"No effect: {why}."))
    return found


def _source(place: SourceLine) -> str:
    version = version_at(place)
    return str(place) if version is None else f"database, version {version}"
