"""The commit that this program was built from: versions of one number differ between builds."""

from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "COMMIT"
"""Written by scripts/install-system."""
_TREE: Final = Path(__file__).parents[2] / ".git"
_DIGITS: Final = 8


def commit(file: Path = FILE, tree: Path = _TREE) -> str:
    """Return the first digits of the commit; empty where it is not known."""
    try:
        found = file.read_text(encoding="ascii") if file.exists() else _head_of(tree)
    except (OSError, ValueError):
        return ""
    return found.strip()[:_DIGITS]


def _head_of(tree: Path) -> str:
    """Return the commit that is checked out; ``tree`` is the directory of git, or the file that names it."""
    if tree.is_file():
        tree = Path(tree.read_text(encoding="utf-8").removeprefix("gitdir: ").strip())
    head = (tree / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    common = tree / "commondir"
    shared = (tree / common.read_text(encoding="utf-8").strip()) if common.exists() else tree
    name = head.removeprefix("ref: ")
    if (shared / name).exists():
        return (shared / name).read_text(encoding="utf-8")
    packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
