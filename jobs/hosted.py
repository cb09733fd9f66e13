"""The sending end of the hosted embedder: one POST, retried, with its token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from jobs.errors import ServiceError, SettingsError
from jobs.settings import Settings, load_settings

if TYPE_CHECKING:
    from engine.anomalies.embedders import Embedder
    from engine.anomalies.embedders.hosted import HostedEmbedder

TIMEOUT_S = 30.0
ATTEMPTS = 4
PASSING = (429, 500, 502, 503, 504)


class Trouble(Exception):
    """An answer that may be another one a moment later."""


def embedder_named(name: str) -> Embedder:
    """The embedder called `name`, "hosted" for the one that settings give an address of."""
    if name == "hosted":
        return hosted_embedder(load_settings())
    from engine.anomalies.embedders import make_embedder

    return make_embedder(name)


def hosted_embedder(
    settings: Settings, *, session: requests.Session | None = None, wait_s: float = 1.0
) -> HostedEmbedder:
    """The embedder behind SKYSIEVE_EMBEDDING_URL. Raises SettingsError where that is not set."""
    from engine.anomalies.embedders.hosted import HostedEmbedder

    url = settings.embedding_url
    if not url:
        raise SettingsError(
            "no hosted embedder is set: `skysieve configure embedding_url URL` (and "
            "embedding_token); images then leave this machine"
        )
    used = session or requests.Session()
    headers = {}
    if settings.embedding_token:
        headers["Authorization"] = f"Bearer {settings.embedding_token}"

    def send(document: Mapping[str, Any]) -> Any:
        return post(used, url, document, headers, wait_s=wait_s)

    return HostedEmbedder(send, settings.embedding_dimension)


def post(
    session: requests.Session,
    url: str,
    document: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    wait_s: float,
) -> Any:
    """POST a document and return the JSON answer; passing troubles are tried four times.

    Raises ServiceError with what the endpoint said, never with the token.
    """
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=wait_s, max=20 * max(wait_s, 0.05)),
        retry=retry_if_exception(lambda error: isinstance(error, Trouble)),
        reraise=True,
    )
    try:
        return retrying(_once, session, url, document, headers)
    except (Trouble, requests.RequestException) as error:
        raise ServiceError(f"the embedding endpoint {url} failed: {error}") from error


def _once(
    session: requests.Session, url: str, document: Mapping[str, Any], headers: Mapping[str, str]
) -> Any:
    try:
        answer = session.post(
            url, json=document, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Trouble(f"no answer ({type(error).__name__})") from error
    if answer.status_code in PASSING:
        raise Trouble(f"HTTP {answer.status_code}")
    if answer.status_code != 200:
        raise ServiceError(
            f"the embedding endpoint {url} refused with HTTP {answer.status_code}: check its "
            "address and token"
        )
    try:
        return answer.json()
    except ValueError as error:
        raise ServiceError(f"the embedding endpoint {url} did not answer JSON") from error
