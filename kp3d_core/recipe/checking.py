"""Content of YAML files as settings: everything that is wrong with it is told at once."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any


def settings_of(kind: Callable[..., Any], content: object, path: str, problems: list[str]) -> Any:
    """An instance of a settings class from a mapping; None where that cannot be.

    Args:
        kind: dataclass whose fields are the keys.
        content: as read.
        path: of it in the file, for messages.
        problems: what is wrong is added.
    """
    values = _arguments(kind, content, path, problems)
    if values is None:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        problems.append(f"{path or 'The recipe'}: {error}")
        return None


def check_arguments(
    function: Callable[..., Any], content: object, path: str, problems: list[str]
) -> None:
    """Whether a mapping fits what a class or function is called with, which is not called."""
    _arguments(function, content, path, problems)


def _arguments(
    function: Callable[..., Any], content: object, path: str, problems: list[str]
) -> dict[str, Any] | None:
    """Arguments of a call from a mapping; None if any is wrong."""
    if not isinstance(content, Mapping):
        problems.append(f"{path or 'The recipe'} must be keys with values, got {content!r:.60}")
        return None
    wrong_before = len(problems)
    target = function.__init__ if inspect.isclass(function) else function  # type: ignore[misc]
    hints = typing.get_type_hints(target, vars(inspect.getmodule(function)))
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name in hints
    }
    unknown = [str(key) for key in content if key not in parameters]
    if unknown:
        problems.append(
            f"{_join(path, unknown[0])}: unknown key{'s' if len(unknown) > 1 else ''} "
            f"{', '.join(unknown)}, known are {', '.join(parameters)}"
        )
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in content
    ]
    problems += [f"{_join(path, name)} is missing" for name in missing]
    values = {
        name: _value(hints[name], value, _join(path, name), problems)
        for name, value in content.items()
        if name in parameters
    }
    return values if len(problems) == wrong_before else None


def _value(hint: Any, value: object, path: str, problems: list[str]) -> Any:
    """A value of the type that is asked for."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        (hint,) = (option for option in inner if option is not type(None))
        return _value(hint, value, path, problems)
    if is_dataclass(hint):
        return settings_of(hint, value, path, problems)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            problems.append(f"{path} must be a list, got {value!r:.60}")
            return None
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) != len(value):
            problems.append(f"{path} must have {len(kinds)} entries, got {len(value)}")
            return None
        return tuple(
            _value(kind, item, f"{path}[{i}]", problems)
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is typing.Literal:
        if value not in inner:
            problems.append(f"{path} must be one of {', '.join(map(str, inner))}, got {value!r}")
        return value
    if origin is dict or hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or isinstance(value, bool) != (hint is bool):
        problems.append(f"{path} must be of type {hint.__name__}, got {value!r:.60}")
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
