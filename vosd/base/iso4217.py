"""The codes of currencies, as far as they are in use or were until a few years ago, and their decimals (ISO 4217)."""

from decimal import Decimal
from typing import Final

_WRITTEN: Final = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BYR BZD CAD
CDF CHE CHF CHW CLF CLP CNH CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT
LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD
OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC
SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VEF VES VND VUV WST XAF XAG XAU
XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA YER ZAR ZMW ZWG ZWL
"""
CODES: Final = frozenset(_WRITTEN.split())
_MOSTLY: Final = Decimal("0.01")
_OTHERS: Final = {
    "1": "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    "0.001": "BHD IQD JOD KWD LYD OMR TND",
    "0.0001": "CLF UYW",
}
_UNITS: Final = {code: Decimal(unit) for unit, written in _OTHERS.items() for code in written.split()}


def unit_of_currency(code: str) -> Decimal:
    """Return the smallest amount that a bank transfers in a currency: 0.01 where ISO 4217 does not have it."""
    return _UNITS.get(code, _MOSTLY)
