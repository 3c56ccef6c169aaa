"""Unpickle without executing anything: each name that a file asks for is answered by a stand-in, or refused.

A pickle can call any function, and make the unpickler take memory that the file is not worth.
"""

import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

MAGIC = 0x1950A86A20F9469CFC6C  # opens torch.save's format before version 1.6
MOST_OPCODES = 200_000  # of a small pickle; a scene takes some fifty, an Adam-trained tensor a hundred
BYTES_AN_OPCODE = 64  # in large files, most of which are numbers
ARGUMENTS_A_BYTE = 10  # of a file, which a pickle can name again and again
NOT_OF_DATA = {  # opcodes that no writer of data uses, or whose objects are hashed
    *("DUP", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"),
    *("EMPTY_SET", "ADDITEMS", "FROZENSET"),
}
DAMAGE = (  # what readers of damaged and hostile files raise, beside ValueError
    *(OSError, EOFError, RuntimeError, zlib.error, struct.error),
    *(zipfile.BadZipFile, NotImplementedError),  # the latter for a zip of another version
    *(pickle.UnpicklingError, LookupError, MemoryError, ArithmeticError),
    *(TypeError, AttributeError, AssertionError),
)
StandIn = Callable[[str, str], Any]  # answers a module and a name in it
Storage = Callable[[Any], Any]  # answers the persistent ids by which torch.save names the numbers of tensors


InPython: Any = getattr(pickle, "_Unpickler")  # noqa: B009 - the standard library's own, which no stub describes


class _Unpickler(InPython):
    """Knows the stand-ins and nothing else; in Python, where opcodes can be changed.

    A hundred bytes can name a tuple of 2^60 numbers, which as a key takes for ever to hash; so keys are words and
    numbers. A few more give a function the same long argument again and again; so arguments are counted. And state
    is given to instances of stand-ins alone, not to the stand-ins themselves, which other files will meet.
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
        """The same arguments, one by one and what is in them."""
        if isinstance(arguments, tuple | list):
            self.arguments -= len(arguments)
            self.arguments -= sum(len(each) for each in arguments if isinstance(each, tuple | list | str))
        if self.arguments < 0:
            raise ValueError("it asks for the same thing again and again")
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
    """The next object of a file, after a look at its opcodes.

    Args:
        file: bytes, at any place.
        size: bytes of the file, which what it asks for is compared with.

    Raises:
        ValueError, or one of ``DAMAGE``: it is no pickle, is damaged, or asks for more than it is worth.
    """
    start, most = file.tell(), MOST_OPCODES + size // BYTES_AN_OPCODE
    try:
        for number, (opcode, _, _) in enumerate(pickletools.genops(file)):
            if number > most:
                raise ValueError(f"it holds more than {most:,} objects")
            if opcode.name in NOT_OF_DATA:
                raise ValueError(f"it uses {opcode.name}")
    except ValueError as error:
        raise ValueError(f"it is no pickle of data ({error})") from None
    file.seek(start)
    return _Unpickler(file, MOST_OPCODES + ARGUMENTS_A_BYTE * size, stand_in, storage).load()


def refuse_name(module: str, name: str) -> None:
    """Refuse what is no data.

    Raises:
        ValueError: naming it.
    """
    raise ValueError(f"it asks for {module}.{name}, which is not data: do not trust this file")
