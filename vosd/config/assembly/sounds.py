"""Sounds: their files read and checked at each load, those that have not changed only once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.catalogue.source import Origin
from vosd.config.reader.includes import read_bytes
from vosd.config.reader.texts import FileStamp, stamp_of
from vosd.media.sounds import (
    ALL_BYTES_MAX,
    ANNOUNCEMENT_MS_MAX,
    FILE_BYTES_MAX,
    READY_MADE,
    WARNING_MS_MAX,
    EncodedSound,
    Sound,
    encoded_frames,
    encoded_wav,
)
from vosd.media.wav import BadSoundError
from vosd.trunks.announcements import Announcements
from vosd.trunks.media import MediaEngine, MediaParameters

SECTION: Final = "media.sounds"
_WAV: Final = ".wav"


_known: Final[WeakValueDictionary[tuple[str, tuple[tuple[Path, FileStamp], ...]], Sound]] = WeakValueDictionary()
"""Sounds in use, by the files that each was read from."""


def read_sounds(files: Mapping[str, Path], origin: Origin, problems: ProblemList) -> Mapping[str, Sound]:
    """Return the sounds of the installation; one that cannot be played is reported."""
    sounds: dict[str, Sound] = {}
    size = 0
    for name, file in files.items():
        key = f"{SECTION}.{name}"
        place = origin.place_of(key)
        sound = _sound(name, Path(place.file).absolute().parent / file, place, key, problems)
        sounds[name] = sound or Sound(name, {})  # keys that name it are not reported as well
        size += sounds[name].size
        if size > ALL_BYTES_MAX:  # the others are not read: all of them may be more than the memory has
            expected = f"sounds of {ALL_BYTES_MAX >> 20} MB at most together, in all their codecs"
            problems.error(origin.place_of(SECTION), SECTION, expected)
            return {each: sounds.get(each) or Sound(each, {}) for each in files}
    return sounds


def files_of_sound(file: Path) -> list[Path]:
    """Return the files of a sound: the one that is named and, beside a WAV file, those of other codecs."""
    if file.suffix.lower() != _WAV:
        return [file]
    return [file, *(found for ending in READY_MADE if (found := file.with_suffix(f".{ending}")).is_file())]


def _sound(name: str, file: Path, place: SourceLine, key: str, problems: ProblemList) -> Sound | None:
    if file.suffix.lower() != _WAV and file.suffix[1:].lower() not in READY_MADE:
        problems.error(place, key, f"a file that ends in .wav, .{', .'.join(READY_MADE)}", str(file))
        return None
    try:
        stamps = tuple((path, stamp_of(path.stat())) for path in files_of_sound(file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        problems.error(place, key, f"a readable file: {(reason or str(error)).lower()}", str(file))
        return None
    known = _known.get((name, stamps))
    if known is not None:
        return known
    encodings: list[EncodedSound] = []
    for path, _ in stamps:
        content = read_bytes(path, place, key, problems, FILE_BYTES_MAX)
        if content is None:
            return None
        try:
            encodings += _encodings(path, content)
        except BadSoundError as error:
            problems.error(place, key, str(error), str(path))
            return None
    sound = _known[name, stamps] = Sound(name, {each.codec.name.lower(): each for each in encodings}, str(file))
    return sound


def _encodings(path: Path, content: bytes) -> list[EncodedSound]:
    codec = READY_MADE.get(path.suffix[1:].lower())
    return encoded_wav(content) if codec is None else [encoded_frames(content, codec)]


def check_announcements(
    wanted: Announcements,
    sounds: Mapping[str, Sound],
    place_of: Callable[[str], SourceLine],
    label: str,
    problems: ProblemList,
) -> None:
    """Report announcements that name no sound, or one that is too long; ``label`` ends in a dot, or is empty."""
    for reason, name in wanted.items():
        if not name:
            continue
        key = f"{label}announcements.{reason}"
        found = check_sound(name, sounds, place_of("announcements"), key, problems)
        if found is not None and found.duration_ms > ANNOUNCEMENT_MS_MAX:
            expected = f"a sound of at most {ANNOUNCEMENT_MS_MAX // 1_000} seconds"
            problems.error(place_of("announcements"), key, expected, f"{name}, {found.duration_ms // 1_000} seconds")


def check_sound(
    name: str, sounds: Mapping[str, Sound], place: SourceLine, key: str, problems: ProblemList
) -> Sound | None:
    """Return a sound that a key names; report a name that there is none of."""
    found = sounds.get(name)
    if found is None:
        near = suggestion(name, [*sounds]) if sounds else "there is none yet"
        problems.error(place, key, f"the name of a sound of {SECTION}; {near}", name)
    return found


def check_played(parameters: CallParameters, origin: Origin, problems: ProblemList) -> None:
    """Report sounds of the installation that cannot be played."""
    media = parameters.media

    def place_of(key: str) -> SourceLine:
        return origin.place_of(f"media.{key}")

    check_announcements(media.announcements, parameters.sounds, place_of, "media.", problems)
    for name, sound in (("music_on_hold", media.music_on_hold), ("ring_back", media.ring_back)):
        if sound:
            check_sound(sound, parameters.sounds, place_of(name), f"media.{name}", problems)
    if warning := media.end_warning_sound:
        key = "end_warning_sound"
        found = check_sound(warning, parameters.sounds, place_of(key), f"media.{key}", problems)
        if found is not None and found.duration_ms > WARNING_MS_MAX:
            expected = f"a sound of at most {WARNING_MS_MAX // 1_000} seconds"
            problems.error(place_of(key), f"media.{key}", expected, f"{warning}, {found.duration_ms // 1_000} seconds")
    missing = missing_player(media)
    for name, is_given in (("announcements", media.announcements), ("music_on_hold", media.music_on_hold)):
        if missing is not None and is_given:
            problems.warning(place_of(name), f"media.{name}", missing)


def missing_player(installation: MediaParameters) -> str | None:
    """Return what was expected of an installation that plays nothing; None for one that does."""
    if installation.engine is MediaEngine.NONE:
        return "media.engine relay as well: without it nothing is played"
    return None
