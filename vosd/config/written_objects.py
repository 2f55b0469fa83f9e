"""Objects of the configuration files as they are written, beside those of the database."""

from collections.abc import Mapping

from vosd.admin.office.ports import WrittenObject
from vosd.config.reader.document import Section
from vosd.config.stored_text import KINDS, plain_keys


def written_object(kind: str, section: Section) -> WrittenObject:
    """Return an object with its keys as the database would have them: without its name, variables unread."""
    keys = plain_keys(section)
    keys.pop(KINDS[kind] or "", None)
    return WrittenObject(str(section.place), keys)


def written_objects(kind: str, sections: Mapping[str, Section]) -> dict[str, WrittenObject]:
    """Return the objects of a kind by name."""
    return {name: written_object(kind, section) for name, section in sections.items()}
