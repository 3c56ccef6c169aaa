"""A stand-in for W&B's server on the loopback, and what may become of it: errors, silence, nonsense."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = {
    "id": "cnVu", "name": "abcd1234", "displayName": "run", "description": None, "config": "{}", "sweepName": None,
    "project": {"id": "cHJv", "name": "p", "entity": {"id": "ZW50", "name": "team"}}, "historyLineCount": 0,
}  # fmt: skip
EMPTY = {
    "summaryMetrics": "{}", "eventsLineCount": 0, "eventsTail": "[]", "logLineCount": 0, "tags": [], "notes": None,
    "wandbConfig": '{"t": 1}',  # without it the client takes the run for one that never began
}  # fmt: skip


class FakeWandb(ThreadingHTTPServer):
    """Takes runs; ``mode`` says how it answers from now on: works, error, forbidden, hangs, or a body to send."""

    daemon_threads = True

    def __init__(self, mode: str = "works") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = mode
        self.asked = 0
        self.history: list[dict[str, Any]] = []  # of the one run, a dict a step
        self.views: list[dict[str, Any]] = []  # pages that were saved

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" in query:
            self.views.append(variables)
            project = {"id": "1", "name": variables["projectName"], "entityName": variables["entityName"]}
            kept = {key: variables[key] for key in ("name", "type", "displayName", "description", "spec")}
            view = {"id": "dmlldw==", "project": project, "updatedAt": "2025-01-01T00:00:00", **kept}
            return {"upsertView": {"view": view, "inserted": True}}
        if "ProjectInternalId" in query:
            return {"project": {"id": "1", "internalId": "UHJvamVjdDox"}}
        if "GetProjects" in query:
            node = {"__typename": "Project", "id": "1", "name": "counts", "entityName": "team", "user": None}
            node |= {"createdAt": "2025-01-01T00:00:00", "isBenchmark": False}
            pages = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
            return {"models": {"edges": [{"node": node}], "pageInfo": pages}}
        if "upsertBucket" in query:
            return {"upsertBucket": {"bucket": BUCKET, "inserted": True}}
        if "createRunFiles" in query:
            return {"createRunFiles": {"runID": "cnVu", "uploadHeaders": [], "files": []}}
        if "serverInfo" in query:
            return {"serverInfo": {"features": []}}
        if "RunResumeStatus" in query:
            tail = json.dumps([json.dumps(row) for row in self.history[-1:]])
            bucket = BUCKET | EMPTY | {"historyLineCount": len(self.history), "historyTail": tail}
            return {"model": BUCKET["project"] | {"bucket": bucket if self.history else None}}
        viewer = {"id": "1", "entity": "team", "username": "me", "flags": "{}", "teams": {"edges": []}}
        return {"viewer": viewer, "__typename": "Query"}

    def take(self, files: dict[str, Any]) -> None:
        """Write lines of the history where the client says, as the server does: over what is there."""
        if (lines := files.get("wandb-history.jsonl")) is not None:
            self.history[lines["offset"] :] = map(json.loads, lines["content"])


@contextmanager
def fake_wandb(mode: str = "works") -> Iterator[FakeWandb]:
    """The server, in a thread of its own."""
    server = FakeWandb(mode)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeWandb  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked += 1
        mode = self.server.mode
        if mode == "hangs":
            time.sleep(60)
        elif mode == "error":
            self._reply(500, "no")
        elif mode == "forbidden":
            self._reply(403, "no")
        elif mode != "works":
            self._reply(200, mode)
        elif self.path.endswith("/file_stream"):
            text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            self.server.take(json.loads(text).get("files", {}))
            self._reply(200, "{}")
        elif self.path == "/graphql":
            asked = json.loads(body)
            data = self.server.data(asked["query"], asked.get("variables") or {})
            self._reply(200, json.dumps({"data": data}))
        else:
            self._reply(200, "{}")

    do_GET = do_PUT = do_POST

    def _reply(self, code: int, body: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
