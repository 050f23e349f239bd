"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a thing is."""

    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but it may not be what the user wants."""
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """How one thing is, and what to do about it."""

    state: State
    what: str
    text: str
    advice: str = ""


def ok(what: str, text: str, advice: str = "") -> Finding:
    """A thing that is as it should be."""
    return Finding(State.OK, what, text, advice)


def note(what: str, text: str, advice: str = "") -> Finding:
    """A thing that the user should know of."""
    return Finding(State.NOTE, what, text, advice)


def problem(what: str, text: str, advice: str = "") -> Finding:
    """A thing that is broken."""
    return Finding(State.PROBLEM, what, text, advice)
