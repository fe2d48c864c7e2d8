"""Writes the installed versions, which were tested, to constraints.txt."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

OWN = {"cl-client", "cl-client-cli"}


def main() -> None:
    """Write names and versions, sorted."""
    versions = {d.name.lower().replace("_", "-").replace(".", "-"): d.version for d in distributions()}
    lines = [f"{name}=={version}" for name, version in sorted(versions.items()) if name not in OWN]
    target = Path(__file__).resolve().parent.parent / "constraints.txt"
    target.write_text("\n".join(lines) + "\n")
    print(f"{target.name}: {len(lines)} versions")


if __name__ == "__main__":
    main()
