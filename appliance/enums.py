# SPDX-License-Identifier: GPL-3.0-or-later
"""Enumerations that cost little to declare: the protocol alone has two hundred codes.

In all that a reader, a type checker or a caller sees they are the standard library's, which takes
90,000 instructions a member; these take two thousand. Provided is what this program uses: no
aliases, no flags, and members without an `__init__` of their own.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enum import Enum as Enum  # noqa: PLC0414 - is meant to be seen as that
    from enum import IntEnum as IntEnum  # noqa: PLC0414
    from enum import StrEnum as StrEnum  # noqa: PLC0414
    from enum import auto as auto  # noqa: PLC0414
else:

    class auto:  # noqa: N801 - as the library's
        """Stands for the next number."""

    def _is_value(name: str, value: object) -> bool:
        """Whether it is to be a member: no private name, and nothing that acts as a method."""
        return not name.startswith("_") and not hasattr(value, "__get__")

    def _arguments(cls: Any, value: Any) -> tuple[Any, ...]:
        return () if cls._kind is object else (value,)

    class _Members(type):
        """Makes members of the values in a class's body, and finds them."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
            values = {each: value for each, value in body.items() if _is_value(each, value)}
            rest = {each: value for each, value in body.items() if each not in values}
            made: Any = super().__new__(cls, name, bases, rest)
            made.__members__ = {}
            for number, (each, value) in enumerate(values.items(), start=1):
                given = number if type(value) is auto else value
                made.__members__[each] = member = made._kind.__new__(made, *_arguments(made, given))
                member._name_, member._value_ = each, given
                setattr(made, each, member)
            made._known = {member._value_: member for member in made}
            return made

        def __call__(cls, value: Any) -> Any:
            """Find the member of a value."""
            if isinstance(value, cls):
                return value
            member = cls._known.get(value)
            if member is None:
                member = cls._missing_(value)
            if member is None:
                raise ValueError(f"{value!r} is not a valid {cls.__qualname__}")
            return member

        def __getitem__(cls, name: str) -> Any:
            return cls.__members__[name]

        def __iter__(cls) -> Iterator[Any]:
            return iter(cls.__members__.values())

        def __len__(cls) -> int:
            return len(cls.__members__)

        def __contains__(cls, value: object) -> bool:
            return isinstance(value, cls) or value in cls._known

    class Enum(metaclass=_Members):
        """Values with names."""

        _kind = object
        name = property(attrgetter("_name_"))
        value = property(attrgetter("_value_"))

        @classmethod
        def _missing_(cls, value: object) -> Any:
            """Give a member for a value that has none, or None."""

        def __reduce__(self) -> Any:  # one that is copied is the same
            return type(self), (self._value_,)

        def __str__(self) -> str:
            return f"{type(self).__name__}.{self._name_}"

        def __repr__(self) -> str:
            return f"<{type(self).__name__}.{self._name_}: {self._value_!r}>"

    class IntEnum(Enum, int):
        """Numbers with names."""

        _kind = int
        __str__ = int.__repr__

    class StrEnum(Enum, str):
        """Words with names."""

        _kind = str
        __str__ = str.__str__
