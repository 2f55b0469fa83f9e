"""A peer that wants proof: challenges requests, and checks the digests without ``vosd.sip``.

Strict as an honest registrar or proxy is: nonces are its own, each count is used once, the digest covers the method
and the URI of the very request.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message
from doubles.virtual.ua import transaction_of
from doubles.virtual.vendor import Script, Vendor
from doubles.virtual.wire import Wire

EVERYTHING: Final = frozenset({"INVITE", "BYE", "PRACK", "UPDATE", "INFO"})
"""What may have to be proven in a call."""

_PARAMETER: Final = re.compile(r'([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))')
_HASHES: Final[Mapping[str, Callable[[bytes], "hashlib._Hash"]]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass
class Guard:
    """Whose digests are accepted, and how the other requests are refused."""

    username: str = "vosd"
    password: str = "secret"
    realm: str = "vendor.example"
    algorithms: tuple[str, ...] = ("MD5",)
    qop: str | None = "auth"
    status: int = 401
    methods: frozenset[str] = frozenset({"INVITE"})
    """What has to be proven."""
    uses: int = 1_000_000
    """How often a nonce may be used before it is stale."""
    is_deaf: bool = False
    """Believes nothing."""
    then: "Guard | None" = None
    """Who stands in for it once it has not believed a proof."""
    challenged: int = 0
    passed: int = 0
    refusals: list[str] = field(default_factory=list)
    """Why proofs were not believed."""
    _nonces: dict[str, int] = field(default_factory=dict)
    """The highest nonce count received with each."""

    @property
    def header(self) -> str:
        """Where credentials have to stand."""
        return "Authorization" if self.status == 401 else "Proxy-Authorization"

    @property
    def on_duty(self) -> "Guard":
        """Who judges the next request."""
        return self if self.then is None or not self.refusals else self.then

    def passes(self, request: Message) -> bool:
        """Return whether a request may pass."""
        if request.method not in self.methods:
            return True
        why = self._objection(request)
        if why:
            self.refusals.append(why)
        elif why == "":
            self.passed += 1
            return True
        return False

    def challenge(self, *, is_stale: bool = False) -> tuple[str, ...]:
        """Return the lines of a challenge."""
        self.challenged += 1
        name = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
        lines = []
        for algorithm in self.algorithms:
            nonce = f"nonce-{algorithm}-{len(self._nonces) + 1}"
            self._nonces[nonce] = 0
            qop = "" if self.qop is None else f', qop="{self.qop}"'
            stale = ", stale=true" if is_stale else ""
            lines.append(
                f'{name}: Digest realm="{self.realm}", nonce="{nonce}", opaque="o", algorithm={algorithm}{qop}{stale}'
            )
        return tuple(lines)

    @property
    def was_stale(self) -> bool:
        """Whether the last objection was only to the age of the nonce."""
        return bool(self.refusals) and self.refusals[-1] == "stale"

    def _objection(self, request: Message) -> str | None:
        """Return why a proof is not believed, empty where it is; None where there is none."""
        mine = [value for value in request.every(self.header) if f'realm="{self.realm}"' in value]
        if not mine:
            return None
        said = {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(mine[0])}
        nonce = said.get("nonce", "")
        last = self._nonces.get(nonce, 0)
        number = int(said["nc"], 16) if "nc" in said else last + 1
        objections = {
            "deaf": self.is_deaf,
            "user": said.get("username") != self.username,
            "uri": said.get("uri") != request.start_line.split(" ")[1],
            "nonce": nonce not in self._nonces,
            "response": said.get("response") != self._expected(said, request),
            "count": number <= last,
            "stale": number > self.uses,
        }
        why = next((name for name, objects in objections.items() if objects), "")
        if not why:
            self._nonces[nonce] = number
        return why

    def _expected(self, said: Mapping[str, str], request: Message) -> str:
        algorithm = _HASHES[said.get("algorithm", "MD5")]

        def hashed(text: str) -> str:
            return algorithm(text.encode()).hexdigest()

        a1 = hashed(f"{self.username}:{self.realm}:{self.password}")
        a2 = hashed(f"{request.method}:{said['uri']}")
        if "qop" not in said:
            return hashed(f"{a1}:{said['nonce']}:{a2}")
        return hashed(f"{a1}:{said['nonce']}:{said['nc']}:{said['cnonce']}:{said['qop']}:{a2}")


class GuardedVendor(Vendor):
    """A vendor behind guards: each lets a request through to the next."""

    def __init__(
        self, wire: Wire, address: Address, switch: Address, *guards: Guard, script: Script | None = None
    ) -> None:
        super().__init__(wire, address, switch, script)
        self.guards = guards
        self._let_in: set[tuple[str, str]] = set()
        """Requests that have passed, by transaction: their repetitions prove nothing anew."""

    def take_request(self, request: Message) -> None:
        """Challenge what has to be proven, and take the rest."""
        key = transaction_of(request)
        for guard in self.guards if key not in self._let_in else ():
            if not guard.on_duty.passes(request):
                on_duty = guard.on_duty
                headers = on_duty.challenge(is_stale=on_duty.was_stale)
                self.reply(request, on_duty.status, tag="guard", headers=headers)
                return
        self._let_in.add(key)
        super().take_request(request)
