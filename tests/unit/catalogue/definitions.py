"""Definitions of the catalogue as rows of a table, for tests with more sources than the configuration files."""

from collections.abc import Iterable
from decimal import Decimal
from ipaddress import ip_network
from typing import Any, NamedTuple, TypeVar

from vosd.billing.accounts import Account, AccountType
from vosd.billing.rates import RateGroup
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import Place, ProblemList
from vosd.catalogue.source import CURRENCY_OF_RATE_GROUP, CatalogueSource, Definition, Definitions
from vosd.testing.data.builders import applied_rate, rating_policy
from vosd.trunks.gateways import Address, HostPattern, MappingGateway, RoutingGateway
from vosd.trunks.phone import Phone
