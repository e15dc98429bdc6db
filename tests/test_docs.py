"""The examples of README and docs run as they stand, and every page and link is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTED_ELSEWHERE = {"models.md", "network.md", "nsat.md"}
"""Pages whose example needs a place of its own: test_models.py, test_simulation.py and test_nsat_network.py run them."""


def examples() -> list[tuple[str, str]]:
    """(page, code) of every Python block."""
    found = []
    for page in PAGES:
        if page.name in TESTED_ELSEWHERE:
            continue
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
        if blocks:
            found.append((page.name, "\n".join(blocks)))
    return found


@pytest.mark.parametrize(("page", "code"), examples(), ids=[name for name, _ in examples()])
def test_python_examples_run(page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, one after another, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    _prepare(page)
    plain = re.sub(r"^(>>>|\.\.\.) ?", "", code, flags=re.M) if ">>>" in code else code
    exec(compile(plain, page, "exec"), {"__name__": "__main__"})  # our own pages, not a user's file


def _prepare(page: str) -> None:
    """Files that a page says the reader has."""
    if page in ("trace.md", "accounting.md"):
        import neurosim as ns

        ns.run("xor-mgd", output="run.h5", overrides={"stop.steps": 2000})


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the project."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
