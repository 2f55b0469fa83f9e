"""``api.brand``: name and looks of the console, as customers and agents see it."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator

from vosd.config.reader.fields import ExpectedError, FromText, line_of_text, one_or_many
from vosd.config.reader.files import file_path
from vosd.config.reader.model import Keys
from vosd.engine.settings import BrandSettings

CONTRAST_MIN: Final = 4.5
"""Least contrast of text, WCAG 2.2 section 1.4.3: the colour carries white text and stands on white pages."""
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def contrast_with_white(colour: str) -> float:
    """Return the contrast of ``#rrggbb`` and white, by WCAG 2.2."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def readable_colour() -> FromText:
    """Read a colour on which white text can be read."""

    def read(text: str) -> str:
        if not _COLOUR.fullmatch(text):
            raise ValueError
        contrast = contrast_with_white(text)
        if contrast < CONTRAST_MIN:
            raise ExpectedError(
                f"a darker colour: its contrast with white is {contrast:.1f}, and 4.5 is needed to read it"
            )
        return text.lower()

    return FromText("a colour such as #1864ab, with a contrast of at least 4.5 with white", read)


class BrandKeys(Keys):
    """Name and looks of the console, as customers and agents see it, too. It is in the page before the log-in."""

    name: Annotated[str, line_of_text(1, 64)] = "vosd"
    """Name at the top of each page, in its title and at the log-in."""
    colour: Annotated[str | None, readable_colour()] = None
    """Colour of buttons and of the page that is open among the others. Default: blue."""
    logo_file: Annotated[Path | None, file_path()] = None
    """PNG, JPEG, WebP or SVG file of at most 256 KiB, shown 28 pixels high. Default: that of vosd."""
    pay_in: Annotated[tuple[Annotated[str, line_of_text(1, 200)], ...], BeforeValidator(one_or_many)] = ()
    """Lines that say to customers and agents how they pay in; ``{account}`` stands for the id of their account."""

    def settings(self) -> BrandSettings:
        """Return how the console looks."""
        return BrandSettings(
            self.name, self.colour, None if self.logo_file is None else str(self.logo_file), self.pay_in
        )
