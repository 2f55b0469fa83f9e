"""Which servers are trusted does not change with the version of Python."""

import ssl

import pytest
from doubles.certificates import Authority, agree

from vosd.processes.server_trust import trust_in_servers


@pytest.fixture
def of_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ssl.create_default_context

    def strict(*, cafile: str | None = None) -> ssl.SSLContext:
        context = before(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@pytest.mark.usefixtures("of_python_3_13")
def test_an_authority_that_names_no_use_of_its_key_is_believed(tmp_path):
    authority = Authority(tmp_path)
    server = authority.server_context(authority.issue("server", "localhost"))
    with pytest.raises(ssl.SSLCertVerificationError, match="key usage"):
        agree(server, ssl.create_default_context(cafile=str(authority.root.file)))
    assert agree(server, trust_in_servers(str(authority.root.file))).version()


@pytest.mark.usefixtures("of_python_3_13")
def test_other_authorities_are_not(tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    server = authority.server_context(authority.issue("server", "localhost"))
    with pytest.raises(ssl.SSLCertVerificationError):
        agree(server, trust_in_servers(str(other.root.file)))


@pytest.mark.usefixtures("of_python_3_13")
def test_nor_is_a_certificate_without_the_authority_that_has_signed_it(tmp_path):
    authority = Authority(tmp_path)
    server = authority.issue("server", "localhost")
    both = tmp_path / "both.pem"
    both.write_bytes(server.file.read_bytes() + authority.root.file.read_bytes())
    assert agree(authority.server_context(server), trust_in_servers(str(both))).version()
    with pytest.raises(ssl.SSLCertVerificationError, match="local issuer"):
        agree(authority.server_context(server), trust_in_servers(str(server.file)))
