"""The base of the model of every section."""

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from vosd.config.reader.renamed import Renamed


class Keys(BaseModel):
    """The keys of one mapping: unknown ones are errors, values are converted from text."""

    # A model is built when a file has its section: to build them all takes a fifth of a start.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    not_built: ClassVar[frozenset[str]] = frozenset()
    """Keys of capabilities that do not exist yet: writing one is an error that says so."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other spellings, and the key that each stands for."""
    names_elsewhere: ClassVar[Renamed] = {}
    """Names of VOS3000 for keys of ours: none is a key, but the mistake names ours."""
    apart: ClassVar[Mapping[str, str]] = {}
    """Keys that are read before the mapping is validated, with their documentation."""

    @property
    def is_given(self) -> bool:
        """Whether any key of it is written."""
        return bool(self.model_fields_set)

    @classmethod
    @cache
    def by_key(cls) -> Mapping[str, FieldInfo]:
        """Return the fields by the key that the file has for each."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
