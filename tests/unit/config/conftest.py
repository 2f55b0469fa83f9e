"""Configurations as short texts: each test shows the file that it is about."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from vosd.catalogue.problems import ConfigError, Severity
from vosd.config.load import Loaded, load

MINIMAL = """\
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
  - {name: buy, rates: [{prefix: "44", billing_rate: "0.008"}]}
accounts:
  - {id: acme, rate_group: sell}
  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited}
mapping_gateways:
  - {name: acme-pbx, account: acme, hosts: 192.0.2.1}
routing_gateways:
  - {name: carrier, account: carrier, address: 192.0.2.9}
"""
"""One customer, one vendor; tests add what they are about."""


class Site:
    """A directory of configuration files; ``vosd.yaml`` is the main one."""

    minimal = MINIMAL

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ: Mapping[str, str] = {}

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def load(self, text: str | None = None) -> Loaded:
        """Load ``vosd.yaml``, written anew when a text is given."""
        if text is not None:
            self.write("vosd.yaml", text)
        return load(self.directory / "vosd.yaml", self.environ)

    def errors(self, text: str | None = None) -> list[str]:
        """Return the errors as they are printed, without the directory."""
        with pytest.raises(ConfigError) as caught:
            self.load(text)
        return [self.shown(str(problem)) for problem in caught.value.problems if problem.severity is Severity.ERROR]

    def warnings(self, text: str) -> list[str]:
        return [self.shown(str(problem)) for problem in self.load(text).problems]

    def shown(self, text: str) -> str:
        return text.replace(f"{self.directory}/", "")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
