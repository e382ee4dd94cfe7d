"""Known vulnerabilities among the packages of an environment, by pip-audit. Fails where one is reported.

    python .ci/audit.py PIP-AUDIT SITE-PACKAGES

Where no service can be asked for them, it says so and passes: this also runs where the network ends at a mirror of packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SERVICES = ("pypi", "osv")


def main(program: str, packages: str) -> int:
    """Ask one service after the other; print what came of it and return the exit code."""
    for service in SERVICES:
        command = [program, "--path", packages, "--vulnerability-service", service, "--format", "json", "--timeout", "10"]
        child = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the program that CI installed
        found = dependencies(child.stdout)
        audited = [each for each in found if "skip_reason" not in each]
        told = [sentence(each, hole) for each in audited for hole in each["vulns"]]
        if audited:
            unknown = ", ".join(each["name"] for each in found if each not in audited) or "none"
            print("\n".join(told) or f"audit: {len(audited)} packages, none with a known vulnerability; not known: {unknown}")
            return 1 if told else 0
        reason = f"knows none of {len(found)} packages" if found else (child.stderr.strip().splitlines() or ["said nothing"])[-1]
        print(f"audit: {service} {reason[:200]}")
    print("audit: SKIPPED, as no service told anything")
    return 0


def sentence(package: dict[str, Any], hole: dict[str, Any]) -> str:
    """A vulnerability of a package, in words."""
    mended = ", ".join(hole["fix_versions"]) or "no version yet"
    return f"audit: {package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def dependencies(answer: str) -> list[dict[str, Any]]:
    """What pip-audit's JSON lists; nothing where it is none."""
    try:
        return json.loads(answer)["dependencies"]
    except (ValueError, KeyError):
        return []


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
