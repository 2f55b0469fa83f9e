"""Templates fill what accounts and gateways leave open."""


def test_an_objects_own_keys_win_over_its_template(site):
    loaded = site.load(
        """
        templates:
          wholesale: {max_concurrent: 100, max_cps: 20}
        accounts:
          - {id: acme, template: wholesale, max_cps: 5}
        """
    )

    acme = loaded.catalogue.accounts["acme"]
    assert (acme.max_concurrent, acme.max_cps) == (100, 5)


def test_one_template_serves_accounts_and_both_kinds_of_gateways(site):
    loaded = site.load(
        """
        templates: {small: {max_concurrent: 3}}
        accounts: [{id: acme, template: small}]
        mapping_gateways: [{name: in, template: small, account: acme, hosts: 192.0.2.1}]
        routing_gateways: [{name: out, template: small, account: acme, address: 192.0.2.2, allow_unrated: yes}]
        """
    )

    catalogue = loaded.catalogue
    assert catalogue.accounts["acme"].max_concurrent == 3
    assert catalogue.mapping_gateways["in"].max_concurrent == 3
    assert catalogue.routing_gateways["out"].max_concurrent == 3


def test_a_template_that_does_not_exist_is_named_with_the_nearest_one(site):
    assert site.errors(
        """
        templates: {wholesale: {max_cps: 1}}
        accounts: [{id: acme, template: wholsale}]
        """
    ) == [
        (
            "vosd.yaml:2: accounts[acme].template: value 'wholsale': "
            "expected the name of a template; did you mean 'wholesale'?"
        )
    ]


def test_a_mistake_in_a_template_is_named_where_it_stands(site):
    assert site.errors(
        """
        templates:
          wholesale:
            max_cps: lots
        accounts: [{id: acme, template: wholesale}]
        """
    ) == [
        (
            "vosd.yaml:3: accounts[acme].max_cps: value 'lots': "
            "expected a whole number from 1 to 1000000; leave the key out for no limit"
        )
    ]


def test_a_key_that_no_object_has_is_named_in_an_unused_template_too(site):
    assert site.errors("templates: {wholesale: {max_cp: 3}}\n") == [
        "vosd.yaml:1: templates.wholesale.max_cp: expected a key of an account or a gateway; did you mean 'max_cps'?"
    ]


def test_templates_do_not_build_on_each_other(site):
    assert site.errors("templates: {a: {template: b}, b: {max_cps: 1}}\n") == [
        "vosd.yaml:1: templates.a.template: expected no template that builds on another one"
    ]


def test_what_is_no_template_is_an_error(site):
    assert site.errors("templates: [a]\n") == ["vosd.yaml:1: templates: expected names, each with keys and values"]
    assert site.errors("templates: {a: b}\n") == ["vosd.yaml:1: templates.a: expected keys and values"]
