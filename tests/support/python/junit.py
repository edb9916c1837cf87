"""What others make of JUnit files.

    junit.py FOLDER COMMON STRICT

Prints a JSON object: `faults`, of STRICT against `junit-10.xsd`; `counts`, of COMMON by each reader; `cases`, the
class, name, file and line of each test case of COMMON. The schema comes with the source of pytest, which is fetched
into FOLDER once.
"""

import json
import pathlib
import subprocess
import sys
import tarfile
from xml.etree import ElementTree

import xunitparser
from junitparser import Error, Failure, JUnitXml, Skipped
from lxml import etree

PYTEST = "9.2.0"


def schema(folder):
    """The schema that Jenkins' xUnit plugin follows, as text."""
    path = folder / "junit-10.xsd"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--no-binary", "pytest", "--dest", folder, f"pytest=={PYTEST}"]
        subprocess.run([*command, *options], check=True, stdout=sys.stderr)
        with tarfile.open(folder / f"pytest-{PYTEST}.tar.gz") as source:
            member = f"pytest-{PYTEST}/testing/example_scripts/junit-10.xsd"
            path.write_bytes(source.extractfile(member).read())
    return path


def faults(xsd, file):
    validator = etree.XMLSchema(etree.parse(xsd))
    validator.validate(etree.parse(file))
    return [f"line {fault.line}: {fault.message}" for fault in validator.error_log]


def by_junitparser(file):
    cases = [case for suite in JUnitXml.fromfile(file) for case in suite]
    kinds = {"failed": Failure, "errored": Error, "skipped": Skipped}
    count = {name: 0 for name in ["passed", *kinds]}
    for case in cases:
        found = [name for name, kind in kinds.items() if any(isinstance(r, kind) for r in case.result)]
        count[found[0] if found else "passed"] += 1
    return count


def by_xunitparser(file):
    names = {"success": "passed", "failure": "failed", "error": "errored", "skipped": "skipped"}
    count = {name: 0 for name in names.values()}
    # One suite at a time: it takes properties of several for those of one, and stops at the second.
    for root in ElementTree.parse(file).getroot():
        suite, _ = xunitparser.Parser().parse_root(root)
        for case in suite:
            count[names[case.result]] += 1
    return count


def cases(file):
    keys = ["classname", "name", "file", "line"]
    return [[case.get(key) for key in keys] for case in etree.parse(file).iter("testcase")]


def main(folder, common, strict):
    readers = {"junitparser": by_junitparser, "xunitparser": by_xunitparser}
    seen = {
        "faults": faults(schema(pathlib.Path(folder)), strict),
        "counts": {name: reader(common) for name, reader in readers.items()},
        "cases": cases(common),
    }
    json.dump(seen, sys.stdout)


main(*sys.argv[1:4])
