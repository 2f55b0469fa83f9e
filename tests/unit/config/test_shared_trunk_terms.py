"""Terms that trunks and accounts have in common where they say nothing about them."""

TRUNK = "  - {{name: {name}, account: acme, hosts: 198.51.100.{number}{keys}}}\n"


def test_what_one_trunk_says_is_its_own_and_the_others_have_their_parts_in_common(site):
    written = {
        "plain": "",
        "limited": ", max_cps: 7, tech_prefix: '9', groups: []",
        "header": ", headers: {remove: X-Own}",
        "agent": ", user_agent: theirs",
        "media": ", media: 'off'",
        "numbers": ", callee_deny: ['900*']",
        "auth": ", auth: {username: a, password: b}",
        "signed": ", stir: {attest: customer}",
        "last": "",
    }
    trunks = "".join(
        TRUNK.format(name=name, number=number, keys=keys) for number, (name, keys) in enumerate(written.items(), 1)
    )
    found = site.load(
        site.minimal.replace("mapping_gateways:\n", f"mapping_gateways:\n{trunks}")
    ).catalogue.mapping_gateways
    plain, last = found["plain"], found["last"]
    assert last.dialect is plain.dialect is found["limited"].dialect
    assert (last.dialect.user_agent, last.dialect.headers, last.credentials, last.stir, last.numbers) == (
        "", None, None, None, None,
    )  # fmt: skip
    assert (found["limited"].max_cps, found["limited"].tech_prefix) == (7, "9")
    assert found["header"].dialect.headers is not None
    assert found["agent"].dialect.user_agent == "theirs"
    assert found["media"].media != last.media
    assert found["numbers"].numbers.callee_deny == ("900*",)
    assert found["auth"].credentials is not None
    assert found["signed"].stir is not None


def test_what_one_account_says_is_its_own(site):
    accounts = "".join(
        f"  - {{id: {name}, type: direct, rate_group: sell{keys}}}\n"
        for name, keys in (
            ("plain", ""),
            ("there", ", timezone: Asia/Shanghai, advance_minutes: 3, rights: [accounts]"),
            ("last", ""),
        )
    )
    found = site.load(site.minimal.replace("accounts:\n", f"accounts:\n{accounts}", 1)).catalogue.accounts
    plain, there, last = (found[name] for name in ("plain", "there", "last"))
    assert (plain.timezone, plain.advance_s, plain.rights) == ("UTC", 60, frozenset())
    assert (there.timezone, there.advance_s, len(there.rights)) == ("Asia/Shanghai", 180, 1)
    assert (last.timezone, last.advance_s, last.rights) == (plain.timezone, plain.advance_s, plain.rights)
