"""Unpickle without executing code: each name in a file is replaced by a stand-in or refused.

A pickle can call any function, and expand to far more memory than its size.
"""

import pickle
import pickletools
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

MAGIC = 0x1950A86A20F9469CFC6C  # first value of torch.save's format before version 1.6
MOST_OPCODES = 200_000  # in a small pickle; a scene takes about fifty, a tensor with Adam's state a hundred
BYTES_AN_OPCODE = 64  # in large files, which are mostly numbers
ARGUMENTS_A_BYTE = 10  # limit for values that a pickle refers to repeatedly
NOT_OF_DATA = {  # opcodes that no writer of data uses, or that hash objects
    *("DUP", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"),
    *("EMPTY_SET", "ADDITEMS", "FROZENSET"),
}
DAMAGE = (  # exceptions that readers of damaged or hostile files raise, beside ValueError
    *(OSError, EOFError, RuntimeError, zlib.error, struct.error),
    *(zipfile.BadZipFile, NotImplementedError),  # the latter for a zip of another version
    *(pickle.UnpicklingError, LookupError, MemoryError, ArithmeticError),
    *(TypeError, AttributeError, AssertionError),
)
StandIn = Callable[[str, str], Any]  # returns the stand-in for a module and a name in it
Storage = Callable[[Any], Any]  # returns the storage for a persistent id of torch.save


InPython: Any = getattr(pickle, "_Unpickler")  # noqa: B009 - the standard library's own, which no stub describes


class _Unpickler(InPython):
    """Unpickler restricted to stand-ins; the Python one, whose opcodes can be overridden.

    A hundred bytes can describe a tuple of 2^60 numbers, which takes for ever to hash as a key: keys must be strings or
    numbers. A few more pass the same long argument repeatedly: arguments are counted. State is set on instances of
    stand-ins only, never on the stand-ins, which are shared between files.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(InPython.dispatch)

    def __init__(self, file: Any, arguments: int, stand_in: StandIn, storage: Storage) -> None:
        super().__init__(file, encoding="latin1")
        self.arguments, self.stand_in, self.storage = arguments, stand_in, storage

    def find_class(self, module: str, name: str, /) -> Any:
        return self.stand_in(module, name)

    def persistent_load(self, pid: Any, /) -> Any:
        return self.storage(self.counted(pid))

    def counted(self, arguments: Any) -> Any:
        """Return the arguments after counting them and their elements; ValueError above the limit."""
        if isinstance(arguments, tuple | list):
            self.arguments -= len(arguments)
            self.arguments -= sum(len(each) for each in arguments if isinstance(each, tuple | list | str))
        if self.arguments < 0:
            raise ValueError("it refers to the same values too often")
        return arguments

    def call(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.stack[-1](*self.counted(arguments))

    def set_state(self) -> None:
        state = self.stack.pop()
        if (setter := getattr(type(self.stack[-1]), "__setstate__", None)) is None:
            raise ValueError(f"it gives a state to a {type(self.stack[-1]).__name__}, which has none")
        setter(self.stack[-1], self.counted(state))

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.add_items([key, value])

    def set_items(self) -> None:
        self.add_items(self.pop_mark())

    def add_items(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | None):
                raise ValueError(f"it holds a dictionary by a {type(key).__name__}")
            self.stack[-1][key] = value

    def make_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self.add_items(items)

    dispatch |= {
        pickle.REDUCE[0]: call,
        pickle.NEWOBJ[0]: call,
        pickle.BUILD[0]: set_state,
        pickle.SETITEM[0]: set_item,
        pickle.SETITEMS[0]: set_items,
        pickle.DICT[0]: make_dict,
    }


def load_inert(file: Any, size: int, stand_in: StandIn, storage: Storage) -> Any:
    """Return the next object of a binary file, after a check of its opcodes.

    Args:
        file: a binary file, at any position.
        size: size of the file in bytes, which limits what it may expand to.

    Raises:
        ValueError, or one of ``DAMAGE``: it is not a pickle of data, is damaged, or expands beyond the limit.
    """
    with warnings.catch_warnings(action="ignore"):  # of unknown escapes in a damaged string
        start = file.tell()
        try:
            _check_opcodes(file, MOST_OPCODES + size // BYTES_AN_OPCODE)
        except ValueError as error:
            raise ValueError(f"it is no pickle of data ({error})") from None
        file.seek(start)
        return _Unpickler(file, MOST_OPCODES + ARGUMENTS_A_BYTE * size, stand_in, storage).load()


def _check_opcodes(file: Any, most: int) -> None:
    for number, (opcode, _, _) in enumerate(pickletools.genops(file)):
        if number > most:
            raise ValueError(f"it holds more than {most:,} objects")
        if opcode.name in NOT_OF_DATA:
            raise ValueError(f"it uses {opcode.name}")


def refuse_name(module: str, name: str) -> None:
    """Raise ValueError for a name that is not data."""
    raise ValueError(f"it refers to {module}.{name}, which is not data: do not trust this file")
