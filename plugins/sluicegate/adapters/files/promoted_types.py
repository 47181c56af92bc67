"""Which type holds the values of two: Arrow's permissive promotion, less what loses or guesses."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.types as kinds

from sluicegate.profiling.buffers import is_bytes, is_list

_UNITS: Final = ("s", "ms", "us", "ns")
_UTC: Final = frozenset({"UTC", "Etc/UTC", "+00:00", "Z"})
_INTEGER_DIGITS: Final = 20
"""Of the largest integer: with fewer for a narrow one, the order of the files would decide."""

_MAX_DIGITS: Final = 76  # of a decimal of 256 bits


def promoted(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds the values of two types, or None.

    That a value fits is not said: an int64 above 2**53 does not fit the double that int64 and
    double give. Whoever converts has to look.

    Args:
        one: Type of a column in one file.
        other: Its type in another file.

    Example:
        >>> promoted(pa.int32(), pa.int64())
        DataType(int64)
        >>> promoted(pa.int64(), pa.string()) is None
        True
    """
    if one == other:
        return one
    if kinds.is_null(one) or kinds.is_null(other):
        return other if kinds.is_null(one) else one
    if kinds.is_dictionary(one) or kinds.is_dictionary(other):
        return promoted(_decoded(one), _decoded(other))
    return next((found for rule in _RULES if (found := rule(one, other)) is not None), None)


def _decoded(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if kinds.is_dictionary(type_) else type_


def _is_text(type_: pa.DataType) -> bool:
    return any(
        is_one(type_) for is_one in (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    )


def _texts(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if _is_text(one) and _is_text(other):
        return pa.large_string()
    return pa.large_binary() if is_bytes(one) and is_bytes(other) else None


def _integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (kinds.is_integer(one) and kinds.is_integer(other)):
        return None
    if kinds.is_signed_integer(one) is kinds.is_signed_integer(other):
        return max(one, other, key=lambda type_: type_.bit_width)
    signed, unsigned = (one, other) if kinds.is_signed_integer(one) else (other, one)
    width = max(signed.bit_width, min(64, 2 * unsigned.bit_width))
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[width]


def _floats(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    floating = kinds.is_floating(one), kinds.is_floating(other)
    if all(floating):
        return max(one, other, key=lambda type_: type_.bit_width)
    whole = kinds.is_integer(one) or kinds.is_integer(other)
    return pa.float64() if any(floating) and whole else None


def _decimals(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (kinds.is_decimal(one) or kinds.is_decimal(other)):
        return None
    shapes = [_digits(one), _digits(other)]
    if None in shapes:
        return None
    whole, scale = (max(shape[i] for shape in shapes if shape) for i in (0, 1))
    if whole + scale > _MAX_DIGITS:
        return None
    return (pa.decimal128 if whole + scale <= 38 else pa.decimal256)(whole + scale, scale)


def _digits(type_: pa.DataType) -> tuple[int, int] | None:
    """Return digits before and behind the point."""
    if kinds.is_decimal(type_):
        return type_.precision - type_.scale, type_.scale
    return (_INTEGER_DIGITS, 0) if kinds.is_integer(type_) else None


def _instants(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if kinds.is_date(one) and kinds.is_date(other):
        return pa.date64()
    if kinds.is_timestamp(one) and kinds.is_timestamp(other):
        zones = {one.tz, other.tz}
        if len(zones) > 1 and not zones <= _UTC:
            return None  # a time without zone is no instant
        return pa.timestamp(_finer(one, other), one.tz if len(zones) == 1 else "UTC")
    if kinds.is_duration(one) and kinds.is_duration(other):
        return pa.duration(_finer(one, other))
    if kinds.is_time(one) and kinds.is_time(other):
        unit = _finer(one, other)
        return pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
    return None


def _finer(one: pa.DataType, other: pa.DataType) -> str:
    units: tuple[str, str] = one.unit, other.unit
    return max(units, key=_UNITS.index)


def _lists(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (is_list(one) and is_list(other)):
        return None
    inner = promoted(one.value_type, other.value_type)
    if inner is None:
        return None
    if all(map(kinds.is_fixed_size_list, (one, other))) and one.list_size == other.list_size:
        return pa.list_(inner, one.list_size)
    large = kinds.is_large_list(one) or kinds.is_large_list(other)
    return pa.large_list(inner) if large else pa.list_(inner)


def _structs(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (kinds.is_struct(one) and kinds.is_struct(other)):
        return None
    mine, theirs = ({f.name: f.type for f in type_} for type_ in (one, other))
    found = {
        name: promoted(mine.get(name, pa.null()), theirs.get(name, pa.null()))
        for name in {**mine, **theirs}
    }
    return None if None in found.values() else pa.struct(list(found.items()))


_RULES: Final = (_texts, _integers, _floats, _decimals, _instants, _lists, _structs)
