"""Digest authentication of a phone (RFC 7616), written independently of the code that it tests."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from doubles.sockets.peer import Message

CHALLENGES: Final = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}
HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}

_PARAMETER: Final = re.compile(r'([A-Za-z]+)=(?:"([^"]*)"|([^",\s]+))')


class Login(NamedTuple):
    """A user name and what the user believes to be its password."""

    username: str
    password: str
    algorithm: str = "MD5"
    """Algorithm of the challenge that is answered."""
    has_qop: bool = True
    """False: without qop, as before RFC 2617."""


class Question(NamedTuple):
    """A challenge."""

    answered_in: str
    """Name of the header for the answer."""
    parameters: dict[str, str]

    @property
    def is_stale(self) -> bool:
        """Whether only the nonce was rejected."""
        return self.parameters.get("stale") == "true"


def questions(response: Message) -> list[Question]:
    """Return the challenges of a response, in order."""
    found = []
    for header, answered_in in CHALLENGES.items():
        for value in response.every(header):
            assert value.startswith("Digest "), value
            parameters = {name: text or word for name, text, word in _PARAMETER.findall(value)}
            found.append(Question(answered_in, parameters))
    return found


def answer(
    question: Question, login: Login, method: str, uri: str, count: int = 1, lies: Mapping[str, str] | None = None
) -> str:
    """Return the header line that answers a challenge; ``lies`` replace parameters."""

    def hashed(text: str) -> str:
        return HASHES[login.algorithm](text.encode()).hexdigest()

    realm, nonce = question.parameters["realm"], question.parameters["nonce"]
    said = {"username": login.username, "realm": realm, "nonce": nonce, "uri": uri, "algorithm": login.algorithm}
    ha1 = hashed(f"{login.username}:{realm}:{login.password}")
    ha2 = hashed(f"{method}:{uri}")
    if login.has_qop:
        said |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": "c0ffee"}
        said["response"] = hashed(f"{ha1}:{nonce}:{said['nc']}:{said['cnonce']}:auth:{ha2}")
    else:
        said["response"] = hashed(f"{ha1}:{nonce}:{ha2}")
    said |= lies or {}
    bare = {"algorithm", "qop", "nc"}
    written = [f"{name}={text}" if name in bare else f'{name}="{text}"' for name, text in said.items()]
    return f"{question.answered_in}: Digest {', '.join(written)}"


def answer_to(response: Message, login: Login, method: str, uri: str, count: int = 1) -> str | None:
    """Return the answer to the challenge for the login's algorithm; None if there is none."""
    fitting = [each for each in questions(response) if each.parameters.get("algorithm", "MD5") == login.algorithm]
    return answer(fitting[0], login, method, uri, count) if fitting else None
