"""Reads tables from Parquet files, whose few bytes may stand for many rows."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vaebench.errors import UserError
from vaebench.files import read_content
from vaebench.reading.parsing import parsing

LARGEST = 512 * 1024**2
"""The most bytes of a table's file."""
MOST_CELLS = 50_000_000
"""The paper's whole grid has 3 million in its larger table."""
MOST_COLUMNS = 2_000
MOST_TEXT = 1024**3
"""The most bytes of all texts of a table, each written out."""
KIND = "a Parquet table"


def read_table(path: Path, remedy: str) -> pd.DataFrame:
    """The table of a file.

    Raises:
        UserError: as `files.read_content`, or it is no Parquet file, or has more or larger cells
            than a tier's tables.
    """
    content = read_content(path, remedy, LARGEST)
    with parsing(path, KIND, remedy):
        with pq.ParquetFile(io.BytesIO(content)) as file:
            _check_sizes(file.metadata)
            texts = _text_columns(file.schema_arrow)
        # As dictionaries, texts that repeat are not written out before their size is known.
        table = pq.read_table(
            io.BytesIO(content), read_dictionary=texts, page_checksum_verification=True
        )
        if table.num_rows * max(table.num_columns, 1) > MOST_CELLS:
            raise UserError(f"it has {table.num_rows:,} rows")
        _check_texts(table, texts)
        frame: pd.DataFrame = table.cast(_plain(table.schema)).to_pandas()
        return frame


def _check_sizes(metadata: pq.FileMetaData) -> None:
    rows, columns = metadata.num_rows, metadata.num_columns
    if columns > MOST_COLUMNS or rows * max(columns, 1) > MOST_CELLS:
        raise UserError(f"it has {rows:,} rows of {columns:,} columns")
    for number in range(metadata.num_row_groups):
        # Nothing is asked of single columns: pyarrow ends the process if their head is damaged.
        group = metadata.row_group(number)
        if group.num_rows > rows:
            raise UserError(f"a part of it has {group.num_rows:,} rows, and all {rows:,}")
        if not 0 <= group.total_byte_size <= MOST_TEXT:
            raise UserError(f"it has {group.total_byte_size:,} bytes unpacked")


def _text_columns(schema: pa.Schema) -> list[str]:
    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise UserError(f"its column {field.name!r} holds {field.type}")
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    return [field.name for field in schema if any(is_kind(field.type) for is_kind in kinds)]


def _check_texts(table: pa.Table, names: list[str]) -> None:
    total = 0
    for name in names:
        for chunk in table.column(name).chunks:
            if pc.any(pc.match_substring_regex(chunk.dictionary, "[[:cntrl:]]")).as_py():
                raise UserError(f"its column {name!r} has control characters")
            lengths = pc.binary_length(chunk.dictionary)
            total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if total > MOST_TEXT:
        raise UserError(f"its texts have {total:,} bytes; at most {MOST_TEXT:,}")


def _plain(schema: pa.Schema) -> pa.Schema:
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in schema
    ]
    return pa.schema(fields, schema.metadata)
