"""Judges expressions with Jinja2 itself. Reads a JSON list of { expression, record }, writes a JSON list of { value } or
{ error }; what HTML calls by several names is written in one of them."""

import json
import sys
import warnings

import jinja2
import markupsafe

warnings.simplefilter("ignore")
ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined)


def plain(value):
    if isinstance(value, markupsafe.Markup):
        return str(value).replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
    if isinstance(value, dict):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return [plain(item) for item in value]


def judged(case):
    try:
        value = ENVIRONMENT.compile_expression(case["expression"], undefined_to_none=False)(record=case["record"])
        return {"value": plain(value)}
    except Exception as error:  # whatever the package throws is a refusal
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([judged(case) for case in json.load(sys.stdin)], sys.stdout)
