"""The owner's HTTP API, under /api of whatever serves it."""

from __future__ import annotations

from jobs.api.routes import routes

__all__ = ["routes"]
