# SPDX-License-Identifier: ISC
"""The documented schema of the advisor's JSON, and what does not follow it."""
import json
import pathlib

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[3]


def closed(node):
    """The schema with every object that lists properties refusing others: a field that nobody described fails."""
    if isinstance(node, list):
        return [closed(n) for n in node]
    if not isinstance(node, dict):
        return node
    done = {k: closed(v) for k, v in node.items()}
    if "properties" in done and "required" in done:
        done["unevaluatedProperties"] = False
    return done


def load():
    return json.loads((ROOT / "docs/advisor-report.schema.json").read_text(encoding="utf-8"))


def problems(report):
    schema = closed(load())
    # What allOf merges is closed by the one that merges.
    del schema["$defs"]["query"]["unevaluatedProperties"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
            for e in jsonschema.Draft202012Validator(schema).iter_errors(report)]
