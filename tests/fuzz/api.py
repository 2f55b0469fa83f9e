"""Requests made up from docs/openapi.json, for the API beside a switch on MariaDB: ``python -m fuzz.api [SECONDS]``.

No answer may be an error of the server, or one that the document does not allow; what it forbids is refused.
Schemathesis makes the requests; ``make api-fuzz`` installs it.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from doubles.api import ADMINISTRATOR, Api
from doubles.daemon import Daemon
from doubles.process.mariadb import MariaDb
from e2e.addresses import API_SWITCH
from e2e.stage import configuration

_TESTS: Final = Path(__file__).parents[1]
_CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
)
"""Not among them: that what fits the document is taken. It cannot say which accounts and versions there are."""
_WITHOUT_END: Final = "trace|events"


def main(seconds: int) -> int:
    """Return the exit code of Schemathesis."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "mariadb").mkdir()
        server = MariaDb(directory / "mariadb")
        server.start()
        try:
            text = configuration(_TESTS / "api" / "switch.yaml", API_SWITCH)
            text = re.sub(r"sqlite\+aiosqlite:///[^\s\"']+", server.create_database("vosd"), text)
            with Daemon(directory, text) as daemon, Api(daemon.configuration_file) as api:
                return _asked(api, seconds)
        finally:
            server.stop()


def _asked(api: Api, seconds: int) -> int:
    """Send single requests, right and wrong ones, and then chains of right ones along the links of the document."""
    single = _run(api, seconds // 2, *("--phases", "coverage,fuzzing", "--max-examples", "20"))
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz.valid_bodies"}
    chained = _run(api, seconds // 2, *("--phases", "stateful", "--mode", "positive"), **hooks)
    return single or chained


def _run(api: Api, seconds: int, *more: str, **environment: str) -> int:
    program, settings = Path(sys.executable).with_name("st"), Path(__file__).with_name("schemathesis.toml")
    words = [
        *(str(program), "--config-file", str(settings)),
        *("run", str(_TESTS.parent / "docs" / "openapi.json")),
        *("--url", api.url, "--header", f"Authorization: Bearer {ADMINISTRATOR}", "--checks", _CHECKS),
        *("--exclude-path-regex", _WITHOUT_END, "--max-time", str(seconds), "--no-shrink", *more),
        *("--continue-on-failure", "--suppress-health-check", "all", "--no-color", "--warnings", "off"),
    ]
    return subprocess.run(words, check=False, env={**os.environ, **environment}).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120))
