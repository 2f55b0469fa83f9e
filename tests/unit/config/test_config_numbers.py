"""Keys for numbers: lists, lengths, rewrite rules, pools and number sections."""

import random

import pytest

from vosd.config.assembly import number_files
from vosd.config.reader.numbers import telephone_number
from vosd.routing.pools import EmptyPool, NumberPool, PoolMode
from vosd.trunks.number_rules import IncomingNumbers, LengthRange, OutgoingNumbers

TOP = """\
number_lists:
  - {name: bad, patterns: ["4477*", "911"]}
number_pools:
  - {name: berlin, numbers: ["49301", "49302"]}
"""
RULES = (
    'callee_rewrite: [["00", ""], ["~^0(.*)", "49\\\\1"]], caller_rewrite: ["*{3}", "49"], caller_pool: berlin, '
    'caller_allow: "44*, list:bad", caller_deny: [anonymous]'
).replace('["*{3}", "49"]', '[["*{3}", "49"]]')


def loaded(site, there, keys="", top=TOP):
    return site.load(top + site.minimal.replace(there, f"{there}, {keys}".rstrip(", "))).catalogue


def mistakes(site, keys="", top=TOP):
    text = top + site.minimal.replace("hosts: 192.0.2.1", f"hosts: 192.0.2.1, {keys}".rstrip(", "))
    return [problem.partition(": ")[2] for problem in site.errors(text)]


def test_a_trunk_without_rules_has_none(site):
    catalogue = site.load(site.minimal).catalogue
    assert catalogue.mapping_gateways["acme-pbx"].numbers is None
    assert catalogue.routing_gateways["carrier"].numbers is None
    assert (catalogue.incoming, catalogue.outgoing, catalogue.sections) == ({}, {}, {})


def test_every_key_of_a_customer_arrives(site):
    keys = f"{RULES}, callee_allow: ['+44*'], callee_deny: 'list:bad, 0900*', callee_length: 7-15, caller_drop: yes"
    catalogue = loaded(site, "hosts: 192.0.2.1", keys)
    assert catalogue.mapping_gateways["acme-pbx"].numbers == IncomingNumbers(
        callee_allow=("44*",),
        callee_deny=("list:bad", "0900*"),
        caller_allow=("44*", "list:bad"),
        caller_deny=("anonymous",),
        callee_length=LengthRange(7, 15),
        callee_rewrite=(("00", ""), ("~^0(.*)", "49\\1")),
        caller_rewrite=(("*{3}", "49"),),
        caller_pool="berlin",
        caller_drop=True,
    )
    assert list(catalogue.incoming) == ["acme-pbx"]


def test_trunks_of_one_template_share_their_rules(site):
    text = site.minimal.replace(
        "hosts: 192.0.2.1}",
        "hosts: 192.0.2.1, template: a}\n  - {name: b, account: acme, hosts: 192.0.2.2, template: a}",
    )
    catalogue = site.load(f"templates:\n  a: {{callee_deny: '911, list:bad'}}\n{TOP}{text}").catalogue
    assert catalogue.incoming["b"] is catalogue.incoming["acme-pbx"]


def test_every_key_of_a_vendor_arrives(site):
    catalogue = loaded(site, "address: 192.0.2.9", f'{RULES}, tech_prefix: "7001#"')
    assert catalogue.routing_gateways["carrier"].numbers == OutgoingNumbers(
        caller_allow=("44*", "list:bad"),
        caller_deny=("anonymous",),
        callee_rewrite=(("00", ""), ("~^0(.*)", "49\\1")),
        tech_prefix="7001#",
        caller_rewrite=(("*{3}", "49"),),
        caller_pool="berlin",
    )
    assert list(catalogue.outgoing) == ["carrier"]


def test_phones_have_the_keys_of_mapping_gateways(site):
    phones = 'phones:\n  - {number: "7001", account: acme, password: secret, callee_deny: "list:bad"}\n'
    catalogue = site.load(TOP + site.minimal + phones).catalogue
    assert catalogue.phones["7001"].gateway.numbers == IncomingNumbers(callee_deny=("list:bad",))
    assert list(catalogue.incoming) == ["7001"]


def test_pools_and_lists_from_files(site):
    site.write("lists/bad.txt", "# March\n4477*\n+447900900001\n\n  911\n")
    site.write("lists/pool.txt", "# Berlin\n49301\n+49302\n\n")
    catalogue = site.load(
        "number_lists: [{name: bad, file: lists/bad.txt}]\n"
        "number_pools: [{name: berlin, file: lists/pool.txt, mode: random, reuse: 3, when_empty: refuse}]\n"
        f"{site.minimal}"
    ).catalogue
    numbers = catalogue.number_lists["bad"]
    assert [each for each in ("447700", "447900900001", "911", "9110") if each in numbers] == [
        "447700", "447900900001", "911",
    ]  # fmt: skip
    assert catalogue.number_pools["berlin"] == NumberPool(
        "berlin", ("49301", "+49302"), PoolMode.RANDOM, 3, EmptyPool.REFUSE
    )


def test_a_changed_file_changes_the_version_of_the_catalogue(site):
    text = f"number_lists: [{{name: bad, file: bad.txt}}]\n{site.minimal}"
    site.write("bad.txt", "911\n")
    first = site.load(text).catalogue
    again = site.load(text).catalogue
    assert again.version == first.version
    assert again.number_lists["bad"] is first.number_lists["bad"], "a file that has not changed is not read again"
    site.write("bad.txt", "912\n")
    changed = site.load(text).catalogue
    assert changed.version != first.version
    assert "912" in changed.number_lists["bad"]


def test_a_large_file_is_read_by_a_process_of_its_own(site, monkeypatch):
    drawn = random.Random(1)
    numbers = [f"{drawn.randrange(10**12):012d}" for _ in range(2_000)]
    site.write("bad.txt", "\n".join([*numbers, "4477*", "anonymous", ""]))
    monkeypatch.setattr(number_files, "_IN_THIS_PROCESS_MAX", 1_000)
    monkeypatch.setattr(number_files, "pack_lines", None)  # this process does not read it
    found = site.load(f"number_lists: [{{name: bad, file: bad.txt}}]\n{site.minimal}").catalogue.number_lists["bad"]
    assert len(found) == 2_002
    assert all(number in found for number in (*numbers, "447799", "anonymous"))
    assert "000000000000" not in found


def test_a_load_that_waits_for_a_large_file_fails_when_the_switch_stops(site, monkeypatch):
    text = f"number_lists: [{{name: bad, file: bad.txt}}]\n{site.minimal}"
    site.write("bad.txt", "911\n912\n")
    endless = site.write("endless", "#!/bin/sh\nexec tail -f /dev/null\n")
    endless.chmod(0o700)
    received = number_files._received

    def interrupted(process):
        number_files.stop_reading()
        return received(process)

    with monkeypatch.context() as patched:
        patched.setattr(number_files, "_IN_THIS_PROCESS_MAX", 1)
        patched.setattr(number_files.sys, "executable", str(endless))
        patched.setattr(number_files, "_received", interrupted)
        (problem,) = site.errors(text)
    assert "expected a readable file: the process that reads it has ended" in problem
    assert "911" in site.load(text).catalogue.number_lists["bad"]


def test_mistakes_in_a_large_file_are_named_too(site, monkeypatch):
    site.write("bad.txt", "911\n9 11\n")
    monkeypatch.setattr(number_files, "_IN_THIS_PROCESS_MAX", 1)
    assert site.errors(f"number_lists: [{{name: bad, file: bad.txt}}]\n{site.minimal}") == [
        "bad.txt:2: number_lists[bad].file: value '9 11': expected a number or prefix"
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("callee_deny: 'list:worse'", "value 'worse': expected the name of a number list"),
        ("caller_pool: paris", "expected the name of a number pool"),
        ("callee_deny: '4 4'", "value '4 4': expected a number such as"),
        ("callee_length: 15-7", "expected digits such as 7-15"),
        ("callee_length: 0", "expected digits such as 7-15"),
        ("callee_length: 7-129", "expected digits such as 7-15"),
        ('callee_rewrite: "00"', "expected two texts such as"),
        ('callee_rewrite: [["00"]]', "expected two texts such as"),
        ('callee_rewrite: [["00", [""]]]', "expected two texts such as"),
        ('callee_rewrite: {"00": ""}', "expected one value, or a list of them"),
        ('callee_rewrite: [["0 0", ""]]', "expected on the left side a prefix without +"),
        ('callee_rewrite: [["~(", ""]]', """value '["~(", ""]': expected a regular expression as RE2 has them"""),
        ('callee_rewrite: [["00", ""], ["0", "49"], ["00", "1"]]', "expected each left side once; '00' is there twice"),
        (f"callee_rewrite: [{', '.join(f'[{each}, 1]' for each in range(1_001))}]", "expected at most 1000 rules"),
        ("caller_drop: maybe", "expected yes or no"),
    ],
)
def test_mistakes_are_named(site, keys, expected):
    (found,) = mistakes(site, keys)
    assert expected in found


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ("number_lists: [{name: bad}]\n", "patterns: expected either patterns or file"),
        ("number_lists: [{name: bad, patterns: [1], file: a.txt}]\n", "expected either patterns or file"),
        ("number_lists: [{name: bad, file: a.txt}]\n", "expected a readable file: no such file or directory"),
        ("number_lists: [{name: bad, patterns: ['list:bad']}]\n", "expected a number such as"),
        ("number_pools: [{name: berlin}]\n", "numbers: expected either numbers or file"),
        ("number_pools: [{name: berlin, numbers: [bob]}]\n", "expected a number of 1 to 32 characters"),
        ("number_pools: [{name: berlin, numbers: [1], reuse: 0}]\n", "expected a whole number of calls"),
        ("number_lists: [{name: bad, patterns: [1]}, {name: bad, patterns: [2]}]\n", "expected each name once"),
    ],
)
def test_mistakes_in_lists_and_pools_are_named(site, top, expected):
    found = mistakes(site, top=top)
    assert any(expected in problem for problem in found), found


def test_a_line_of_a_pool_that_is_no_number_is_named(site):
    site.write("pool.txt", "49301\nbob\n")
    assert site.errors(f"number_pools: [{{name: berlin, file: pool.txt}}]\n{site.minimal}") == [
        f"pool.txt:2: number_pools[berlin].file: value 'bob': expected {telephone_number().expected}"
    ]


def test_empty_lists_and_pools_get_a_warning(site):
    found = site.warnings(
        f"number_lists: [{{name: bad, patterns: []}}]\nnumber_pools: [{{name: berlin, numbers: []}}]\n{site.minimal}"
    )
    assert found == [
        "vosd.yaml:1: warning: number_lists[bad]: expected at least one number or prefix",
        "vosd.yaml:2: warning: number_pools[berlin]: expected at least one number",
    ]


def test_number_sections_of_accounts(site):
    acme = "id: acme, rate_group: sell"
    text = site.minimal.replace(acme, f'{acme}, allowed_prefixes: "44, 49", denied_prefixes: ["4477"]')
    catalogue = site.load(text).catalogue
    assert list(catalogue.sections) == ["acme"]
    (section,) = catalogue.sections["acme"]
    assert [section.objection(number) is None for number in ("4420", "447700", "33")] == [True, False, False]


def test_a_single_rule_needs_no_brackets_around_it(site):
    catalogue = loaded(site, "hosts: 192.0.2.1", 'callee_rewrite: ["00", ""]')
    assert catalogue.mapping_gateways["acme-pbx"].numbers == IncomingNumbers(callee_rewrite=(("00", ""),))
