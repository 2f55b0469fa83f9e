"""Passwords of people: argon2id with the parameters that OWASP recommends, 19 MiB and two passes.

It takes 50 to 100 ms of a core, so it is computed in a thread; the library releases the interpreter meanwhile.
"""

import asyncio
import os
from typing import Final

from vosd.admin.office.errors import OrderError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
_DIFFERENT_MIN: Final = 5
_MEMORY_KIB: Final = 19_456
_PASSES: Final = 2
_OF_NO_PERSON: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$JliHHN3pjl8n/BIjBhzSwQ$hB4UbJ0rw6YxEgfW/AXnCRUpFKylU1GHK+cLM/dg52o"
)
"""Compared where there is no password, so that the time of an answer does not say which names exist."""


def check_password(password: str, name: str) -> None:
    """Check that a new password is no bad one.

    Raises:
        OrderError: it is too short or too long, or it is the name or one sign again and again.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise OrderError("password", f"has {LENGTH_MIN} to {LENGTH_MAX} characters")
    if len(set(password)) < _DIFFERENT_MIN or name.lower() in password.lower():
        raise OrderError("password", "is too easy to guess", "take several words, without your name")


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
