"""Doubles of compiled classes and functions that accept only what the real ones accept.

TensorRT's bindings are made by pybind11 and cuda-python's by Cython: `inspect` and `mock.autospec`
see no signatures in them. Both write them into the first lines of docstrings, so doubles check
names, numbers and simple types of arguments against those.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\((.*)\)(?: -> .*)?$")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature."""

    name: str
    type: str
    """Empty if the docstring does not say."""
    required: bool


def signatures(function: Any, name: str) -> list[list[Parameter]]:
    """Parameters of each overload that a docstring lists, without self."""
    found = []
    for line in (function.__doc__ or "").splitlines():
        match = _SIGNATURE.match(line.strip())
        if match and match[1] == name and match[2] != "*args, **kwargs":
            parameters = [_parameter(text) for text in _split(match[2])]
            found.append([p for p in parameters if p.name != "self"])
    assert found, f"no signature in the documentation of {name}"
    return found


def check_call(function: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> None:
    """`TypeError` unless one overload takes the arguments."""
    overloads = signatures(function, name)
    if not any(_accepts(parameters, args, kwargs) for parameters in overloads):
        raise TypeError(f"{name} takes {overloads}, got {args} {kwargs}")


class Double:
    """Stands for an instance of a real class; knows no other names than the real one.

    Methods do what `behaviour` says and return None otherwise; each call is recorded in `calls`.
    """

    def __init__(self, real: type, **behaviour: Any) -> None:
        for name in behaviour:
            assert hasattr(real, name), f"{real.__name__} has no {name}"
        self.__dict__.update(_real=real, _behaviour=behaviour, calls=[])

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)  # AttributeError where the real class has none
        does = self._behaviour.get(name)
        if isinstance(attribute, property):
            return does
        return self._method(name, attribute, does)

    def __setattr__(self, name: str, value: Any) -> None:
        attribute = getattr(self._real, name)
        assert isinstance(attribute, property), f"{self._real.__name__}.{name} cannot be set"
        assert attribute.fset is not None, f"{self._real.__name__}.{name} is read-only"
        self._behaviour[name] = value

    def _method(self, name: str, attribute: Any, does: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            check_call(attribute, name, args, kwargs)
            self.calls.append((name, *args, *kwargs.values()))
            return does(*args, **kwargs) if callable(does) else does

        return call


def double_class(real: type, make: Callable[..., Any]) -> Callable[..., Any]:
    """Stands for a real class that is called to make instances."""

    def construct(*args: Any, **kwargs: Any) -> Any:
        check_call(real.__init__, "__init__", args, kwargs)  # type: ignore[misc]
        return make(*args, **kwargs)

    return construct


def _split(text: str) -> list[str]:
    """Parts between commas that are not inside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([<{") - (character in ")]>}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> Parameter:
    declared, _, default = text.partition(" = ")
    name, colon, kind = declared.partition(":")
    if not colon:  # cuda-python: "size_t count"
        kind, name = "", declared.split()[-1]
    return Parameter(name.strip(), kind.strip(), not default)


def _accepts(parameters: list[Parameter], args: tuple, kwargs: dict[str, Any]) -> bool:
    names = [parameter.name for parameter in parameters]
    if len(args) > len(names) or not set(kwargs) <= set(names[len(args) :]):
        return False
    given = dict(zip(names, args, strict=False)) | kwargs
    return all(
        _fits(given[p.name], p.type) if p.name in given else not p.required for p in parameters
    )


def _fits(value: Any, kind: str) -> bool:
    short = kind.rpartition(".")[2]
    if kind in ("int", "typing.SupportsInt"):
        return isinstance(value, int)
    if kind in ("str", "bool", "tuple", "list"):
        return isinstance(value, {"str": str, "bool": bool, "tuple": tuple, "list": list}[kind])
    if kind == "buffer" or short == "Buffer":
        return isinstance(value, bytes)
    if short == "Dims":  # pybind11 converts tuples of integers
        return isinstance(value, tuple) and all(isinstance(v, int) for v in value)
    if "tensorrt" in kind:
        real = value._real if isinstance(value, Double) else type(value)
        return short in {parent.__name__ for parent in real.__mro__}
    return True
