"""Codes by time as RFC 6238 has them, once each, and secrets that are encrypted at rest."""

import stat
from pathlib import Path

import pytest

from vosd.admin.office import passwords
from vosd.admin.office.passwords import check_password, hashed, matches
from vosd.admin.office.principal import OrderError
from vosd.admin.office.second_factor import (
    SealedElsewhereError,
    code_at,
    digest_of_recovery,
    is_used,
    opened,
    recovery_codes,
    sealed,
    step_of,
    uri,
)

SECRET = b"12345678901234567890"
"""Secret of the vectors of RFC 6238, appendix B."""


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code
    assert step_of(SECRET, code, 1_000 * seconds, None) == seconds // 30


def test_a_code_holds_one_step_before_and_behind_and_never_again() -> None:
    now, step = 1_790_000_000_000, 1_790_000_000_000 // 30_000
    for off, is_right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = step_of(SECRET, code_at(SECRET, step + off), now, None)
        assert found == (step + off if is_right else None)
    assert step_of(SECRET, code_at(SECRET, step), now, after=step) is None
    assert step_of(SECRET, code_at(SECRET, step - 1), now, after=step) is None, "nor an earlier one"
    assert step_of(SECRET, code_at(SECRET, step + 1), now, after=step) == step + 1
    assert [is_used(SECRET, code_at(SECRET, each), now, step) for each in (step - 1, step, step + 1)] == [
        False, True, False,
    ]  # fmt: skip
    for wrong in ("", "12345", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", code_at(SECRET, step) + "0"):
        assert step_of(SECRET, wrong, now, None) is None


def test_a_secret_is_encrypted_by_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    text = sealed(SECRET, tmp_path)
    assert SECRET.decode() not in text
    assert opened(text, tmp_path) == SECRET
    assert sealed(SECRET, tmp_path) != text
    (key,) = tmp_path.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    with pytest.raises(SealedElsewhereError, match="vosd user reset"):
        opened(text, tmp_path / "other")


@pytest.mark.parametrize("left", [0, 10, 43])
def test_a_damaged_key_is_said_to_be_one(tmp_path: Path, left: int) -> None:
    text = sealed(SECRET, tmp_path)
    key = tmp_path / "people.key"
    key.write_bytes(key.read_bytes()[:left])
    with pytest.raises(SealedElsewhereError, match=r"people.key is damaged: put your copy of it back"):
        opened(text, tmp_path)
    with pytest.raises(SealedElsewhereError, match="is damaged"):
        sealed(SECRET, tmp_path)


def test_recovery_codes_are_ten_and_are_read_however_they_are_typed() -> None:
    codes = recovery_codes()
    assert len(set(codes)) == 10
    assert {len(each) for each in codes} == {19}
    assert digest_of_recovery(codes[0]) == digest_of_recovery(f" {codes[0].upper().replace('-', '')}")


def test_the_uri_names_the_person() -> None:
    assert uri(SECRET, "ann b") == "otpauth://totp/vosd:ann%20b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=vosd"


async def test_a_password_matches_its_own_hash_alone() -> None:
    phc = await hashed("correct horse é")
    strength = "$argon2id$v=19$m=19456,t=2,p=1$"
    assert phc.startswith(strength)
    assert passwords._OF_NO_PERSON.startswith(strength), "it takes as long"
    assert await matches("correct horse é", phc)
    assert not await matches("correct horse e", phc)
    assert not await matches("\udcff", phc)
    assert not await matches("anything", None)


@pytest.mark.parametrize("password", ["short", "a" * 300, "aaaaaaaaaaaaaaaa", "ann-is-my-name", "ababababababab"])
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(OrderError):
        check_password(password, "Ann")


def test_several_words_are_a_password() -> None:
    check_password("correct horse battery", "ann")
