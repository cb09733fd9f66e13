"""Reading VOTables: a body that is not one, is cut short, or reports an error never reads empty."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from astropy.io import votable
from numpy.typing import NDArray

from jobs.errors import ServiceError

MALFORMED = (
    votable.exceptions.VOWarning,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
)
"""What astropy's parser raises on broken documents, found by breaking recorded answers."""


def read_votable(body: bytes) -> Any:
    """Parse the document. Raises ServiceError when it is malformed or says that it failed."""
    try:
        document = votable.parse(io.BytesIO(body), verify="ignore")
    except MALFORMED as error:
        raise ServiceError(f"the answer is no readable VOTable ({_first_line(error)})") from error
    for name, message in _status(document):
        if name == "error":
            raise ServiceError(f"the service reported an error: {message}")
    return document


def overflowed(document: Any) -> bool:
    """True if the service says that it left rows out (DALI: QUERY_STATUS=OVERFLOW)."""
    return any(name == "overflow" for name, _ in _status(document))


def parameter(document: Any, name: str) -> str | None:
    """The value of the first PARAM of that name in any resource."""
    for resource in document.resources:
        for param in resource.params:
            if param.name == name:
                return str(param.value).strip()
    return None


def find_column(table: Any, *tests: Callable[[Any], bool]) -> NDArray[Any] | None:
    """The first column whose FIELD passes the first test that any passes, or None."""
    for test in tests:
        for field in table.fields:
            if test(field):
                return np.ma.asarray(table.array[field.ID])
    return None


def named(*names: str) -> Callable[[Any], bool]:
    """Test for a FIELD with one of these names."""
    return lambda field: field.name in names


def meaning(*ucds: str) -> Callable[[Any], bool]:
    """Test for a FIELD whose UCD begins with one of these, whatever their case."""
    return lambda field: (field.ucd or "").lower().startswith(tuple(ucd.lower() for ucd in ucds))


def degrees(column: NDArray[Any]) -> NDArray[np.float64]:
    """A column of angles as float64, NaN where nothing was given."""
    try:
        angles: NDArray[np.float64] = np.ma.filled(np.ma.asarray(column, np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ServiceError("positions were not given as numbers") from error
    return angles


def texts(column: NDArray[Any] | None, length: int, missing: str = "") -> tuple[str, ...]:
    """A column as text, `missing` where there is no value or no such column."""
    if column is None:
        return (missing,) * length
    cells = ("" if cell is np.ma.masked else str(cell).strip() for cell in column)
    return tuple(cell or missing for cell in cells)


def _status(document: Any) -> Iterator[tuple[str, str]]:
    """Every report on how the query went, as (error | overflow | ok ..., message)."""
    reports = [*document.infos]
    for resource in document.resources:
        reports += resource.infos
        for table in resource.tables:
            reports += table.infos
    for report in reports:
        message = " ".join((report.content or report.value or "no message").split())[:200]
        if report.name == "QUERY_STATUS":
            yield str(report.value).lower(), message
        elif report.name == "Error":
            yield "error", message


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
