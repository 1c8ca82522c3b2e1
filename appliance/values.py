# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses that are finished when first used: a program has many, and a start needs few.

`dataclass` is the standard library's in all that a reader, a type checker or a caller sees. But its
methods are written as source and compiled: 2.5 million instructions a class, which were two fifths
of the responder's start. Here a class gets its slots at once, and the rest with its first instance,
or when its fields are asked for. Neither inner `super()` nor ClassVar is provided for.
"""

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - is meant to be seen as that
else:

    def dataclass(**options: Any) -> Any:
        """Make a dataclass with slots, whose methods come later; `options` as for the library's."""
        if not options.pop("slots", False):
            raise TypeError("slots=True is wanted: without slots there is nothing to put off")

        def decorate(unslotted: type) -> type:
            return _slotted(unslotted, options)

        return decorate


_lock = threading.RLock()
_FIELDS, _INIT = "__dataclass_fields__", "__init__"
#: What belongs to a class without slots, and not to the one with them.
_OWN = ("__dict__", "__weakref__")


class _Unfinished:
    """Stands for a class's fields, and has the class finished when they are asked for."""

    def __init__(self, options: dict[str, Any], contents: dict[str, Any]) -> None:
        self._options = options
        self._contents = contents

    def __get__(self, _: object, owner: type) -> Any:
        (cls,) = (each for each in owner.__mro__ if each.__dict__.get(_FIELDS) is self)
        with _lock:
            if cls.__dict__[_FIELDS] is self:  # no other thread was faster
                self._finish(cls)
        return getattr(cls, _FIELDS)

    def _finish(self, cls: type) -> None:
        """Let the library write the methods for a class like this one, and take them over.

        Who makes an instance meanwhile finds either nothing of it or all that it takes.
        """
        from dataclasses import dataclass as write_methods  # noqa: PLC0415 - the costly part

        model: type = write_methods(**self._options)(
            type(cls.__name__, cls.__bases__, self._contents)
        )
        old = {*self._contents, *_OWN, _INIT, _FIELDS, *cls.__dict__["__slots__"]}
        written = [name for name in model.__dict__ if name not in old]
        for name in (*written, _INIT, _FIELDS):
            setattr(cls, name, model.__dict__[name])


def _slotted(unslotted: type, options: dict[str, Any]) -> type:
    """Make the same class with a slot for each annotation."""
    names = tuple(unslotted.__dict__.get("__annotations__", ()))  # noqa: RUF063 - inspect is costly too
    contents = {name: each for name, each in unslotted.__dict__.items() if name not in _OWN}
    known = [each for base in unslotted.__bases__ for each in getattr(base, "__match_args__", ())]
    slotted = {name: each for name, each in contents.items() if name not in names}
    slotted |= {
        "__slots__": names,
        "__match_args__": (*known, *names),
        "__qualname__": unslotted.__qualname__,
        _INIT: _finish_and_init,
        _FIELDS: _Unfinished(options, contents),
    }
    return type(unslotted)(unslotted.__name__, unslotted.__bases__, slotted)


def _finish_and_init(self: Any, *args: Any, **named: Any) -> None:
    """Finish the class of the first instance, then begin anew with what it has now."""
    getattr(type(self), _FIELDS)
    type(self).__init__(self, *args, **named)
