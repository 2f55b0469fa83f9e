"""The identity of the machine's boot, from the unit's variable or the kernel's file."""

from pathlib import Path

from vosd.daemon.claimant import boot_id, process_age_ms

ID = "0123456789abcdef0123456789abcdef"


def test_the_variable_of_the_unit_and_the_file_of_the_kernel_give_the_same_text(tmp_path: Path) -> None:
    file = tmp_path / "boot_id"
    file.write_text("01234567-89AB-cdef-0123-456789abcdef\n")
    assert boot_id({}, file) == boot_id({"VOSD_BOOT_ID": ID}, tmp_path / "hidden") == ID


def test_a_boot_whose_identity_is_hidden_has_none(tmp_path: Path) -> None:
    assert boot_id({}, tmp_path / "hidden") == ""


def test_the_age_of_this_process_is_known():
    first = process_age_ms()
    assert first is not None
    assert 0 < first < 86_400_000
    assert process_age_ms() >= first
