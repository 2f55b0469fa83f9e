"""Errors of a call's signature, each with the code of RFC 8224 section 6.2.2."""

from typing import ClassVar

from vosd.base.errors import VosError


class IdentityError(VosError):
    """A call is not signed as it should be; the message says in what."""

    status: ClassVar[int] = 438


class StaleDateError(IdentityError):
    """The token was signed too long ago, or in the future."""

    status = 403


class UseIdentityError(IdentityError):
    """There is no signature that could be verified."""

    status = 428


class BadIdentityInfoError(IdentityError):
    """The certificate cannot be had at the address that the call names."""

    status = 436


class UnsupportedCredentialError(IdentityError):
    """The certificate is not trusted, not valid any more, revoked, or does not cover the number."""

    status = 437


class InvalidIdentityError(IdentityError):
    """The token is malformed, was signed for another call, or its signature is wrong."""
