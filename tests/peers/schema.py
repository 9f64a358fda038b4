"""Judges TOML files by JSON Schemas: tomllib reads them, jsonschema judges. Arguments: the folder of schemas; files on
standard input, one a line as `kind path`. Writes a JSON list: one object a file, with what is wrong."""

import json
import pathlib
import sys
import tomllib

import jsonschema

folder = pathlib.Path(sys.argv[1])
validators = {}
for kind in ["connection", "flow", "flowgate", "agent"]:
    schema = json.loads((folder / f"{kind}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validators[kind] = jsonschema.Draft202012Validator(schema)

found = []
for line in sys.stdin:
    kind, path = line.rstrip("\n").split(" ", 1)
    try:
        document = tomllib.loads(pathlib.Path(path).read_text())
    except (ValueError, RecursionError) as error:
        found.append({"file": path, "wrong": [f"no TOML: {error}"]})
        continue
    errors = validators[kind].iter_errors(document)
    wrong = ["/".join(map(str, error.absolute_path)) + ": " + error.message[:200] for error in errors]
    found.append({"file": path, "wrong": wrong})
json.dump(found, sys.stdout)
