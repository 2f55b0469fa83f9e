"""``phone_service``: the program that is notified of registrations of phones."""

import re
from typing import Annotated, Final

from pydantic import model_validator

from vosd.config.reader.addresses import ip as ip_address
from vosd.config.reader.fields import FromText, KeyProblemError, whole
from vosd.config.reader.model import Keys
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
    """A program that is notified by HTTP POST when phones register or expire. Default: none. A reload changes it."""

    ip: Annotated[str | None, ip_address()] = None
    """Address that the program listens on."""
    port: Annotated[int, whole(1, 65_535)] = 80
    path: Annotated[str, url_path()] = "/"
    """Path of the URL."""

    @model_validator(mode="after")
    def _has_an_address(self) -> "PhoneServiceKeys":
        if self.ip is None and self.model_fields_set:
            raise KeyProblemError("ip", "the address that the program listens on")
        return self

    def settings(self) -> PhoneServiceSettings | None:
        """Return its address and path; None = there is no such program."""
        return None if self.ip is None else PhoneServiceSettings(self.ip, self.port, self.path)
