"""Record what the LiteLLM proxy logs through its own `generic_api` callback.

What belongs here: starting the real proxy with mocked model answers, sending it calls, keeping what it logs
and the truth about what was sent. What does not: any reading of the log (that is the adapter under test).

Needs `pip install "litellm[proxy]"` (1.108) in an environment of its own; run with that environment's Python:

    python litellm_proxy.py --out litellm.ndjson --truth litellm.truth.ndjson --calls 3000

Everything listens on the loopback address and nothing is sent elsewhere. Keys are made up in this file.
"""

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prompts import ANSWERS, SYSTEM_PROMPTS, all_prompts

PROXY_PORT, SINK_PORT = 4998, 4999
MODELS = ("gpt-4o-mini", "gpt-4o", "claude-haiku")
KEYS = {f"sk-demo-{i:02d}": (f"user-{i:02d}", f"team-{i % 4}", f"org-{i % 2}") for i in range(12)}

AUTH = f"""
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

KEYS = {KEYS!r}


async def authenticate(request, api_key):
    if api_key not in KEYS:
        raise ProxyException(message="unknown key", type="auth_error", param="api_key", code=401)
    user, team, org = KEYS[api_key]
    return UserAPIKeyAuth(api_key=api_key, user_id=user, team_id=team, org_id=org)
"""
CONFIG = f"""
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: "{ANSWERS[0]}"}}
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_key: none, mock_response: "{ANSWERS[1]}"}}
  - model_name: claude-haiku
    litellm_params: {{model: anthropic/claude-haiku-4-5, api_key: none, mock_response: "{ANSWERS[2]}"}}
  - model_name: broken
    litellm_params: {{model: openai/gpt-4o, api_key: none, mock_response: "litellm.InternalServerError"}}
  - model_name: fragile
    litellm_params: {{model: openai/gpt-4.1, api_key: none, mock_response: "litellm.InternalServerError"}}
  - model_name: embed
    litellm_params: {{model: openai/text-embedding-3-small, api_key: none, mock_response: [0.1, 0.2]}}
litellm_settings:
  callbacks: ["sink"]
router_settings: {{num_retries: 0, fallbacks: [{{fragile: [gpt-4o]}}]}}
callback_settings:
  sink:
    callback_type: generic_api
    endpoint: http://127.0.0.1:{SINK_PORT}/log
    headers: {{X-Source: litellm}}
    log_format: ndjson
general_settings:
  custom_auth: recorded_auth.authenticate
"""


class Sink(BaseHTTPRequestHandler):
    """Receives the callback's batches (one JSON object per line) and appends them to `path`."""

    path_out: Path
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.lock, self.path_out.open("ab") as out:
            out.write(body.rstrip(b"\n") + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def post(
    path: str, key: str, body: dict[str, object], headers: dict[str, str]
) -> tuple[str | None, dict[str, object]]:
    """Send one call; returns the proxy's call id (absent when it refuses the key) and the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PROXY_PORT}{path}",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "user-agent": "demo-client/1.0",
        }
        | headers,
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.headers.get("x-litellm-call-id"), json.load(answer)
    except urllib.error.HTTPError as error:
        return error.headers.get("x-litellm-call-id"), {"status": error.code}


def one_call(number: int, prompt: str, rng: random.Random) -> dict[str, object]:
    """Choose a kind of call, send it, and return the truth about it."""
    key = rng.choice(list(KEYS))
    user, _team, org = KEYS[key]
    model, headers, turn, path = rng.choice(MODELS), {}, 0, "/v1/chat/completions"
    kind = rng.choices(
        [
            "plain",
            "turns",
            "parts",
            "redacted",
            "failure",
            "refused",
            "embedding",
            "text",
            "session",
            "tools",
            "responses",
            "fallback",
        ],
        [40, 20, 10, 4, 4, 3, 4, 4, 5, 3, 3, 3],
    )[0]
    body: dict[str, object] = {"temperature": 0.5, "max_tokens": 64}
    messages: list[dict[str, object]] = [{"role": "system", "content": rng.choice(SYSTEM_PROMPTS)}]
    if kind in ("turns", "session"):
        turn = rng.randint(1, 3)
        for step in range(turn):
            messages += [
                {"role": "user", "content": f"Opening question {step}."},
                {"role": "assistant", "content": "Noted."},
            ]
    if kind == "tools":
        body["tools"] = [
            {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
        ]
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        # A tool round trip: the last message is the tool's, the last user turn is before it.
        messages += [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Nothing found."},
        ]
    elif kind == "parts":
        messages.append({"role": "user", "content": [{"type": "text", "text": prompt}]})
    else:
        messages.append({"role": "user", "content": prompt})
    body["messages"] = messages
    if kind == "failure":
        model = "broken"
    elif kind == "fallback":
        model = "fragile"
    elif kind == "refused":
        key, user = f"sk-unknown-{number}", None
    elif kind == "redacted":
        headers["x-litellm-enable-message-redaction"] = "true"
    elif kind == "session":
        body["metadata"] = {"session_id": f"session-{number}"}
    elif kind == "embedding":
        path, model, body = "/v1/embeddings", "embed", {"input": [prompt, "A second input."]}
        prompt += "\nA second input."
    elif kind == "text":
        path, body = "/v1/completions", {"prompt": prompt, "max_tokens": 64}
    elif kind == "responses":
        path, body = "/v1/responses", {"input": prompt}
    call_id, answer = post(path, key, body | {"model": model}, headers)
    said = {"account_id": user, "org_id": org, "prompt": prompt, "model": model, "turn_index": turn}
    session = f"session-{number}" if kind == "session" else None
    return {"event_id": call_id, "kind": kind} | said | {"usage": answer.get("usage"), "session": session}


def main() -> None:
    """Start sink and proxy, send the calls, wait until all are logged, stop both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.unlink(missing_ok=True)
    Sink.path_out = options.out
    sink = ThreadingHTTPServer(("127.0.0.1", SINK_PORT), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "recorded_auth.py").write_text(AUTH)
        Path(folder, "config.yaml").write_text(CONFIG)
        # A clean environment: the proxy sees no credential but a master key made for this run.
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                       "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(24)}  # fmt: skip
        proxy = subprocess.Popen(
            [str(Path(sys.executable).with_name("litellm")), "--config", "config.yaml", "--host", "127.0.0.1",
             "--port", str(PROXY_PORT), "--telemetry", "False"],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_until_alive()
            prompts = all_prompts()
            seeds = [options.seed * 1_000_003 + i for i in range(options.calls)]
            jobs = [(i, prompts[i % len(prompts)], random.Random(seed)) for i, seed in enumerate(seeds)]
            with ThreadPoolExecutor(8) as pool:
                truth = list(pool.map(lambda job: one_call(*job), jobs))
            _wait_until_logged(options.out, options.calls)
        finally:
            proxy.terminate()
            proxy.wait(30)
            sink.shutdown()
    if lost := [row for row in truth if row["event_id"] is None and row["kind"] != "refused"]:
        raise SystemExit(f"the proxy refused {len(lost)} calls that it should have answered")
    options.truth.write_text("".join(json.dumps(row) + "\n" for row in truth))


def _wait_until_alive() -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PROXY_PORT}/health/liveliness", timeout=2).close()
            return
        except OSError:
            time.sleep(1)
    raise SystemExit("the proxy did not come up within two minutes")


def _wait_until_logged(out: Path, calls: int) -> None:
    """Wait until every call is there and nothing more came for two flush intervals (5 s each)."""
    count, quiet = 0, 0
    for _ in range(180):
        time.sleep(1)
        now = out.read_bytes().count(b"\n") if out.exists() else 0
        count, quiet = now, quiet + 1 if now == count else 0
        if count >= calls and quiet >= 12:
            return
    raise SystemExit(f"only {count} of {calls} calls were logged")


if __name__ == "__main__":
    main()
