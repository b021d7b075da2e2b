"""Record what real OpenTelemetry GenAI instrumentations emit, as OTLP JSON lines.

What belongs here: an OpenAI client under a real instrumentation, calling a local stand-in for the model
server, and OpenTelemetry's own JSON file exporter. What does not: any reading of the spans (that is the
adapter under test).

One run records one way of emitting (`--mode`):

| mode | packages | what it shows |
|---|---|---|
| events | opentelemetry-instrumentation-openai-v2 2.3b0 | one log record per message, span without content |
| span | the same 2.4b0, opentelemetry-util-genai 1.0b0, span_only | `gen_ai.input.messages`, a JSON string |
| details | the same, event_only | `gen_ai.input.messages` as a native array on a log event |
| both | the same, span_and_event | both |
| traceloop | opentelemetry-instrumentation-openai, new | JSON string, user in the parent span |
| flattened | opentelemetry-instrumentation-openai 0.40 | `gen_ai.prompt.N.content` |

Needs, in an environment of its own: the packages of the mode, opentelemetry-exporter-otlp-json-file,
opentelemetry-processor-baggage and openai. Spans and logs go to one file, so their lines interleave in either
order.

    python otel_clients.py --mode events --out otel.ndjson --truth otel.truth.ndjson --calls 500
"""

import argparse
import json
import os
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prompts import ANSWERS, SYSTEM_PROMPTS, all_prompts

PORT = int(os.environ.get("MOCK_PORT", "4997"))
USERS = [f"acct-{i:02d}" for i in range(10)]
MODELS = ("gpt-4o-mini", "gpt-4o")
CONTENT = {"events": "true", "span": "span_only", "details": "event_only", "both": "span_and_event"}


class ModelServer(BaseHTTPRequestHandler):
    """Answers /chat/completions and /embeddings as OpenAI's API does; tokens are the text's words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        code, answer = 200, self.embedding(body) if self.path.endswith("/embeddings") else self.chat(body)
        if body["model"] == "broken":
            code, answer = (
                400,
                {"error": {"message": "no such model", "type": "invalid_request_error", "code": "400"}},
            )
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @staticmethod
    def chat(body: dict) -> dict:
        text = ANSWERS[len(json.dumps(body["messages"])) % len(ANSWERS)]
        words = count_tokens(body["messages"])
        usage = {
            "prompt_tokens": words,
            "completion_tokens": len(text.split()),
            "total_tokens": words + len(text.split()),
        }
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return {
            "id": f"chatcmpl-{random.getrandbits(64):x}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": body["model"] + "-2026-01-01",
            "choices": [choice],
            "usage": usage,
        }

    @staticmethod
    def embedding(body: dict) -> dict:
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {
            "object": "list",
            "model": body["model"],
            "data": data,
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def count_tokens(messages: list[dict]) -> int:
    """What the stand-in server bills: words of all messages."""
    return len(json.dumps(messages).split())


def instrument(mode: str, out: Path) -> object:
    """Install exporters, processors and the instrumentation; returns the tracer provider and its friends."""
    if mode in CONTENT:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = CONTENT[mode]
        if mode != "events":
            os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    from opentelemetry.exporter.otlp.json.file import FileSpanExporter
    from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
    from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource({"service.name": "demo-gateway"})
    traces, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    traces.add_span_processor(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
    traces.add_span_processor(
        BatchSpanProcessor(FileSpanExporter(out), schedule_delay_millis=150, max_export_batch_size=16)
    )
    logs.add_log_record_processor(
        BatchLogRecordProcessor(FileLogExporter(out), schedule_delay_millis=90, max_export_batch_size=16)
    )
    if mode in CONTENT:
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=traces, logger_provider=logs)
    else:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor as Traceloop

        Traceloop().instrument(tracer_provider=traces)
    return traces, logs


def one_call(client: object, tracer: object, mode: str, number: int, prompt: str, rng: random.Random) -> dict:
    """One incoming request of a gateway: a SERVER span, inside it the client's call; returns the truth."""
    import openai
    from opentelemetry import baggage, context, trace

    user, model, turn = rng.choice(USERS), rng.choice(MODELS), rng.choice((0, 0, 0, 1, 2))
    kind = rng.choices(["plain", "parts", "tools", "failure", "embedding"], [80, 6, 5, 4, 5])[0]
    where = {"traceloop": "association", "flattened": "association", "details": "server"}.get(mode, "baggage")
    messages: list[dict] = [{"role": "system", "content": rng.choice(SYSTEM_PROMPTS)}]
    for step in range(turn):
        messages += [
            {"role": "user", "content": f"Opening question {step}."},
            {"role": "assistant", "content": "Noted."},
        ]
    messages.append(
        {"role": "user", "content": [{"type": "text", "text": prompt}] if kind == "parts" else prompt}
    )
    if kind == "tools":
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Nothing."},
        ]
    current = context.get_current()
    if where == "baggage":
        current = baggage.set_baggage("user.id", user, current)
    if where == "association":
        current = context.set_value("association_properties", {"user_id": user}, current)
    token = context.attach(current)
    usage: dict = {}
    try:
        with tracer.start_as_current_span("POST /v1/chat", kind=trace.SpanKind.SERVER) as server:
            if where == "server":
                server.set_attribute("enduser.id", user)
                server.set_attribute("client.address", "203.0.113.7")
            if where == "association":
                server.set_attribute("traceloop.association.properties.user_id", user)
            if kind == "embedding":
                model, prompt, turn = "text-embedding-3-small", prompt, None
                client.embeddings.create(model=model, input=prompt)
                usage = {"prompt_tokens": 3}
            else:
                model = "broken" if kind == "failure" else model
                try:
                    done = client.chat.completions.create(
                        model=model, messages=messages, temperature=0.5, max_tokens=64
                    )
                    usage = done.usage.model_dump(include={"prompt_tokens", "completion_tokens"})
                except openai.BadRequestError:
                    usage = {}
            trace_id = f"{server.get_span_context().trace_id:032x}"
    finally:
        context.detach(token)
    said = {"account_id": user, "prompt": prompt, "model": model, "turn_index": turn}
    return {"call": number, "mode": mode, "kind": kind, "trace_id": trace_id} | said | usage


def main() -> None:
    """Start the stand-in server, record one mode, flush; appends to both files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=[*CONTENT, "traceloop", "flattened"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    traces, logs = instrument(options.mode, options.out)
    import openai

    server = ThreadingHTTPServer(("127.0.0.1", PORT), ModelServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="none", max_retries=0)
    tracer, prompts = traces.get_tracer("demo-gateway"), all_prompts()
    with options.truth.open("a") as truth:
        for i in range(options.calls):
            rng = random.Random(options.seed * 1_000_003 + i)
            row = one_call(client, tracer, options.mode, i, prompts[(i * 7) % len(prompts)], rng)
            truth.write(json.dumps(row) + "\n")
    traces.shutdown()
    logs.shutdown()
    server.shutdown()


if __name__ == "__main__":
    main()
