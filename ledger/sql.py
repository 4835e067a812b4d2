"""Named SQL statements, kept in a `.sql` file beside the module that sends them.

    -- name: lock_head
    -- What the statement promises.
    SELECT …

A statement is whole text: nothing is ever put together from strings, so what is read here
is what Postgres is asked.
"""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Statements:
    """The statements of one file, as attributes."""

    def __init__(self, path: Path) -> None:
        """Reads and splits the file; a name given twice is an error."""
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        names = parts[1::2]
        if len(names) != len(set(names)):
            raise ValueError(f"{path} names a statement twice")
        self._texts = dict(zip(names, parts[2::2], strict=True))

    def __getattr__(self, name: str) -> str:
        """The text of the statement of this name."""
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(name) from None


def beside(module_file: str) -> Statements:
    """The statements of `module.sql` for `module.py`; call with `__file__`."""
    return Statements(Path(module_file).with_suffix(".sql"))
