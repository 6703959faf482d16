"""A language model behind the OpenAI protocol on loopback that answers well, badly or not at all.

It is no model: it takes the entries out of the prompt and copies their sentences, so that what it says is in the
dictionary. A share of the answers is spoilt, by chance from a seed, in all the ways that servers and models have.
"""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = (
    "rate_limit",
    "server_error",
    "timeout",
    "cut_json",
    "wrong_schema",
    "no_choice",
    "length",
    "refusal",
    "closed",
    "not_json",
)
# The first, cheap call of a client, as it stands in the JSON of the messages.
TRIAL = '{\\"ready\\"'
_FENCED = re.compile(r"<<<([0-9A-F]{10})\n(.*?)\n\1>>>", re.DOTALL)
_ENTRY = re.compile(r"(?:Entry|条目|Madde) (E\d+)\n<<<([0-9A-F]{10})\n[^\n:：]*[:：] ?(.*?)\n\2>>>", re.DOTALL)


@dataclass
class Seen:
    """A request that arrived and what was done with it."""

    messages: str
    outcome: str
    authorization: str
    body: dict


def copying_model(prompt: str) -> dict:
    """A good answer to one of the prompts, made of the words of its entries or of the text given."""
    entries = {ref: text.split("\n")[0] for ref, _, text in _ENTRY.findall(prompt)}
    question = prompt.split("\nYour answer before was:")[0]
    fenced = [text for _, text in _FENCED.findall(question)]
    if '"ready"' in prompt:
        return {"ready": True}
    wanted = prompt[prompt.index("JSON: ") :] if "JSON: " in prompt else prompt
    first = next(iter(entries), "E1")
    text = entries.get(first) or fenced[0]
    reply: dict = {}
    if '"description"' in wanted:
        reply["description"] = text
        reply["evidence"] = [{"entry": first, "quote": text}]
    if '"variants"' in wanted:
        reply["variants"] = [f"{text} {mark}" for mark in ("So.", "Yes.", "Thus.", "Indeed.")]
    if '"segments"' in wanted:
        reply["segments"] = [{"text": text, "parts": ["right_hand"]}]
    return reply


@dataclass
class FaultServer:
    """The server; use it as a context manager.

    Attributes:
        bad: share of the answers that are spoilt.
        faults: the ways to spoil one.
        seed: of the chances.
        formats: values of response_format.type that are known; others get status 400.
        model: answers prompts.
        models: names of the models there.
        key: that is wanted; None: any.
        delay: seconds before every answer.
        hang: seconds that a 'timeout' takes.
    """

    bad: float = 0.0
    faults: tuple[str, ...] = FAULTS
    seed: int = 0
    formats: tuple[str, ...] = ("json_schema", "json_object")
    model: Callable[[str], dict | str] = copying_model
    models: tuple[str, ...] = ("test-model",)
    key: str | None = None
    delay: float = 0.0
    hang: float = 1.0
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> FaultServer:
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)
        server = self

        class Handler(_Handler):
            faults = server

        self._http = _SilentServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def questions(self) -> list[Seen]:
        """The requests without the trial."""
        return [seen for seen in self.seen if TRIAL not in seen.messages]

    def answered_twice(self) -> list[str]:
        """Messages that got a good answer more than once."""
        good = Counter(seen.messages for seen in self.questions if seen.outcome == "good")
        return [messages for messages, number in good.items() if number > 1]

    def choose(self) -> str:
        """What happens to the next answer."""
        with self._lock:
            if self._random.random() >= self.bad:
                return "good"
            return self._random.choice(self.faults)

    def note(self, seen: Seen) -> None:
        """Keep what happened."""
        with self._lock:
            self.seen.append(seen)


class _SilentServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that was killed leaves connections behind; no word about them."""


class _Handler(BaseHTTPRequestHandler):
    faults: FaultServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        names = [{"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in self.faults.models]
        self._reply(200, {"object": "list", "data": names})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers.get("Authorization", "")
        messages = json.dumps(body["messages"], ensure_ascii=False)
        server = self.faults
        if server.key is not None and authorization != f"Bearer {server.key}":
            self._note(messages, "wrong key", body)
            return self._reply(401, {"error": {"message": f"Incorrect API key provided: {authorization}"}})
        if body["model"] not in server.models:
            self._note(messages, "no model", body)
            return self._reply(404, {"error": {"message": f"The model {body['model']} does not exist"}})
        wanted = body.get("response_format", {}).get("type")
        if wanted is not None and wanted not in server.formats:
            self._note(messages, "format refused", body)
            return self._reply(400, {"error": {"message": f"response_format {wanted} is not supported"}})
        time.sleep(server.delay)
        outcome = "good" if TRIAL in messages else server.choose()
        self._note(messages, outcome, body)
        return getattr(self, f"_{outcome}")(body)

    def _note(self, messages: str, outcome: str, body: dict) -> None:
        self.faults.note(Seen(messages, outcome, self.headers.get("Authorization", ""), body))

    def _good(self, body: dict) -> None:
        self._reply(200, self._completion(self._content(body), body))

    def _content(self, body: dict) -> str:
        answer = self.faults.model("\n".join(message["content"] for message in body["messages"]))
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)

    def _rate_limit(self, body: dict) -> None:
        headers = {"Retry-After": "0.05"} if len(self.faults.seen) % 2 else {"retry-after-ms": "20"}
        self._reply(429, {"error": {"message": "too many requests", "type": "rate_limit"}}, headers)

    def _server_error(self, body: dict) -> None:
        self._reply(500, {"error": {"message": "internal error"}}, {"retry-after-ms": "20"})

    def _timeout(self, body: dict) -> None:
        time.sleep(self.faults.hang)
        self.close_connection = True

    def _cut_json(self, body: dict) -> None:
        content = self._content(body)
        self._reply(200, self._completion(content[: len(content) // 2], body))

    def _wrong_schema(self, body: dict) -> None:
        self._reply(200, self._completion('{"text": "the hand moves", "evidence": "see above"}', body))

    def _no_choice(self, body: dict) -> None:
        self._reply(200, {**self._completion("", body), "choices": []})

    def _length(self, body: dict) -> None:
        # whole JSON, but the server says that it was cut: it does not count
        self._reply(200, self._completion(self._content(body), body, finish="length"))

    def _refusal(self, body: dict) -> None:
        completion = self._completion("", body)
        completion["choices"][0]["message"] |= {"content": None, "refusal": "I cannot help with that."}
        self._reply(200, completion)

    def _closed(self, body: dict) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _not_json(self, body: dict) -> None:
        self._raw(200, b'{"id": "x", "choices": [{"index": 0, "mess')

    def _completion(self, content: str, body: dict, finish: str = "stop") -> dict:
        read, written = len(json.dumps(body, ensure_ascii=False).encode()) // 4, len(content.encode()) // 4
        return {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 0,
            "model": self.faults.models[0],
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
        }

    def _reply(self, status: int, content: dict, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(content, ensure_ascii=False).encode(), headers)

    def _raw(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client was killed or has given up
