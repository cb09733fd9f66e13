"""The post office of a soak: it takes messages in and keeps each of them, to be counted."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

POST_FILE = "post"
LOG_FILE = "told.jsonl"


def keep_post(root: Path) -> int:
    """Serve until killed; every third message is refused with an error."""
    seen = 0

    class Office(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take a message in."""
            nonlocal seen
            seen += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            refused = seen % 3 == 0
            if not refused:
                with (root / LOG_FILE).open("a") as log:
                    log.write(json.dumps(json.loads(body).get("message", "")) + "\n")
            self.send_response(500 if refused else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Office) as server:
        (root / "post.part").write_text(str(server.server_port))
        (root / "post.part").rename(root / POST_FILE)
        server.serve_forever()
    return 0
