# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses that cost little to declare: a program has many, and a start needs few.

In all that a reader, a type checker or a caller sees they are the standard library's; what that has
for its own (`asdict`, `is_dataclass`, `replace`) takes these too. But the library loads `inspect`,
and compiles six methods for each class: 2.5 million instructions a class, two fifths of the
responder's start. Here `__init__` alone is compiled, with the first instance; the other methods are
the same for all. Provided is what this program uses: slots, `frozen`, `eq`, and of a field its
default, factory and metadata. No inner `super()`, ClassVar or `__post_init__`.
"""

from itertools import chain
from operator import attrgetter
from types import GenericAlias
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import MISSING as MISSING  # noqa: PLC0414 - is meant to be seen as that
    from dataclasses import Field as Field  # noqa: PLC0414
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
    from dataclasses import field as field  # noqa: PLC0414
    from dataclasses import fields as fields  # noqa: PLC0414
    from dataclasses import is_dataclass as is_dataclass  # noqa: PLC0414
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    class MISSING:
        """Stands for a default that there is not."""

    class Field:
        """What is known of a field."""

        __slots__ = ("default", "default_factory", "metadata", "name", "type")
        __class_getitem__ = classmethod(GenericAlias)

        def __init__(self, default: Any, default_factory: Any, metadata: Any) -> None:
            self.name, self.type = "", None
            self.default, self.default_factory, self.metadata = default, default_factory, metadata

    def field(*, default: Any = MISSING, default_factory: Any = MISSING, metadata: Any = ()) -> Any:
        """Describe a field, as the library's does."""
        return Field(default, default_factory, dict(metadata))

    def fields(owner: Any) -> tuple[Field, ...]:
        """Give the fields of a class or an instance, those of its bases first."""
        return owner.__values__

    def is_dataclass(value: Any) -> bool:
        """Say whether something is such a class, or an instance of one."""
        return hasattr(value, "__values__")

    def replace(value: Any, /, **changes: Any) -> Any:
        """Make a value like another one but for the changes."""
        known = {name: getattr(value, name) for name in value.__match_args__}
        return type(value)(**known | changes)

    def dataclass(*, slots: bool = False, frozen: bool = False, eq: bool = True) -> Any:
        """Make a dataclass with slots."""
        if not slots:
            raise TypeError("slots=True is wanted: other dataclasses are the library's")
        shared = _SHARED | (_EQUAL if eq else {}) | (_FROZEN if frozen else {})
        if eq and not frozen:
            shared |= {"__hash__": None}
        options = {"frozen": frozen, "eq": eq}
        return lambda unslotted: _slotted(unslotted, shared, options)


#: What belongs to a class without slots, and not to the one with them.
_OWN = ("__dict__", "__weakref__")


class _Values:
    """Stands for the fields of a class until they are asked for."""

    def __init__(self, contents: dict[str, Any]) -> None:
        self._contents = contents

    def __get__(self, _: object, owner: type) -> Any:
        cls: Any = _declared(owner)
        fields = [each for base in cls.__bases__ for each in getattr(base, "__values__", ())]
        for name, kind in self._contents.get("__annotations__", {}).items():
            fields.append(_field(name, kind, self._contents.get(name, MISSING)))
        cls.__values__ = tuple(fields)
        return cls.__values__


class _LibraryFields:
    """Stands for the fields as the library has them, and makes them when it asks."""

    def __init__(self, options: dict[str, bool], contents: dict[str, Any]) -> None:
        self._options = options
        self._contents = contents

    def __get__(self, _: object, owner: type) -> Any:
        import dataclasses  # noqa: PLC0415 - the costly part

        cls = _declared(owner)
        names = {name: _of_library(each) for name, each in self._contents.items()}
        model: type = dataclasses.dataclass(**self._options)(
            type(cls.__name__, cls.__bases__, names)
        )
        for name in ("__dataclass_params__", "__dataclass_fields__"):
            setattr(cls, name, model.__dict__[name])
        return cls.__dict__["__dataclass_fields__"]


def _of_library(value: Any) -> Any:
    """Turn a field into the library's; anything else stays."""
    import dataclasses  # noqa: PLC0415

    if not isinstance(value, Field):
        return value
    names = ("default", "default_factory")
    known = {name: getattr(value, name) for name in names if getattr(value, name) is not MISSING}
    return dataclasses.field(**known, metadata=value.metadata)


def _slotted(unslotted: type, shared: dict[str, Any], options: dict[str, bool]) -> type:
    """Make the same class with a slot for each annotation."""
    contents = {name: each for name, each in unslotted.__dict__.items() if name not in _OWN}
    annotations: dict[str, Any] = contents.get("__annotations__", {})
    known = [getattr(base, "__match_args__", ()) for base in unslotted.__bases__]
    names = (*chain(*known), *annotations)
    added = {
        "__slots__": tuple(annotations),
        "__match_args__": names,
        "__qualname__": unslotted.__qualname__,
        "__values__": _Values(contents),
        "__dataclass_fields__": _LibraryFields(options, contents),
        "_all": attrgetter(*names) if names else tuple,
    }
    kept = {name: each for name, each in contents.items() if name not in annotations}
    return type(unslotted)(unslotted.__name__, unslotted.__bases__, shared | kept | added)


def _field(name: str, kind: Any, value: Any) -> Any:
    if type(value).__module__ == "dataclasses":
        raise TypeError(f"{name}: the field of this module is wanted, not the library's")
    found: Any = value if isinstance(value, Field) else field(default=value)
    found.name, found.type = name, kind
    return found


def _declared(cls: type) -> type:
    """Find the class whose fields an instance has: its own or that of a plain subclass."""
    return next(each for each in cls.__mro__ if "__values__" in each.__dict__)


# The methods


def _write_init_and_call(self: Any, *args: Any, **named: Any) -> None:
    """Compile the `__init__` of the first instance's class, then begin anew with it."""
    cls: Any = _declared(type(self))
    cls.__init__ = _written_init(cls)
    type(self).__init__(self, *args, **named)


def _written_init(cls: Any) -> Any:
    """Write what takes each field and fills its slot: a frozen class gives no other way to."""
    known: dict[str, Any] = {"_MISSING": MISSING}
    parameters, lines = ["self"], ["pass"]
    for number, each in enumerate(cls.__values__):
        name, given = each.name, each.name
        known[f"_set{number}"] = getattr(cls, name).__set__
        known[f"_default{number}"] = each.default
        known[f"_make{number}"] = each.default_factory
        if each.default_factory is not MISSING:
            parameters.append(f"{name}=_MISSING")
            given = f"_make{number}() if {name} is _MISSING else {name}"
        else:
            default = "" if each.default is MISSING else f"=_default{number}"
            parameters.append(name + default)
        lines.append(f"_set{number}(self, {given})")
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines)
    exec(source, known)
    return known["__init__"]


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._all(self) == self._all(other)


def _hash(self: Any) -> int:
    return hash(self._all(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - a defect of who tries

    raise FrozenInstanceError(f"cannot change {name!r} of a {type(self).__qualname__}")


_SHARED: dict[str, Any] = {"__init__": _write_init_and_call, "__repr__": _repr}
_EQUAL: dict[str, Any] = {"__eq__": _equal, "__hash__": _hash}
_FROZEN: dict[str, Any] = {"__setattr__": _refuse, "__delattr__": _refuse}
