"""Unpickle without executing anything: each name that a file asks for is answered by a stand-in, or refused.

A pickle can call any function, and make the unpickler take memory that the file is not worth.
"""

import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

MAGIC = 0x1950A86A20F9469CFC6C  # opens torch.save's format before version 1.6
MOST_OPCODES = 200_000  # of a small pickle; a scene takes some fifty, an Adam-trained tensor a hundred
BYTES_AN_OPCODE = 64  # in large files, most of which are numbers
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")  # numbers for which the unpickler makes room
DAMAGE = (  # what readers of damaged and hostile files raise, beside ValueError
    *(OSError, EOFError, RuntimeError, zlib.error, struct.error),
    *(zipfile.BadZipFile, NotImplementedError),  # the latter for a zip of another version
    *(pickle.UnpicklingError, LookupError, MemoryError, ArithmeticError),
    *(TypeError, AttributeError, AssertionError),
)
StandIn = Callable[[str, str], Any]  # answers a module and a name in it
Storage = Callable[[Any], Any]  # answers the persistent ids by which torch.save names the numbers of tensors


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins and nothing else."""

    def __init__(self, file: Any, stand_in: Callable[[str, str], Any], storage: Callable[[Any], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self.stand_in, self.storage = stand_in, storage

    def find_class(self, module: str, name: str, /) -> Any:
        return self.stand_in(module, name)

    def persistent_load(self, pid: Any, /) -> Any:
        return self.storage(pid)


def load_inert(file: Any, size: int, stand_in: Callable[[str, str], Any], storage: Callable[[Any], Any]) -> Any:
    """The next object of a file, after a look at what its opcodes ask for.

    Args:
        file: bytes, at any place.
        size: bytes of the file, which what it asks for is compared with.

    Raises:
        ValueError, or one of ``DAMAGE``: it is no pickle, is damaged, or asks for more than it is worth.
    """
    start, most = file.tell(), MOST_OPCODES + size // BYTES_AN_OPCODE
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > most:
                raise ValueError(f"it holds more than {most:,} objects")
            if opcode.name in MEMO and isinstance(argument, int) and argument > min(size, most):
                raise ValueError(f"it asks for a memory of {argument:,} objects")
    except ValueError as error:
        raise ValueError(f"it is no pickle of data ({error})") from None
    file.seek(start)
    return _Unpickler(file, stand_in, storage).load()


def refuse_name(module: str, name: str) -> None:
    """Refuse what is no data.

    Raises:
        ValueError: naming it.
    """
    raise ValueError(f"it asks for {module}.{name}, which is not data: do not trust this file")
