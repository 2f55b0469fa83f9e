"""Countries, and the names of programs that telephones send."""

from typing import Annotated, Final

from vosd.config.reader.fields import ONE_OR_MANY, ExpectedError, FromText

_MEANT: Final = {"UK": "GB", "EL": "GR"}
"""Codes that people write for others."""
_AGENT_CHARACTERS: Final = range(2, 65)


_WRITTEN: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
CODES: Final = frozenset(_WRITTEN.split())


def country() -> FromText:
    """Read the code of a country, in any case."""

    def read(text: str) -> str:
        code = text.upper()
        if code in _MEANT:
            raise ExpectedError(f"a country by ISO 3166: did you mean {_MEANT[code]}?")
        if code not in CODES:
            raise ValueError
        return code

    return FromText("a country by the two letters of ISO 3166, such as DE", read)


Countries = Annotated[frozenset[Annotated[str, country()]], ONE_OR_MANY]
"""Value of a key with countries, one or a list."""


def part_of_agent() -> FromText:
    """Read a part of a User-Agent, and return it in lower case."""

    def read(text: str) -> str:
        if len(text) not in _AGENT_CHARACTERS or not text.isprintable():
            raise ValueError
        return text.lower()

    return FromText("2 to 64 printable characters", read)
