"""Names of sounds, their files, and the announcements by end reason."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vosd.config.reader.fields import FromText, KeyProblemError, text_where
from vosd.trunks.announcements import ANNOUNCED, NO_SOUND

SOUNDS_MAX: Final = 500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NONE: Final = "none"
_REASONS: Final = {reason.text.lower(): reason.text for reason in ANNOUNCED}


def sound_name() -> FromText:
    """Read the name of a sound; ``none`` = silence where the installation has one."""

    def read(text: str) -> str:
        if text.lower() == _NONE:
            return NO_SOUND
        if not _NAME.match(text):
            raise ValueError
        return text

    return FromText("the name of a sound of media.sounds, or none", read, lambda name: name or _NONE)


def named_sound() -> FromText:
    """Read the name of a sound."""
    return text_where(lambda text: _NAME.match(text) and text.lower() != _NONE, "the name of a sound of media.sounds")


def sound_files() -> FromText:
    """Read the files of sounds by name."""

    def read(pairs: Mapping[str, object]) -> dict[str, Path]:
        found = {}
        for name, file in pairs.items():
            if not _NAME.match(name) or name.lower() == _NONE:
                raise KeyProblemError(name, "a name of letters, digits, dots, hyphens and underscores")
            if not isinstance(file, str) or not file or "\0" in file:
                raise KeyProblemError(name, "the path of a file")
            found[name] = Path(file)
        if len(found) > SOUNDS_MAX:
            raise ValueError
        return found

    return FromText(
        f"names and files of at most {SOUNDS_MAX} sounds, such as {{busy: sounds/busy.wav}}", read, kind=dict
    )


def sounds_by_reason() -> FromText:
    """Read the sound for each end reason."""
    sound = sound_name()

    def read(pairs: Mapping[str, object]) -> dict[str, str]:
        found = {}
        for written, name in pairs.items():
            reason = _REASONS.get(re.sub("[_-]", " ", written).lower())
            if reason is None:
                raise KeyProblemError(written, f"an end reason of calls without answer: {', '.join(_texts())}")
            if not isinstance(name, str):
                raise KeyProblemError(written, sound.expected)
            try:
                found[reason] = str(sound.read(name))
            except ValueError:
                raise KeyProblemError(written, sound.expected) from None
        return found

    return FromText("end reasons and sounds, such as {Busy: busy, No Answer: absent}", read, kind=dict)


def _texts() -> list[str]:
    return sorted(_REASONS.values())
