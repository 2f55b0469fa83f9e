"""A strict OpenID Connect provider on loopback: it refuses what a real one refuses, and signs what the test says."""

import base64
import json
import secrets
import threading
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from joserfc import jwk, jwt

CLIENT: Final = "vosd"
SECRET: Final = "s3cret+of/vosd"  # has to be quoted in the header
BACK: Final = "https://switch.example.com/api/v1/session/oidc/callback"


def key_named(name: str) -> jwk.RSAKey:
    """Return a new key."""
    return jwk.RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


class IdentityProvider:
    """The provider; a context manager."""

    def __init__(self, now_s: Callable[[], int]) -> None:
        self._now_s = now_s
        self.key = key_named("first")
        self.published = [self.key]
        self.claims: dict[str, Any] = {"sub": "4711", "preferred_username": "ann", "groups": ["night-shift"]}
        self.changes: dict[str, Any] = {}
        """Claims that the next tokens have instead; None = they lack it."""
        self.info: dict[str, Any] = {}
        """Claims that it tells about the person apart from its tokens, beside the subject."""
        self.metadata: dict[str, Any] = {}
        """The entries that its metadata have instead."""
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.secret = SECRET
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._access_tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def issuer(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def authorize(self, url: str) -> dict[str, str]:
        """Log the person in as the page of the provider does, and return the parameters of the way back."""
        place, asked = urlsplit(url), parse_qs(urlsplit(url).query, strict_parsing=True)
        found = {name: value for name, (value,) in asked.items()}
        assert f"{place.scheme}://{place.netloc}{place.path}" == f"{self.issuer}/authorize"
        assert (found["response_type"], found["client_id"], found["redirect_uri"]) == ("code", CLIENT, BACK)
        assert "openid" in found["scope"].split(" ")
        assert found["code_challenge_method"] == "S256"
        assert min(len(found[each]) for each in ("state", "nonce", "code_challenge")) >= 43
        code = secrets.token_urlsafe(16)
        self._codes[code] = found
        return {"code": code, "state": found["state"], "iss": self.issuer, "session_state": "of the provider"}

    def signed(self, claims: dict[str, Any]) -> str:
        """Return a token with the key of the provider."""
        token: str = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        return token

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        begun = self._codes.pop(form.get("code", ""), None)  # a code is used once
        pair = base64.b64encode(f"{CLIENT}:{self.secret.replace('+', '%2B').replace('/', '%2F')}".encode()).decode()
        if authorization != f"Basic {pair}":
            return 401, {"error": "invalid_client", "error_description": "The client secret keys\r\nare expired."}
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        is_right = begun is not None and challenge == begun["code_challenge"]
        if (
            begun is None
            or not is_right
            or form.get("redirect_uri") != BACK
            or form["grant_type"] != "authorization_code"
        ):
            return 400, {"error": "invalid_grant"}
        now_s = self._now_s()
        times = {"iss": self.issuer, "aud": CLIENT, "iat": now_s, "exp": now_s + 300, "nonce": begun["nonce"]}
        claims = {name: value for name, value in (times | self.claims | self.changes).items() if value is not None}
        access_token = secrets.token_urlsafe(16)
        self._access_tokens.add(access_token)
        return 200, {"access_token": access_token, "token_type": "Bearer", "id_token": self.sign(claims)}

    def _user_info(self, authorization: str) -> tuple[int, Any]:
        if authorization.removeprefix("Bearer ") not in self._access_tokens:
            return 401, {"error": "invalid_token"}
        return 200, {"sub": self.claims["sub"]} | self.info

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                    ends["userinfo_endpoint"] = "me"
                    urls = {name: f"{provider.issuer}/{path}" for name, path in ends.items()}
                    known = {"issuer": provider.issuer, "response_types_supported": ["code"], **urls}
                    self._send(200, known | provider.metadata)
                elif self.path == "/keys":
                    self._send(200, {"keys": [each.as_dict(private=False) for each in provider.published]})
                elif self.path == "/me":
                    self._send(*provider._user_info(self.headers.get("Authorization", "")))
                else:
                    self._send(404, {})

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                content = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: value for name, (value,) in parse_qs(content, strict_parsing=True).items()}
                self._send(*provider._token(form, self.headers.get("Authorization", "")))

            def _send(self, status: int, document: Any) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
