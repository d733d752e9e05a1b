"""Small web servers on this machine, so that downloads are tested with the real clients and no network."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def reply(self, code: int, content: bytes, body: bool, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def _running(handler: type[_Quiet]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def files(contents: dict[str, bytes], log: list[str], cut: bool = False) -> Iterator[str]:
    """Serve files by path; `cut=True` breaks every download off in the middle."""

    class Handler(_Quiet):
        def answer(self, body: bool) -> None:
            log.append(f"{self.command} {self.path}")
            content = contents.get(self.path.lstrip("/"))
            if content is None:
                self.reply(404, b"no such file", body)
            elif cut and body:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            else:
                self.reply(200, content, body)

    with _running(Handler) as address:
        yield address


@contextmanager
def silent(seconds: float = 30) -> Iterator[str]:
    """Accept connections and never answer, like a network that swallows everything."""
    over = threading.Event()

    class Handler(_Quiet):
        def answer(self, body: bool) -> None:
            over.wait(seconds)

    with _running(Handler) as address:
        yield address
        over.set()


@contextmanager
def hub(repositories: dict[str, tuple[str, dict[str, bytes]]], log: list[str]) -> Iterator[str]:
    """Imitate the part of the Hugging Face Hub that a download needs: {name: (commit, {file: content})}."""

    def git_hash(content: bytes) -> str:
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    class Handler(_Quiet):
        def answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            log.append(f"{self.command} {path}")
            asked = re.match(r"/api/models/(.+?)/(revision|tree)/([^/]+)$", path)
            file = re.match(r"/(.+?)/resolve/([^/]+)/(.+)$", path)
            name = asked[1] if asked else file[1] if file else ""
            if name not in repositories:
                self.reply(404, b"{}", body, X_Error_Code="RepoNotFound")
                return
            commit, contents = repositories[name]
            revision = asked[3] if asked else file[2]
            if revision not in ("main", commit):
                self.reply(404, b"{}", body, X_Error_Code="RevisionNotFound")
            elif asked and asked[2] == "revision":
                listed = [{"rfilename": each, "size": len(content)} for each, content in contents.items()]
                answer = {"id": name, "sha": commit, "siblings": listed}
                self.reply(200, json.dumps(answer).encode(), body, Content_Type="application/json")
            elif asked:
                tree = [
                    {"type": "file", "path": each, "size": len(content), "oid": git_hash(content)}
                    for each, content in contents.items()
                ]
                self.reply(200, json.dumps(tree).encode(), body, Content_Type="application/json")
            elif file[3] in contents:
                content = contents[file[3]]
                self.reply(200, content, body, ETag=f'"{git_hash(content)}"', X_Repo_Commit=commit)
            else:
                self.reply(404, b"{}", body, X_Error_Code="EntryNotFound")

    with _running(Handler) as address:
        yield address
