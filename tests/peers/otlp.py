"""Judges what was sent to a collector: the bodies in the files named, read as OpenTelemetry's own protobuf messages, and
the tree their spans make. Prints the spans as JSON; ends with 1 and the reason where something is wrong."""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def binary(text, length):
    """Ids are hexadecimal in OTLP's JSON, where protobuf's own has base64."""
    raw = bytes.fromhex(text)
    assert len(raw) == length and any(raw), f"id {text}"
    return base64.b64encode(raw).decode()


def message(path):
    body = json.load(open(path, encoding="utf-8"))
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["traceId"] = binary(span["traceId"], 16)
                span["spanId"] = binary(span["spanId"], 8)
                if "parentSpanId" in span:
                    span["parentSpanId"] = binary(span["parentSpanId"], 8)
    return json_format.ParseDict(body, ExportTraceServiceRequest(), ignore_unknown_fields=False)


def attributes(pairs):
    found = {}
    for pair in pairs:
        assert pair.key not in found, f"attribute {pair.key} twice"
        found[pair.key] = getattr(pair.value, pair.value.WhichOneof("value"))
    return found


spans, resources = {}, []
for path in sys.argv[1:]:
    for resource in message(path).resource_spans:
        resources.append(attributes(resource.resource.attributes))
        for scope in resource.scope_spans:
            assert scope.scope.name == "flowgate", scope.scope
            for span in scope.spans:
                key = (span.trace_id, span.span_id)
                assert key not in spans, f"span {span.name} came twice"
                spans[key] = span

roots = {}
for (trace, _), span in spans.items():
    assert span.start_time_unix_nano <= span.end_time_unix_nano, span.name
    for event in span.events:
        assert span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano, event.name
    if not span.parent_span_id:
        assert trace not in roots, "a trace with two roots"
        roots[trace] = span
        continue
    parent = spans.get((trace, span.parent_span_id))
    assert parent is not None, f"the parent of {span.name} is not there"
    assert parent.start_time_unix_nano <= span.start_time_unix_nano, f"{span.name} begins before {parent.name}"
    assert span.end_time_unix_nano <= parent.end_time_unix_nano, f"{span.name} ends after {parent.name}"
assert {trace for trace, _ in spans} == set(roots), "a trace without a root"

out = []
for (trace, _), span in spans.items():
    parent = spans.get((trace, span.parent_span_id)) if span.parent_span_id else None
    out.append({
        "name": span.name,
        "parent": parent.name if parent else None,
        "kind": span.kind,
        "attributes": attributes(span.attributes),
        "events": [{"name": event.name, "attributes": attributes(event.attributes)} for event in span.events],
        "error": span.status.message if span.status.code == 2 else None,
    })
print(json.dumps({"resources": resources, "spans": out}))
