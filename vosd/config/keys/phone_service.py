"""The program that is told which phones come and go."""

import re
from typing import Annotated, Final

from pydantic import model_validator

from vosd.config.keys.model import Keys
from vosd.config.reader.addresses import ip as ip_address
from vosd.config.reader.fields import FromText, KeyProblemError, whole
from vosd.engine.settings import PhoneServiceSettings

_PATH: Final = re.compile(r"/[!-~]{0,199}\Z")


def url_path() -> FromText:
    """Read the path of a URL, with a query or without."""

    def read(text: str) -> str:
        if not _PATH.match(text):
            raise ValueError
        return text

    return FromText("a path such as /phones, at most 200 characters without blanks", read)


class PhoneServiceKeys(Keys):
    """A program that is told by HTTP POST when a phone comes or goes. Default: none. A reload changes it."""

    ip: Annotated[str | None, ip_address()] = None
    """Where it listens."""
    port: Annotated[int, whole(1, 65_535)] = 80
    path: Annotated[str, url_path()] = "/"
    """What is posted to."""

    @model_validator(mode="after")
    def _has_an_address(self) -> "PhoneServiceKeys":
        if self.ip is None and self.model_fields_set:
            raise KeyProblemError("ip", "the address that the program listens on")
        return self

    def settings(self) -> PhoneServiceSettings | None:
        """Return where it is; None = nobody is told."""
        return None if self.ip is None else PhoneServiceSettings(self.ip, self.port, self.path)
