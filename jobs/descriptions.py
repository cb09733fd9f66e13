"""Descriptions of candidates by a language model: off by default, and never more than text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from db.queries.descriptions import facts
from db.store import Store
from jobs.errors import JobError, UsageError
from jobs.ids import stable_id
from jobs.settings import Settings

ADDRESSES = {"ollama": "http://127.0.0.1:11434/v1", "openai": "https://api.openai.com/v1"}
MODELS = {"ollama": "llava", "openai": "gpt-4o-mini"}
MOST_BYTES = 2**20
MOST_CHARACTERS = 2000
MOST_TOKENS = 300
TASK = (
    "You see a small cutout of an astronomical image around one detection, and facts that a "
    "program measured. Describe in at most four sentences what the picture shows (shape, symmetry, "
    "neighbours) and which ordinary explanations fit, artefacts included. State only what the "
    "picture and the facts support. Do not claim a discovery."
)


class DescriptionFailed(JobError):
    """The endpoint did not answer with a description."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint; `address` ends before /chat/completions."""

    provider: str
    address: str
    model: str
    key: str
    timeout_s: float


def endpoint_of(settings: Settings) -> Endpoint:
    """The endpoint of the settings. Raises UsageError where none is switched on, or a key lacks."""
    provider = settings.llm_provider
    if not provider:
        raise UsageError(
            "descriptions are switched off: set LLM_PROVIDER to ollama or openai to have them"
        )
    if provider == "openai" and not settings.openai_api_key and not settings.llm_url:
        raise UsageError("LLM_PROVIDER=openai needs OPENAI_API_KEY")
    return Endpoint(
        provider=provider,
        address=(settings.llm_url or ADDRESSES[provider]).rstrip("/"),
        model=settings.llm_model or MODELS[provider],
        key=settings.openai_api_key,
        timeout_s=settings.llm_timeout_s,
    )


def describe(store: Store, endpoint: Endpoint, detection_id: str, now: datetime) -> dict[str, Any]:
    """Ask for a description of one detection and keep it. Raises DescriptionFailed, UsageError."""
    row = facts(store, detection_id)
    if row is None:
        raise UsageError(f"no detection {detection_id!r}: list them with GET /api/candidates")
    told = {
        name: value
        for name, value in row.items()
        if value is not None and name not in ("detection_id", "cutout_file")
    }
    prompt = f"{TASK}\n\nFacts: {json.dumps(told, default=str, sort_keys=True)}"
    text = ask(endpoint, prompt, store.files.get(row["cutout_file"]))
    kept = {
        "description_id": stable_id("description", detection_id, endpoint.model, now),
        "detection_id": detection_id,
        "provider": endpoint.provider,
        "model": endpoint.model,
        "prompt": prompt,
        "text": text,
        "made_at": now,
    }
    store.write({"descriptions": [kept]})
    return {"detection_id": detection_id, "model": endpoint.model, "text": text}


def ask(endpoint: Endpoint, prompt: str, picture: bytes) -> str:
    """The endpoint's answer to one prompt with one PNG. Raises DescriptionFailed."""
    encoded = base64.b64encode(picture).decode()
    content = [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
    ]
    body = {
        "model": endpoint.model, "temperature": 0, "max_tokens": MOST_TOKENS,
        "messages": [{"role": "user", "content": content}],
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    try:
        with requests.post(
            f"{endpoint.address}/chat/completions", json=body, headers=headers,
            timeout=endpoint.timeout_s, stream=True, allow_redirects=False,
        ) as answer:  # fmt: skip
            document = answer.raw.read(MOST_BYTES + 1, decode_content=True)
            status = answer.status_code
    except (requests.RequestException, OSError) as error:
        raise DescriptionFailed(
            f"{endpoint.provider} at {endpoint.address} cannot be reached "
            f"({type(error).__name__}): is it running, and is llm_url right?"
        ) from error
    if status != 200:
        raise DescriptionFailed(
            f"{endpoint.provider} answered with status {status} instead of 200: "
            f"{document[:200].decode(errors='replace')}"
        )
    if len(document) > MOST_BYTES:
        raise DescriptionFailed(f"{endpoint.provider} answered with more than {MOST_BYTES} bytes")
    return _text_of(endpoint, document)


def _text_of(endpoint: Endpoint, document: bytes) -> str:
    try:
        answer: Mapping[str, Any] = json.loads(document)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise DescriptionFailed(
            f"{endpoint.provider} answered with something else than a chat completion"
        ) from error
    if not isinstance(text, str) or not text.strip():
        raise DescriptionFailed(f"{endpoint.provider} answered without text")
    return text.strip()[:MOST_CHARACTERS]
