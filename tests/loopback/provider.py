"""An OpenID Connect provider on loopback: discovery, consent page, signed tokens, its own keys.

Authorization code flow as in OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3, with PKCE as in
RFC 7636; what a client does wrong is answered with the error that the standards name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.loopback.server import Asked, LoopbackServer, Reply

CLIENT_ID, CLIENT_SECRET = "skysieve-in-tests", "a secret that only tests know"
LIFE_S = 300


@dataclass(frozen=True)
class Person:
    """Who can sign in; an empty `email` or `name` is not told to anybody."""

    subject: str
    email: str = ""
    name: str = ""

    @property
    def claims(self) -> dict[str, str]:
        """What the token says of the person."""
        said = {"sub": self.subject, "email": self.email, "name": self.name}
        return {name: value for name, value in said.items() if value}


class Provider:
    """Use as a context manager; whoever comes is offered every one of `people`."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = {person.subject: person for person in people}
        self.issued: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self._key = RSAKey.generate_key(2048, {"kid": "of-this-test", "use": "sig", "alg": "RS256"})
        self._granted: dict[str, tuple[Person, Mapping[str, str]]] = {}
        self._server = (
            LoopbackServer()
            .on("/.well-known/openid-configuration", self._discovery)
            .on("/jwks", self._keys)
            .on("/authorize", self._ask_person)
            .on("/consent", self._grant)
            .on("/token", self._token)
            .on("/end", self._end)
            .on("/favicon.ico", Reply(status=204))
        )

    @property
    def url(self) -> str:
        """The issuer."""
        return self._server.url

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [asked.path for asked in self._server.asked]

    def secrets_for(self, origin: str) -> str:
        """The secrets.toml of a dashboard at `origin` whose people sign in here."""
        said = {
            "redirect_uri": f"{origin}/oauth2callback",
            "cookie_secret": "thirty-two characters, only here",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "server_metadata_url": f"{self.url}/.well-known/openid-configuration",
        }
        return "[auth]\n" + "".join(f"{name} = {json.dumps(text)}\n" for name, text in said.items())

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _discovery(self, _: Asked) -> Reply:
        return _json(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "end_session_endpoint": f"{self.url}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "email", "profile"],
            }
        )

    def _keys(self, _: Asked) -> Reply:
        return _json({"keys": [self._key.as_dict(private=False)]})

    def _ask_person(self, asked: Asked) -> Reply:
        wrong = _wrong_request(asked.params)
        if wrong:
            return self._refuse(wrong)
        links = "".join(
            f'<p><a href="/consent?{html.escape(urlencode({**asked.params, "as": subject}))}">'
            f"I am {html.escape(person.name or person.email or subject)}</a></p>"
            for subject, person in self.people.items()
        )
        page = f"<!doctype html><title>Provider</title><h1>Who are you?</h1>{links}"
        return Reply(page.encode(), headers={"Content-Type": "text/html; charset=utf-8"})

    def _grant(self, asked: Asked) -> Reply:
        code = secrets.token_urlsafe(16)
        self._granted[code] = (self.people[asked.params["as"]], asked.params)
        back = urlencode({"code": code, "state": asked.params["state"]})
        return _redirect(f"{asked.params['redirect_uri']}?{back}")

    def _token(self, asked: Asked) -> Reply:
        if _credentials(asked.headers.get("authorization", "")) != (CLIENT_ID, CLIENT_SECRET):
            return self._refuse("invalid_client", 401)
        form = dict(parse_qsl(asked.body.decode()))
        granted = self._granted.pop(form.get("code", ""), None)  # a code is good for one time
        if granted is None or form.get("grant_type") != "authorization_code":
            return self._refuse("invalid_grant")
        person, request = granted
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (form.get("redirect_uri"), challenge) != (
            request["redirect_uri"],
            request["code_challenge"],
        ):
            return self._refuse("invalid_grant")
        now = int(time.time())
        claims = {
            **person.claims,
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + LIFE_S,
            "nonce": request["nonce"],
        }
        self.issued.append(claims)
        return _json(
            {
                "access_token": secrets.token_urlsafe(16),
                "token_type": "Bearer",
                "expires_in": LIFE_S,
                "id_token": jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key),
            }
        )

    def _end(self, asked: Asked) -> Reply:
        return _redirect(asked.params["post_logout_redirect_uri"])

    def _refuse(self, error: str, status: int = 400) -> Reply:
        self.refused.append(error)
        return Reply(json.dumps({"error": error}).encode(), status=status)


def _wrong_request(params: Mapping[str, str]) -> str:
    """The error of an authentication request, '' where there is none."""
    if params.get("client_id") != CLIENT_ID:
        return "unauthorized_client"
    if params.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in params.get("scope", "").split():
        return "invalid_scope"
    needed = {"redirect_uri", "state", "nonce", "code_challenge"}
    if needed - set(params) or params.get("code_challenge_method") != "S256":
        return "invalid_request"
    return ""


def _credentials(header: str) -> tuple[str, ...]:
    """Client and secret of HTTP basic authentication."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return ()
    return tuple(unquote(each) for each in base64.b64decode(encoded).decode().split(":", 1))


def _json(document: object) -> Reply:
    return Reply(json.dumps(document).encode(), headers={"Content-Type": "application/json"})


def _redirect(address: str) -> Reply:
    return Reply(status=302, headers={"Location": address})
