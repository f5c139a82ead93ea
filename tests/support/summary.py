# SPDX-License-Identifier: ISC
"""Adds up what meson's and pytest's result files say; prints the one closing line of tests/run.

usage: summary.py ALLOWED_SKIPS RESULT_FILE...   (testlog.json of meson, *.xml of pytest; *-again.xml: of tests run once more)

A cmocka program counts each of its tests (TAP lines); a program that died counts one failure more, one without
TAP lines counts as one test. A test that failed beside others and passed alone is counted as passed and named. Exit status 1 on a failure, or on a skip that ALLOWED_SKIPS does not name."""
import fnmatch
import json
import re
import sys
import xml.etree.ElementTree as ET

TAP = re.compile(r"^\s*(not ok|ok)\b\s*\d*\s*(?:- )?(.*)$", re.M)


def from_meson(path):
    """Yields (name, outcome, detail)."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            name = record["name"]
            text = (record.get("stdout") or "") + "\n" + (record.get("stderr") or "")
            bad = good = 0
            for verdict, what in TAP.findall(text):
                if re.search(r"# *SKIP", what, re.I):
                    yield f"{name}::{what.split('#')[0].strip()}", "skipped", "skipped by the test"
                elif verdict == "ok":
                    good += 1
                    yield f"{name}::{what}", "passed", ""
                else:
                    bad += 1
                    yield f"{name}::{what}", "failed", ""
            result = record["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                if not good and not bad:
                    yield name, "passed", ""
            elif result == "SKIP":
                yield name, "skipped", "exit status 77"
            elif not bad:
                yield name, "failed", f"{result}, exit status {record.get('returncode')}\n{text[-3000:]}"
            else:
                sys.stdout.write(text[-3000:] + "\n")


def from_pytest(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            yield name, "failed", ""
        elif "skipped" in kinds:
            yield name, "skipped", kinds["skipped"].get("message") or ""
        else:
            yield name, "passed", ""


def gather(paths):
    """{path: results}, without the failures that passed alone; those are told."""
    results, wrong = {}, []
    for path in paths:
        try:
            results[path] = list(from_meson(path) if path.endswith(".json") else from_pytest(path))
        except (OSError, ET.ParseError, ValueError) as e:
            wrong.append((path, "failed", f"no results: {e}"))
    for path in [p for p in results if p.endswith("-again.xml")]:
        again = {name: outcome for name, outcome, _ in results.pop(path)}
        for other, cases in results.items():
            for i, (name, outcome, _) in enumerate(cases):
                if outcome == "failed" and again.get(name) == "passed":
                    print(f"UNSTABLE {name}: failed beside other tests, passed alone")
                    results[other][i] = (name, "passed", "")
    return [case for cases in results.values() for case in cases] + wrong


def main():
    allowed = []
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line:
                allowed.append(line)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    wrong = 0
    for name, outcome, detail in gather(sys.argv[2:]):
        count[outcome] += 1
        if outcome == "failed":
            print(f"FAILED {name}{': ' + detail if detail else ''}")
        if outcome == "skipped" and not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
            wrong += 1
            print(f"SKIPPED {name}: {detail}: not in tests/allowed-skips.txt")
    if not count["passed"]:
        print("no test ran")
        wrong += 1
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or wrong else 0


sys.exit(main())
