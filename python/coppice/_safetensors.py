"""Reads safetensors files: with numpy into its arrays, without it into Array."""

from __future__ import annotations

import array
import importlib
import json
import os
import sys
from typing import Any, Dict, List, Sequence, Tuple, Union

MAX_HEADER = 100 << 20  # bytes, as in the format's own reader

# name in the file -> (numpy's name, the code of the module array; "" where it has none, bytes)
_TYPES = {
    "F64": ("<f8", "d", 8), "F32": ("<f4", "f", 4), "F16": ("<f2", "", 2),
    "I64": ("<i8", "q", 8), "I32": ("<i4", "i", 4), "I16": ("<i2", "h", 2), "I8": ("i1", "b", 1),
    "U64": ("<u8", "Q", 8), "U32": ("<u4", "I", 4), "U16": ("<u2", "H", 2), "U8": ("u1", "B", 1), "BOOL": ("?", "B", 1),
}


class Array:
    """The numbers of a tensor, where numpy is not installed."""

    def __init__(self, shape: Sequence[int], values: array.array[Any]) -> None:
        self.shape = tuple(shape)
        self.values = values  # all numbers, the last dimension fastest

    def tolist(self) -> Any:
        """Nested lists, as numpy's tolist gives."""
        return self._nested(0, 0)[0]

    def _nested(self, dimension: int, at: int) -> Tuple[Any, int]:
        if dimension == len(self.shape):
            return self.values[at], at + 1
        items: List[Any] = []
        for _ in range(self.shape[dimension]):
            item, at = self._nested(dimension + 1, at)
            items.append(item)
        return items, at

    def __repr__(self) -> str:
        return f"Array(shape={self.shape})"


def read(path: Union[str, "os.PathLike[str]"]) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """The tensors by name, and the metadata. ValueError: it is no such file, or damaged."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise ValueError(f"{path} is no safetensors file")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__", {})
            data = file.read()
            return {name: _tensor(entry, data) for name, entry in header.items()}, dict(metadata)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is no safetensors file, or it is damaged: {error}") from None


def _tensor(entry: Dict[str, Any], data: bytes) -> Any:
    if entry["dtype"] not in _TYPES:
        raise ValueError(f"numbers of the type {entry['dtype']} are not known here")
    numpy_name, code, size = _TYPES[entry["dtype"]]
    shape = [int(length) for length in entry["shape"]]
    begin, end = entry["data_offsets"]
    count = 1
    for length in shape:
        count *= length
    if not 0 <= begin <= end <= len(data) or min(shape, default=1) < 0 or end - begin != count * size:
        raise ValueError("a tensor does not fit its place")
    try:
        numpy: Any = importlib.import_module("numpy")
    except ImportError:
        pass
    else:
        return numpy.frombuffer(data[begin:end], numpy_name).reshape(shape)
    if not code:
        raise ValueError(f"numbers of the type {entry['dtype']} need numpy")
    values = array.array(code)
    values.frombytes(data[begin:end])
    if sys.byteorder == "big":
        values.byteswap()
    return Array(shape, values)
