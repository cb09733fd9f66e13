"""A small HTTP server on loopback that plays remote services in tests."""

from tests.loopback.clock import Hands
from tests.loopback.server import Asked, LoopbackServer, Reply, free_port

__all__ = ["Asked", "Hands", "LoopbackServer", "Reply", "free_port"]
