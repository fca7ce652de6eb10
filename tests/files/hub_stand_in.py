"""A stand-in of the Hugging Face hub: as much of its HTTP interface as uploads and downloads use.

It keeps one revision of each repository in memory. Weights come by Git LFS, all else in the commit.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_stand_in"


class StandIn(ThreadingHTTPServer):
    """repos: the files of each repository, by their names; refuse: the status of every request that
    writes, 0 to let it pass."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        return

    # ---- answers ----

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _say(self, answer: Any, status: int = 200, **headers: str) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self, what: str) -> None:
        self._say({"error": what}, 404, X_Error_Code=what, X_Error_Message=what)

    # ---- reading ----

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def _read(self) -> None:
        if found := re.match(r"/api/models/([^/]+/[^/]+)", self.path):
            files = self.server.repos.get(found[1])
            if files is None:
                return self._missing("RepoNotFound")
            if "/tree/" in self.path:
                entries = [
                    {"type": "file", "oid": _oid(data), "size": len(data), "path": name}
                    for name, data in files.items()
                ]
                return self._say(entries)
            names = [{"rfilename": name} for name in files]
            return self._say({"id": found[1], "sha": COMMIT, "siblings": names})
        if found := re.match(r"/([^/]+/[^/]+)/resolve/[^/]+/([^?]+)", self.path):
            files = self.server.repos.get(found[1], {})
            if found[2] not in files:
                return self._missing("EntryNotFound")
            data = files[found[2]]
            return self._say(data, ETag=f'"{_oid(data)}"', X_Repo_Commit=COMMIT)
        self._missing("EntryNotFound")

    # ---- writing ----

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say({"error": "no token"}, 401, X_Error_Message="Invalid user token.")
        if self.path == "/api/validate-yaml":
            return self._say({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            told = json.loads(body)
            owner = told.get("organization") or "me"
            name = f"{owner}/{told['name']}"
            self.server.repos.setdefault(name, {})
            return self._say({"url": f"{self.server.address}/{name}", "name": name})
        if found := re.match(r"/api/models/([^/]+/[^/]+)/preupload/", self.path):
            files = json.loads(body)["files"]
            return self._say({"files": [_mode(each["path"]) for each in files]})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            return self._say({"transfer": "basic", "objects": [self._place(o) for o in objects]})
        if found := re.match(r"/api/models/([^/]+/[^/]+)/commit/", self.path):
            self._commit(found[1], body)
            address = f"{self.server.address}/{found[1]}"
            return self._say({"commitUrl": f"{address}/commit/{COMMIT}", "commitOid": COMMIT})
        self._missing("EntryNotFound")

    def do_PUT(self) -> None:
        self.server.objects[self.path.split("/")[-1]] = self._body()
        self._say({})

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.server.address}/objects/{wanted['oid']}"
        return {**wanted, "actions": {"upload": {"href": href}}}

    def _commit(self, repo: str, body: bytes) -> None:
        files = self.server.repos[repo]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.server.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]


def _mode(path: str) -> dict[str, Any]:
    heavy = path.endswith(".safetensors")
    return {"path": path, "uploadMode": "lfs" if heavy else "regular", "shouldIgnore": False}


def _oid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
