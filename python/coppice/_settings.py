"""The settings of a program: defaults, and the values that a sweep or a command line gives."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
from typing import Any, Dict, Iterator, Mapping, Union

Scalar = Union[bool, int, float, str]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class SettingsError(ValueError):
    """Settings that cannot be: an unknown name, or a value of another type."""


class Settings(Mapping[str, Any]):
    """Settings by name, ``settings["width"]`` or ``settings.width``. They do not change."""

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self.__dict__["_values"] = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__["_values"][name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"there is no setting {name}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"the setting {name} cannot be changed; a run is a function of its settings")

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__["_values"])

    def __len__(self) -> int:
        return len(self.__dict__["_values"])

    def __repr__(self) -> str:
        return f"Settings({self.__dict__['_values']!r})"


def defaults_of(settings: object) -> Dict[str, Scalar]:
    """The defaults by name, of a mapping, a dataclass or an instance of one."""
    if isinstance(settings, Mapping):
        values = dict(settings)
    elif dataclasses.is_dataclass(settings):
        instance = settings() if isinstance(settings, type) else settings
        values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    else:
        raise TypeError("settings is a mapping of names to defaults, or a dataclass with defaults")
    for name, value in values.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a setting: letters, digits and _, at most 64, no digit first")
        if not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"the default of the setting {name} is {value!r}; a setting is a number, true, false or a word")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the default of the setting {name} is {value!r}; a setting is finite")
    return values


def filled(settings: Any, values: Mapping[str, Scalar]) -> Any:
    """The settings with these values: an instance of the dataclass, else Settings."""
    if dataclasses.is_dataclass(settings):
        return dataclasses.replace(settings() if isinstance(settings, type) else settings, **values)
    return Settings(values)


def resolve(defaults: Mapping[str, Scalar], given: Mapping[str, object]) -> Dict[str, Scalar]:
    """The defaults with the values that are given. Raises SettingsError."""
    values = dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, n=1)
            known = ", ".join(defaults) or "none"
            advice = f"did you mean {near[0]}?" if near else f"it has: {known}"
            raise SettingsError(f"this program has no setting {name}; {advice}")
        values[name] = _typed(name, defaults[name], value)
    return values


def parse(defaults: Mapping[str, Scalar], name: str, text: str) -> object:
    """The value that ``--set name=text`` means. Its type is that of the default."""
    if isinstance(defaults.get(name), str):
        return text
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text


def _typed(name: str, default: Scalar, value: object) -> Scalar:
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise SettingsError(f"the setting {name} is true or false, not {value!r}")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise SettingsError(f"the setting {name} is a word, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingsError(f"the setting {name} is a number, not {value!r}")
    if isinstance(default, float):
        if not math.isfinite(value):
            raise SettingsError(f"the setting {name} is finite, not {value!r}")
        return float(value)
    if isinstance(value, float):
        if not value.is_integer():
            raise SettingsError(f"the setting {name} is a whole number, not {value!r}")
        return int(value)
    return value
