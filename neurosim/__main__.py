"""``python -m neurosim`` is the command ``neurosim``."""

from __future__ import annotations

from neurosim.cli import main

if __name__ == "__main__":
    main()
