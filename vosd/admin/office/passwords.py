"""Passwords of people, and new ones of phones and trunks.

Those of people are hashed by argon2id with the parameters that OWASP recommends, 19 MiB and two passes. It takes 50 to
100 ms of a core, so it is computed in a thread; the library releases the interpreter meanwhile.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from vosd.admin.office.principal import OrderError
from vosd.base.passwords import LENGTH_MIN, weakness
from vosd.catalogue.problems import DefinitionProblem, SourceLine

LENGTH_MAX: Final = 256
HIDDEN: Final = "(hidden)"
"""In place of a password."""
CHANGED: Final = "(changed)"
"""In place of a password that differs from the one before it."""
_WITH_PASSWORD: Final[Mapping[str, str]] = {"phones": "", "mapping_gateways": "auth", "routing_gateways": "dynamic"}
"""Kinds of objects that prove who they are, and the key that has their password; empty = they have it themselves."""
_MEMORY_KIB: Final = 19_456
_PASSES: Final = 2
_OF_NO_PERSON: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$JliHHN3pjl8n/BIjBhzSwQ$hB4UbJ0rw6YxEgfW/AXnCRUpFKylU1GHK+cLM/dg52o"
)
"""Compared where there is no password, so that the time of an answer does not say which names exist."""


def check_password(password: str, name: str) -> None:
    """Check that a new password is no bad one.

    Raises:
        OrderError: it is too short or too long, or it is easy to guess.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise OrderError("password", f"has {LENGTH_MIN} to {LENGTH_MAX} characters")
    if weakness(password, [name]):
        raise OrderError("password", "is too easy to guess", "take several words, without your name")


class WeakPassword(NamedTuple):
    """New password of a phone or trunk that is easy to guess."""

    kind: str
    name: str
    key: str
    """Place of the password in the keys of the object."""
    better: str
    """Rest of a sentence: what the password should have."""

    def error(self) -> OrderError:
        """Return the refusal of an order with no other mistake."""
        said = f"of {self.kind} {self.name} is easy to guess: it should have {self.better}"
        return OrderError(f"keys.{self.key}", said, "take a random one: only the other side has to know it")

    def problem(self, source: SourceLine) -> DefinitionProblem:
        """Return the mistake beside others of the configuration."""
        expected = f"one that is harder to guess: it should have {self.better}"
        return DefinitionProblem(*source, f"{self.kind}[{self.name}].{self.key}", None, expected)


def weak_password(kind: str, name: str, keys: Any, before: str | None) -> WeakPassword | None:
    """Return the password by which a phone or trunk proves who it is if it is a bad one, and was not there before."""
    if not isinstance(keys, dict) or kind not in _WITH_PASSWORD:
        return None
    section = _WITH_PASSWORD[kind]
    new: Any = keys.get(section) if section else keys
    old: Any = {} if before is None else json.loads(before)
    old = old.get(section) if section else old
    password = new.get("password") if isinstance(new, dict) else None
    was = old.get("password") if isinstance(old, dict) else None
    if not isinstance(password, str) or password in {was, HIDDEN} or "${" in password:
        return None
    better = weakness(password, [name, str(new.get("username", ""))])
    return WeakPassword(kind, name, ".".join(filter(None, (section, "password"))), better) if better else None


async def hashed(password: str) -> str:
    """Return the hash of a password in PHC form."""
    return await asyncio.to_thread(_hashed, password.encode("utf-8", "surrogatepass"))


async def matches(password: str, phc: str | None) -> bool:
    """Return whether a password is the one of a hash; of None after the same time False."""
    is_equal = await asyncio.to_thread(_matches, password.encode("utf-8", "surrogatepass"), phc or _OF_NO_PERSON)
    return is_equal and phc is not None


def _hashed(password: bytes) -> str:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(
        salt=os.urandom(16), length=32, iterations=_PASSES, lanes=1, memory_cost=_MEMORY_KIB
    ).derive_phc_encoded(password)


def _matches(password: bytes, phc: str) -> bool:
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        Argon2id.verify_phc_encoded(password, phc)
    except InvalidKey:
        return False
    return True
