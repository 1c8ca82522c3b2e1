# SPDX-License-Identifier: GPL-3.0-or-later
"""Our enumerations of numbers are the library's in all that one can see."""

import copy
import enum
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from appliance import enums

# For the type checker both are the same; what is tested is what runs.
ours: Any = enums


def make(module: Any) -> Any:
    auto = module.auto

    class Open(module.IntEnum):  # type: ignore[misc]
        """Keeps numbers that it does not know."""

        @classmethod
        def _missing_(cls, value: object) -> Any:
            if not isinstance(value, int):
                return None
            member = int.__new__(cls, value)
            member._name_ = f"UNKNOWN_{value:X}"
            member._value_ = value
            return member

    class Colour(module.IntEnum):  # type: ignore[misc]
        """Colours."""

        RED = 1
        GREEN = 2

        @property
        def next(self) -> int:
            return self + 1

    class Shade(Open):
        """More of them."""

        DARK = 7

    class Word(module.StrEnum):  # type: ignore[misc]
        """Words."""

        YES = "yes"
        NO = "no"

        @classmethod
        def _missing_(cls, value: object) -> Any:
            return cls.NO

    class Kind(module.Enum):  # type: ignore[misc]
        """Kinds of anything."""

        #: A comment.
        ONE = auto()
        TWO = auto()

    class Place(module.Enum):  # type: ignore[misc]
        """Values of several types."""

        HERE = (1, 2)
        THERE = "there"

    Colour.shade, Colour.word, Colour.kind, Colour.place = Shade, Word, Kind, Place
    return Colour


def outcome(act: Callable[[Any], object], cls: Any) -> object:
    try:
        return act(cls)
    except (KeyError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize(
    "act",
    [
        lambda cls: cls(1) is cls.RED,
        lambda cls: cls["GREEN"] is cls.GREEN,
        lambda cls: cls(cls.RED) is cls.RED,
        lambda cls: cls(3),
        lambda cls: cls("1"),
        lambda cls: cls["BLUE"],
        lambda cls: (cls.RED.name, cls.RED.value, type(cls.RED.value)),
        lambda cls: (str(cls.RED), repr(cls.RED), f"{cls.RED}", f"{cls.RED:04X}", "%s" % cls.RED),  # noqa: UP031
        lambda cls: [each.name for each in cls],
        lambda cls: (len(cls), 1 in cls.__members__.values(), list(cls.__members__)),
        lambda cls: cls.RED == 1 == cls.RED and cls.RED != cls.GREEN,
        lambda cls: {cls.RED: "red"}[1],
        lambda cls: sorted([cls.GREEN, cls.RED]) == [1, 2],
        lambda cls: cls.RED.next,
        lambda cls: isinstance(cls.RED, cls) and isinstance(cls.RED, int),
        lambda cls: json.dumps({"colour": cls.GREEN}),
        lambda cls: struct.pack("<H", cls.GREEN),
        lambda cls: (cls.shade(7) is cls.shade.DARK, cls.shade(9).name, cls.shade(9).value),
        lambda cls: (cls.shade(9) == 9, hash(cls.shade(9)) == hash(9), repr(cls.shade(9))),
        lambda cls: cls.shade("9"),
        lambda cls: cls.RED | cls.GREEN,
        lambda cls: (str(cls.word.YES), repr(cls.word.YES), f"{cls.word.YES:>5}"),
        lambda cls: "-".join(cls.word),
        lambda cls: (cls.word("yes") is cls.word.YES, cls.word("perhaps").name),
        lambda cls: json.dumps({cls.word.YES: cls.word.NO}),
        lambda cls: {"yes": 1}[cls.word.YES],
        lambda cls: [(each.name, each.value, str(each), repr(each)) for each in cls.kind],
        lambda cls: (cls.kind.ONE == cls.kind.TWO, cls.kind.ONE == 1, cls.kind(2) is cls.kind.TWO),
        lambda cls: {cls.kind.ONE: 1}[cls.kind.ONE],
        lambda cls: cls.kind(3),
        lambda cls: [(each.name, each.value) for each in cls.place],
        lambda cls: cls.place((1, 2)) is cls.place.HERE,
        lambda cls: copy.deepcopy([*cls.kind, *cls.word]) == [*cls.kind, *cls.word],
    ],
)
def test_it_is_as_the_library_s(act: Callable[[Any], object]) -> None:
    assert outcome(act, make(ours)) == outcome(act, make(enum))


def test_patterns_match() -> None:
    cls = make(ours)
    match 2:
        case cls.RED:
            pytest.fail("another number")
        case cls.GREEN:
            pass
        case _:
            pytest.fail("not found")
