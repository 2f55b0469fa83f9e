"""Announcements of trunks and phones where nothing plays them."""

from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.config.assembly.named_first import named_first
from vosd.config.assembly.remembered import ReadItems
from vosd.config.assembly.sounds import missing_player
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.media import MediaParameters
from vosd.trunks.phone import Phone


def warn_of_missing_player(media: MediaParameters, items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of trunks and phones with announcements that are not played."""
    missing = missing_player(media)
    if missing is None:
        return
    found = named_first(
        [
            ("announcements", items.chosen("mapping_gateways", _is_announcing)),
            ("announcements", items.chosen("phones", _phone_is_announcing)),
        ]
    )
    if found is not None:
        expected = f"{missing}; those of {found.named}{found.others} are not played"
        problems.warning(found.place, found.key, expected)


def _is_announcing(definition: Definition[MappingGateway]) -> bool:
    return bool(definition.value.dialect.announcements)


def _phone_is_announcing(definition: Definition[Phone]) -> bool:
    return bool(definition.value.gateway.dialect.announcements)
