# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataclass that is finished later is the library's in all that one can see."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from appliance import values

# For the type checker both are the same; what is tested is what runs.
later: Any = values


def make(module: Any) -> type[Any]:
    dataclass, field = module.dataclass, module.field

    @dataclass(frozen=True, slots=True)
    class Base:
        """A base."""

        number: int
        text: str = "none"

    @dataclass(frozen=True, slots=True)
    class Thing(Base):
        """A thing."""

        many: tuple[int, ...] = (1, 2)
        made: list[int] = field(default_factory=list)

        @property
        def double(self) -> int:
            return 2 * self.number

    return Thing


def make_changing(module: Any) -> type[Any]:
    dataclass = module.dataclass

    @dataclass(slots=True)
    class Changing:
        """It changes."""

        number: int = 0

    return Changing


def outcome(act: Callable[[type[Any]], object], cls: type[Any]) -> object:
    try:
        return act(cls)
    except (AttributeError, TypeError) as error:
        return type(error)


@pytest.mark.parametrize(
    "act",
    [
        lambda cls: repr(cls(1)).rpartition(".")[2],
        lambda cls: cls(1) == cls(1, "none", (1, 2), []),
        lambda cls: cls(1) == cls(2),
        lambda cls: cls(1) != 1,
        lambda cls: hash(cls(1, made=())) == hash(cls(1, made=())),
        lambda cls: cls(1).made is not cls(1).made,
        lambda cls: cls(3).double,
        lambda cls: cls(),
        lambda cls: cls(1, colour=2),
        lambda cls: setattr(cls(1), "number", 2),
        lambda cls: cls.__mro__[1].__match_args__,
        lambda cls: delattr(cls(1), "number"),
        lambda cls: dataclasses.replace(cls(1), text="new").text,
        lambda cls: dataclasses.asdict(cls(1)),
        lambda cls: [(each.name, each.default) for each in dataclasses.fields(cls)],
        dataclasses.is_dataclass,
        lambda cls: cls.__match_args__,
        lambda cls: cls.__doc__,
        lambda cls: cls.__slots__,
        lambda cls: hasattr(cls(1), "__dict__"),
        lambda cls: type("Sub", (cls,), {"__slots__": ()})(1).number,
        lambda cls: cls.__mro__[1](5).text,
        lambda cls: cls.__qualname__,
    ],
)
def test_it_is_as_the_library_s(act: Callable[[type[Any]], object]) -> None:
    assert outcome(act, make(later)) == outcome(act, make(dataclasses))


def test_positional_patterns_match_before_the_first_use_of_the_class() -> None:
    cls = make(later)
    match make(later)(1):
        case cls(_, _):
            pytest.fail("another class")
    match cls(7):
        case cls(number, text):
            assert (number, text) == (7, "none")
        case _:
            pytest.fail("not its own class")


def test_one_that_changes_changes() -> None:
    thing = make_changing(later)()
    thing.number = 5
    assert thing == make_changing(later)(5) or thing.number == 5
    with pytest.raises(TypeError):
        hash(thing)


def test_slots_are_asked_for() -> None:
    with pytest.raises(TypeError, match="slots"):
        later.dataclass(frozen=True)


def test_many_threads_may_be_first() -> None:
    for _ in range(20):
        cls = make(later)
        start = threading.Barrier(4)
        made: list[object] = []

        def first(cls: type[Any] = cls, start: Any = start, made: Any = made) -> None:
            start.wait()
            made.append(cls(1))

        threads = [threading.Thread(target=first) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert made == [cls(1)] * 4


def test_making_a_class_does_not_load_what_writes_the_methods() -> None:
    code = (
        "import sys\nfrom appliance.values import dataclass\n"
        "@dataclass(frozen=True, slots=True)\nclass A:\n    x: int\n"
        "assert 'dataclasses' not in sys.modules\nassert A(1).x == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_for_all_dataclasses_is_here_too() -> None:
    cls, theirs = make(later), make(dataclasses)
    thing = later.replace(cls(1), text="new", many=())
    assert thing == cls(1, "new", (), [])
    assert later.is_dataclass(cls) and later.is_dataclass(thing) and not later.is_dataclass(int)
    for ours, library in zip(later.fields(cls), dataclasses.fields(theirs), strict=True):
        assert (ours.name, ours.type) == (library.name, library.type)
        for name in ("default", "default_factory"):
            value, other = getattr(ours, name), getattr(library, name)
            assert (value is later.MISSING) == (other is dataclasses.MISSING)
            assert value is later.MISSING or value == other
    with pytest.raises(TypeError, match="colour"):
        later.replace(thing, colour=1)


def test_a_field_of_the_library_is_refused() -> None:
    with pytest.raises(TypeError, match="number: the field of this module"):

        @later.dataclass(slots=True)
        class Mixed:
            number: list[int] = dataclasses.field(default_factory=list)

        later.fields(Mixed)
