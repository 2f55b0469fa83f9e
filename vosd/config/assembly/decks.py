"""Rate groups with ``deck: true``: their rates are those of a file with the rows of the deck (ADR 59)."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from vosd.catalogue.decks import DeckVersion, place_of_deck
from vosd.catalogue.problems import DefinitionProblem, ProblemList
from vosd.config.assembly.inventory import label_of
from vosd.config.reader.document import Entry, Scalar, Section, YamlList, written_in
from vosd.config.reader.fields import switch

DECK: Final = "deck"
_OWN_RATES: Final = ("rates", "rates_file")
_SWITCH: Final = switch()


def deck_names(groups: Iterable[Section]) -> frozenset[str]:
    """Return the names of the rate groups that take their rates from a deck."""
    return frozenset(group.text_of("name") for group in groups if _is_deck(group.entries.get(DECK)))


def with_decks(groups: Iterable[Section], files: Mapping[str, Path], problems: ProblemList) -> list[Section]:
    """Return rate groups whose decks are files with rates; ``files`` are those with the rows of decks, by group."""
    return [
        _with_deck(group, files, label_of(group, "rate_groups", "name", index), problems)
        for index, group in enumerate(groups)
    ]


def naming_decks(found: Iterable[DefinitionProblem], names: Mapping[Path, str]) -> Iterator[DefinitionProblem]:
    """Yield problems that name decks instead of the files with their rows; the lines are those of an export."""
    by_file = {str(path.absolute()): name for path, name in names.items()}
    return (each._replace(file=by_file.get(each.file, each.file)) for each in found)


def names_of_decks(decks: Iterable[DeckVersion], files: Mapping[str, Path]) -> dict[Path, str]:
    """Return what messages call the files with the rows of decks; ``files`` are by rate group."""
    return {files[deck.group]: place_of_deck(deck).file for deck in decks if deck.group in files}


def has_own_rates(group: Section) -> bool:
    """Return whether the rates of a group are in the configuration, and not in a deck."""
    return DECK not in group.entries and any(key in group.entries for key in _OWN_RATES)


def source_of_rates(group: Section) -> str:
    """Return the key that says where the rates of a group are, of one that ``with_decks`` has returned."""
    return next((key for key in ("derive", DECK, "rates_file") if key in group.entries), "rates")


def _with_deck(group: Section, files: Mapping[str, Path], label: str, problems: ProblemList) -> Section:
    deck = group.entries.get(DECK)
    if deck is None:
        return group
    others = {name: entry for name, entry in group.entries.items() if name != DECK}
    is_deck = _is_deck(deck)
    if is_deck is None:
        problems.error(deck.place, f"{label}.{DECK}", _SWITCH.expected, written_in(deck.node))
    elif is_deck and any(key in others for key in _OWN_RATES):
        problems.error(deck.place, f"{label}.{DECK}", "either deck, rates or rates_file")
        is_deck = False
    if is_deck is False:
        return Section(group.place, others)
    name = group.text_of("name")
    file = files.get(name)
    if file is not None:
        text = str(file.absolute())
        rates = {"rates_file": Entry(deck.place, Scalar(deck.place, text, text, is_bare=True))}
    else:
        rates = {"rates": Entry(deck.place, YamlList(deck.place, []))}
        if is_deck:
            expected = f"a deck, made by vosd rates import {name} FILE; until then calls with this group are refused"
            problems.warning(deck.place, f"{label}.{DECK}", expected)
    return Section(group.place, {**others, DECK: deck, **rates})


def _is_deck(entry: Entry | None) -> bool | None:
    """Return whether a group takes its rates from a deck; None where the value is neither yes nor no."""
    if entry is None:
        return False
    if not isinstance(entry.node, Scalar):
        return None
    try:
        return bool(_SWITCH.read(entry.node.text))
    except ValueError:
        return None
