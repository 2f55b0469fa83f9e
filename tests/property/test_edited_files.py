"""A file that is read by how it differs from an earlier one is split as it is when it is read alone."""

from pathlib import Path

from doubles.exploring import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vosd.catalogue.problems import ProblemList
from vosd.config.reader.file_edits import edited_file, read_file
from vosd.config.reader.includes import gather
from vosd.config.reader.items import Items, KnownItems
from vosd.config.reader.regions import split
from vosd.config.reader.texts import DiskTexts

HEADS = {
    "accounts": ["accounts:\n", "accounts: # who pays\n  # a comment\n"],
    "mapping_gateways": ["mapping_gateways:\n"],
    "phones": ["phones:\n"],
}
ITEM = st.sampled_from(
    [
        "{id: a1}", "{id: a2}", "{id: a2, name: Ülkü}", "id: a3\n    name: x", "id: a3\n# aside\n    name: y",
        "id: 4\n", "id: 5\n\n", "id: \x80", "id: a\tb", "{id: a6}\nlimits: {}", "{id: a7}\n---", "id: 8\n-",
        "id: '\n- x'", "a: &b c", "id: 9\n  - {id: a1}", "", "id: 10\naccounts:\n  - {id: a1}",
    ]
)  # fmt: skip
SOUND_ITEM = st.sampled_from(
    ["{id: a1}", "{id: a2}", "{id: a2, name: Ülkü}", "id: a3\n    name: x", "id: a3\n# aside\n    name: y", "id: 4\n"]
)
BETWEEN = st.sampled_from(["", "limits: {}\n", "rate_groups:\n  - {name: ş}\n", "# phones:\n", "\ufeffx: 1\n"])
STRANGE = st.sampled_from(
    [
        "a: &b c\n",
        "---\n",
        "  - {id: a9}\n",
        "- {id: a9}\n",
        " x\n",
        "# a\n",
        "\n",
        "phones:\n  - {id: p}\n",
        "a:\tb\n",
        "-\n",
    ]
)
Lists = list[tuple[str, str, list[str], str]]


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """Draw the editions of one file: each differs from the one before in some items of some lists, or more."""
    names = draw(st.lists(st.sampled_from(sorted(HEADS)), unique=True, min_size=1))
    lists: Lists = [
        (
            draw(BETWEEN) + draw(st.sampled_from(HEADS[name])),
            draw(st.sampled_from(["", "  "])),
            draw(st.lists(SOUND_ITEM, min_size=1)),
            name,
        )
        for name in names
    ]
    begin, end = draw(st.sampled_from(["", "\ufeff", "node: sw1\n"])), draw(BETWEEN)
    editions = []
    for _ in range(draw(st.integers(2, 4))):
        text = begin + "".join(
            head + "".join(f"{indent}- {body}\n" for body in bodies) for head, indent, bodies, _ in lists
        )
        text += end
        editions.append(text.removesuffix("\n") if draw(st.integers(0, 9)) == 0 else text)
        for each in draw(st.lists(st.integers(0, len(lists) - 1), max_size=3)):
            head, indent, bodies, name = lists[each]
            first = draw(st.integers(0, len(bodies)))
            last = draw(st.integers(first, len(bodies)))
            bodies = [*bodies[:first], *draw(st.lists(ITEM, max_size=2)), *bodies[last:]]
            lists[each] = head, indent, bodies, name
        if draw(st.integers(0, 4)) == 0:
            end = draw(BETWEEN | STRANGE)
        if draw(st.integers(0, 4)) == 0:
            begin = draw(st.sampled_from(["", "\ufeff", "node: sw1\n", "node: sw2\n"]) | STRANGE)
        if draw(st.integers(0, 2)) == 0:
            each = draw(st.integers(0, len(lists) - 1))
            _, indent, bodies, name = lists[each]
            lists[each] = draw(BETWEEN | STRANGE) + draw(st.sampled_from(HEADS[name])), indent, bodies, name
    return editions


ONE = "node: sw1\naccounts:\n  - {id: a1}\n  - {id: a2}\nlimits: {}\nphones:\n- id: p1\n- id: p2\n"


@given(files())
@example([ONE, ONE.replace("a2", "a3").replace("p1", "p3"), ONE.replace("  - {id: a2}\n", "")])
@example([ONE, ONE.replace("- id: p2\n", "- id: p2")])
@example(
    [ONE, ONE.replace("sw1", "sw22\nx: 1"), ONE.replace("limits: {}\n", "limits: {}\nx: 1\n"), f"{ONE}x: 1\n", ONE]
)
@settings(max_examples=examples(200, 3_000))
def test_what_is_found_by_difference_is_what_splitting_finds(editions: list[str]) -> None:
    read = None
    for text in editions:
        content = text.encode()
        whole = split(content.decode("utf-8-sig"))
        edited = None if read is None else edited_file(read, content)
        if edited is not None:
            assert whole is not None
            assert edited.rest == whole.rest
            assert [*edited.file.regions] == [*whole.regions]
            assert edited.file == read_file(content, content.decode("utf-8-sig"), whole)
            for region, edit, now in zip(read.regions, edited.edits, whole.regions, strict=True):
                bodies = [*region.bodies]
                assert bodies[edit.begin : edit.begin + len(edit.removed)] == edit.removed
                bodies[edit.begin : edit.begin + len(edit.removed)] = edit.inserted
                assert bodies == now.bodies
            read = edited.file
        elif whole is not None:
            read = read_file(content, content.decode("utf-8-sig"), whole)


def test_items_that_come_and_go_in_several_lists_are_found_by_difference() -> None:
    text = ONE
    read = read_file(text.encode(), text, split(text))
    for change in (
        ("  - {id: a1}\n", "  - {id: a0}\n  - {id: a1}\n"),
        ("- id: p2\n", "- id: p2\n- id: p3\n    name: ü\n"),
        ("{id: a2}", "{id: a2, max_cps: 3}"),
        ("  - {id: a0}\n", ""),
        ("- id: p3\n    name: ü\n", ""),
    ):
        text = text.replace(*change)
        edited = edited_file(read, text.encode())
        assert edited is not None, change
        assert edited.rest == split(text).rest
        read = edited.file
    for now in (text.replace("sw1", "sw2"), text.replace("limits: {}", "limits: {}\ny: 1")):
        outside = edited_file(read, now.encode())
        assert outside is not None
        assert not any(edit.removed or edit.inserted for edit in outside.edits)
        assert outside.rest == split(now).rest
    both = edited_file(read, ONE.encode())
    assert both is not None
    assert [len(edit.inserted) for edit in both.edits] == [1, 0]


def test_another_list_in_the_place_of_an_item_is_not_taken_for_an_item() -> None:
    read = read_file(ONE.encode(), ONE, split(ONE))
    assert edited_file(read, ONE.replace("  - {id: a2}\n", "mapping_gateways:\n  - {id: a2}\n").encode()) is None
    assert edited_file(read, ONE.replace("  - {id: a2}\n", "  - {id: &a a2}\n").encode()) is None
    assert edited_file(read, ONE.encode().replace(b"a2", b"\xff")) is None


def test_what_was_split_once_more_is_compared_the_next_time(tmp_path: Path) -> None:
    def gathered(text: str, known: KnownItems | None) -> Items:
        file.write_text(text)
        return gather(file, {}, ProblemList(), DiskTexts(), known).items

    file, known = tmp_path / "vosd.yaml", KnownItems()
    items = gathered(ONE, None)
    known.note(items, {name: dict.fromkeys(bodies) for name, bodies in items.bodies.items()})
    items = gathered(ONE.replace("limits: {}", "limits: {}\nnode: sw2"), known)
    known.note(items, {name: dict.fromkeys(bodies) for name, bodies in items.bodies.items()})
    last = ONE.replace("limits: {}", "limits: {}\nnode: sw2").replace("{id: a2}", "{id: a3}")
    assert known.edited(str(file), last.encode()) is not None
    assert gathered(last, known).unread["accounts"] == ["{id: a3}"]
