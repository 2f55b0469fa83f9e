"""Objects of the configuration files as they are written, beside those of the database."""

from vosd.admin.office.ports import WrittenObject
from vosd.catalogue.stored_objects import KINDS
from vosd.config.reader.document import Section
from vosd.config.stored_text import plain_keys


def written_object(kind: str, section: Section) -> WrittenObject:
    """Return an object with its keys as the database would have them: without its name, variables unread."""
    keys = plain_keys(section)
    keys.pop(KINDS[kind] or "", None)
    return WrittenObject(str(section.place), keys)
