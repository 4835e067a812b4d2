"""One Parquet file: its Arrow schema from Postgres's column types, its rows, its final name.

pyarrow has no types of its own to check against and is not always there, so it is imported when it
is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import orjson


class Unwritable(Exception):
    """The file system's refusal, told apart from a lost database's."""


class ParquetFile:
    """A Parquet file, which has its name when it is complete."""

    def __init__(self, path: Path, schema: Any) -> None:
        """Begins the file; raises Unwritable where it cannot be, as all that writes does."""
        self.path = path
        self.rows = 0
        self._schema = schema
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        parquet = importlib.import_module("pyarrow.parquet")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(self._unfinished, schema, compression="zstd")
        except OSError as error:
            raise Unwritable(error.strerror or str(error)) from error

    def add(self, rows: Sequence[asyncpg.Record]) -> None:
        """Adds rows, as one row group."""
        arrow = importlib.import_module("pyarrow")
        columns = [
            arrow.array(_plain(values, field), type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        try:
            self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))
        except OSError as error:
            raise Unwritable(error.strerror or str(error)) from error
        self.rows += len(rows)

    def finish(self, metadata: dict[str, str]) -> None:
        """Completes the file and gives it its name."""
        try:
            self._writer.add_key_value_metadata(metadata)
            self._writer.close()
            self._unfinished.replace(self.path)
        except OSError as error:
            raise Unwritable(error.strerror or str(error)) from error

    def discard(self) -> None:
        """Leaves nothing of a file that was not finished."""
        self._writer.close()
        self._unfinished.unlink(missing_ok=True)


def schema_of(columns: Sequence[asyncpg.Record], metadata: dict[str, str]) -> Any:
    """The Arrow schema of a view's columns (name, type, comment)."""
    arrow = importlib.import_module("pyarrow")
    fields = [
        arrow.field(
            column["name"],
            _type(arrow, column["type"]),
            metadata={"comment": column["comment"], "postgres_type": column["type"]},
        )
        for column in columns
    ]
    return arrow.schema(fields, metadata=metadata)


def _type(arrow: Any, postgres_type: str) -> Any:
    """The Arrow type for one of Postgres; ids and JSON are text."""
    types = {
        "uuid": arrow.string(),
        "text": arrow.string(),
        "jsonb": arrow.string(),
        "text[]": arrow.list_(arrow.string()),
        "integer": arrow.int32(),
        "bigint": arrow.int64(),
        "double precision": arrow.float64(),
        "numeric(20,6)": arrow.decimal128(20, 6),
        "date": arrow.date32(),
        "timestamp with time zone": arrow.timestamp("us", tz="UTC"),
    }
    return types[postgres_type]


def _plain(values: Sequence[Any], field: Any) -> Sequence[Any]:
    """A column's values as Arrow takes them."""
    match field.metadata[b"postgres_type"]:
        case b"uuid":
            return [None if value is None else str(value) for value in values]
        case b"jsonb":
            return [None if value is None else _json(value) for value in values]
    return values


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
