"""Second factor of people: codes by time (RFC 6238), recovery codes, and the key that encrypts their secrets at rest.

The key is a file of ``state_dir``, so that a copy of the database alone tells no codes.
"""

import base64
import hmac
import os
import secrets
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vosd.base.errors import VosError
from vosd.processes.whole_file import sync_file

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

STEP_MS: Final = 30_000
DIGITS: Final = 6
_DRIFT_STEPS: Final = 1
"""Steps by which the clock of the telephone may be off (RFC 6238 section 5.2)."""
_SECRET_BYTES: Final = 20
_RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
_KEY_FILE: Final = "people.key"


class SealedElsewhereError(VosError):
    """The secret was encrypted by another key, or the key is damaged."""


def new_secret() -> bytes:
    """Return a secret of the length of the hash (RFC 4226 section 4)."""
    return secrets.token_bytes(_SECRET_BYTES)


def written(secret: bytes) -> str:
    """Return a secret as people type it into their telephone."""
    return base64.b32encode(secret).decode()


def uri(secret: bytes, name: str) -> str:
    """Return a secret as the URI that telephones read from a picture."""
    return f"otpauth://totp/vosd:{quote(name)}?secret={written(secret)}&issuer=vosd"


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), sha1)
    place = digest[-1] & 15
    number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, now_ms: int, after: int | None) -> int | None:
    """Return the step that a code is of; None where it is wrong, or not of a step behind the one that was used last."""
    if not code.isascii():
        return None
    present = now_ms // STEP_MS
    for step in range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1):
        if (after is None or step > after) and hmac.compare_digest(code_at(secret, step), code):
            return step
    return None


def is_used(secret: bytes, code: str, now_ms: int, last: int | None) -> bool:
    """Return whether a code is the one that was used last, and would be right if it were not."""
    return last is not None and step_of(secret, code, now_ms, last - 1) == last


def recovery_codes() -> list[str]:
    """Return new codes, each of which replaces one code by time, once."""
    plain = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(_RECOVERY_CODES)]
    return ["-".join(each[place : place + 4] for place in range(0, len(each), 4)) for each in plain]


def digest_of_recovery(code: str) -> str:
    """Return the digest of a recovery code; with 80 random bits it needs no slow one."""
    return sha256(code.strip().lower().replace("-", "").encode("utf-8", "surrogatepass")).hexdigest()


def sealed(secret: bytes, state_dir: Path) -> str:
    """Return a secret encrypted by the key of a state directory, which is made at the first time.

    Raises:
        SealedElsewhereError: that key is damaged.
    """
    return _cipher(state_dir).encrypt(secret).decode()


def opened(text: str, state_dir: Path) -> bytes:
    """Return what ``sealed`` has encrypted; raises SealedElsewhereError where it was encrypted by another key."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(state_dir).decrypt(text.encode())
    except InvalidToken as error:
        message = f"the second factor was encrypted by another {_KEY_FILE} than that of {state_dir}: put that file back"
        raise SealedElsewhereError(f"{message}, or vosd user reset NAME") from error


def _cipher(state_dir: Path) -> "Fernet":
    """Return what encrypts by the key of a state directory; raises SealedElsewhereError where that is damaged."""
    from cryptography.fernet import Fernet

    try:
        return Fernet(_key(state_dir))
    except ValueError as error:  # it has not the length of a key: a power loss has emptied it, or it was cut
        message = f"{state_dir / _KEY_FILE} is damaged: put your copy of it back; without one, remove it"
        raise SealedElsewhereError(f"{message}, and vosd user reset NAME") from error


def _key(state_dir: Path) -> bytes:
    from cryptography.fernet import Fernet

    path = state_dir / _KEY_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        begun = path.with_suffix(f".{secrets.token_hex(4)}")
        begun.touch(mode=0o600)
        with begun.open("wb") as file:
            file.write(Fernet.generate_key())
            sync_file(file)
        try:
            os.link(begun, path)  # two at once: the first one's key holds
        except FileExistsError:
            pass
        finally:
            begun.unlink()
        return path.read_bytes()
