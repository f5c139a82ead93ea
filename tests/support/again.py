# SPDX-License-Identifier: ISC
"""Names the end-to-end tests of RESULT_FILE... (pytest's junit files) that may be run once more, alone, one a line.

A machine that is short of processor time can make a test miss its moment. Not what looks like a fault of the
program: a sanitizer's report or a signal fails for good; and with more than MANY failures something is broken."""
import re
import sys
import xml.etree.ElementTree as ET

MANY = 5
FAULT = re.compile(r"Sanitizer|runtime error:|pooler exited with|core dumped")
NEVER = ("test_attack", "differential")  # what these find is found by chance


def main():
    failed = []
    for path in sys.argv[1:]:
        try:
            cases = list(ET.parse(path).getroot().iter("testcase"))
        except (OSError, ET.ParseError):
            return  # a run that died
        for case in cases:
            texts = [(part.get("message") or "") + (part.text or "") for part in case if part.tag in ("failure", "error")]
            if any(FAULT.search(text) for text in texts) or (texts and any(name in case.get("file") for name in NEVER)):
                return
            if texts:
                failed.append(f"{case.get('file')}::{case.get('name')}")
    if len(failed) <= MANY:
        print("\n".join(failed))


main()
