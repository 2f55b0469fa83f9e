"""Growing delays between guesses at the password of one user."""

from typing import Final

from vosd.sip.digest.delays import Delays
from vosd.sip.digest.settings import LockOutSettings

NOW: Final = 1_000_000


def failures(delays: Delays, key: str, number: int, at: int = NOW) -> list[int]:
    lefts = []
    for _ in range(number):
        delays.failed(key, at)
        lefts.append(delays.left_ms(key, at))
    return lefts


def test_the_first_failures_are_free_and_each_further_one_doubles_the_delay_up_to_a_lock_out():
    delays = Delays(LockOutSettings(3, 60_000))
    seconds = [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert failures(delays, "1001", 11) == [1_000 * each for each in seconds]
    assert delays.left_ms("1001", NOW + 59_999) == 1
    assert delays.left_ms("1001", NOW + 60_000) == 0
    assert delays.left_ms("1002", NOW) == 0


def test_the_first_delay_of_a_count_is_told():
    delays = Delays(LockOutSettings(3, 60_000))
    assert [delays.failed("1001", NOW) for _ in range(6)] == [False, False, False, True, False, False]
    assert not any(Delays(LockOutSettings(0, 60_000)).failed("1001", NOW) for _ in range(6))


def test_the_count_is_kept_twice_as_long_as_the_longest_delay():
    delays = Delays(LockOutSettings(3, 60_000))
    failures(delays, "1001", 4)
    assert failures(delays, "1001", 1, NOW + 119_999) == [2_000]
    failures(delays, "1002", 4, NOW + 120_001)
    assert failures(delays, "1001", 1, NOW + 240_000) == [0]
    assert failures(delays, "1002", 1, NOW + 240_000) == [2_000], "what is older takes it not along"


def test_a_count_begins_anew_where_it_is_forgotten_and_never_where_lock_outs_are_off():
    delays = Delays(LockOutSettings(3, 60_000))
    failures(delays, "1001", 4)
    delays.forget("1001")
    assert failures(delays, "1001", 3) == [0, 0, 0]
    assert not any(failures(Delays(LockOutSettings(0, 60_000)), "1001", 100))


def test_the_oldest_of_too_many_keys_is_forgotten():
    delays = Delays(LockOutSettings(1, 60_000), keys_max=2)
    for key in ("a", "b", "c"):
        failures(delays, key, 2)
    assert [delays.left_ms(key, NOW) for key in ("a", "b", "c")] == [0, 1_000, 1_000]
