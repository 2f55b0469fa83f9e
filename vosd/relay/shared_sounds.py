"""Sounds in memory that the switch and its relay workers share: written once, whatever the number of listeners."""

import os
from collections.abc import Collection
from typing import Final

from vosd.media.sounds import EncodedSound
from vosd.relay.link import WorkerLink
from vosd.relay.protocol import DropSound, LoadSound

_NAME: Final = "vosd-sound"


class SharedSounds:
    """Sounds by their digests, and the workers that have them."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._known: dict[WorkerLink, set[str]] = {}

    def make_ready(self, sound: EncodedSound, link: WorkerLink) -> None:
        """Have a worker know a sound.

        Raises:
            OSError: there is no memory for it.
        """
        if sound.digest not in self._descriptors:
            descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC)
            try:
                _write(descriptor, sound.content)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptors[sound.digest], self._sizes[sound.digest] = descriptor, len(sound.content)
        self.is_known(sound.digest, link)

    def is_known(self, digest: str, link: WorkerLink) -> bool:
        """Have a worker know a sound that was played before; False = it was given up meanwhile."""
        descriptor = self._descriptors.get(digest)
        if descriptor is None:
            return False
        known = self._known.setdefault(link, set())
        if digest not in known:
            known.add(digest)
            link.order(LoadSound(digest, self._sizes[digest]), [descriptor])
        return True

    def died(self, link: WorkerLink) -> None:
        """Note that another worker has taken the place of one, and knows no sounds."""
        self._known.pop(link, None)

    def retain(self, digests: Collection[str]) -> None:
        """Give all sounds up but these; ports that play one of them go on."""
        for digest in [each for each in self._descriptors if each not in digests]:
            for link, known in self._known.items():
                if digest in known:
                    known.discard(digest)
                    link.order(DropSound(digest))
                    link.flush()
            os.close(self._descriptors.pop(digest))
            del self._sizes[digest]

    def close(self) -> None:
        """Close all; workers keep what they have."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
        self._known.clear()


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
