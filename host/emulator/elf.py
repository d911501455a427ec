"""As much of a 32-bit Arm ELF file as the instruction counter needs: a symbol, who calls it, and who calls by pointer.

Layout: System V ABI, "ELF-32 object file format"; BL: Armv7-M ARM, A7.7.18, encoding T1; BLX: A7.7.19, encoding T1.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host.errors import SetupError

_SHT_SYMTAB = 2
_SHT_NOBITS = 8
_SHF_EXECINSTR = 4
_EM_ARM = 40
_SECTION = struct.Struct("<10I")
_SYMBOL = struct.Struct("<3IBBH")
# Two halfwords, little-endian: 11110Siiiiiiiiii 11j1kiiiiiiiiiii. A look-ahead, so that matches may overlap.
_BL = re.compile(rb"(?=([\x00-\xff][\xf0-\xf7][\x00-\xff][\xd0-\xdf\xf0-\xff]))", re.DOTALL)
_BLX = re.compile(rb"(?=([\x80\x88\x90\x98\xa0\xa8\xb0\xb8\xc0\xc8\xd0\xd8\xe0\xe8\xf0]\x47))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    flags: int
    address: int
    link: int
    data: bytes


class ArmElf:
    """A firmware image. Every offset in the file is checked before it is used."""

    def __init__(self, path: Path) -> None:
        """Read `path`. Raises SetupError when it is no such file."""
        self._path = path
        try:
            self._file = path.read_bytes()
        except OSError as error:
            raise SetupError(
                f"{path}: cannot read the firmware: {error.strerror}. Build it: host build BOARD"
            ) from None
        if self._file[:6] != b"\x7fELF\x01\x01" or len(self._file) < 52 or self._u16(18) != _EM_ARM:
            raise self._damaged("no 32-bit little-endian Arm ELF file")
        self._sections = tuple(self._read_sections())

    def function(self, name: str) -> int:
        """Address of a Thumb function, bit 0 cleared. Raises SetupError when there is none of that name."""
        address = self.find(name)
        if address is None:
            raise SetupError(f"{self._path}: no function {name!r} in its symbol table: is it stripped, or inlined?")
        return address

    def extent(self, name: str) -> tuple[int, int]:
        """First address of a Thumb function and the one behind its last. Raises SetupError as `function` does."""
        symbol = self._symbol(name)
        if symbol is None or symbol[1] == 0:
            raise SetupError(f"{self._path}: no function {name!r} of a known size in its symbol table: is it stripped?")
        return symbol[0], symbol[0] + symbol[1]

    def find(self, name: str) -> int | None:
        """Like `function`; None when there is none of that name."""
        symbol = self._symbol(name)
        return None if symbol is None else symbol[0]

    def _symbol(self, name: str) -> tuple[int, int] | None:
        """Address and bytes."""
        wanted = name.encode()
        for section in self._sections:
            if section.kind != _SHT_SYMTAB or section.link >= len(self._sections):
                continue
            names = self._sections[section.link].data
            usable = len(section.data) - len(section.data) % _SYMBOL.size
            for name_at, value, size, info, _other, _index in _SYMBOL.iter_unpack(section.data[:usable]):
                if info & 0xF == 2 and names[name_at : name_at + len(wanted) + 1] == wanted + b"\0":
                    return int(value) & ~1, int(size)
        return None

    def callers(self, address: int) -> tuple[int, ...]:
        """Addresses of the BL instructions to `address`, in order.

        Code is not told from constants among it, so that a constant may look like a call, once in 2^32.
        """
        return tuple(sorted(at for at, code in self._code(_BL) if _bl_target(code, at) == address))

    def indirect_calls(self) -> tuple[int, ...]:
        """Addresses of the BLX instructions, in order, and of whatever else looks like one: those are never executed
        as such."""
        return tuple(sorted(at for at, _ in self._code(_BLX)))

    def _code(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, bytes]]:
        """Address and bytes of every match in code that may be an instruction."""
        for section in self._sections:
            if section.flags & _SHF_EXECINSTR:
                for match in pattern.finditer(section.data):
                    if match.start() % 2 == 0:
                        yield section.address + match.start(), match[1]

    def _read_sections(self) -> Iterator[_Section]:
        table, entry_bytes, count = self._u32(32), self._u16(46), self._u16(48)
        if entry_bytes != _SECTION.size or table + entry_bytes * count > len(self._file):
            raise self._damaged("its section table lies outside the file")
        for index in range(count):
            _name, kind, flags, address, offset, size, link, *_ = _SECTION.unpack_from(
                self._file, table + index * entry_bytes
            )
            if kind == _SHT_NOBITS:
                size = 0
            elif offset + size > len(self._file):
                raise self._damaged(f"section {index} lies outside the file")
            yield _Section(kind, flags, address, link, self._file[offset : offset + size])

    def _u16(self, offset: int) -> int:
        return int.from_bytes(self._file[offset : offset + 2], "little")

    def _u32(self, offset: int) -> int:
        return int.from_bytes(self._file[offset : offset + 4], "little")

    def _damaged(self, what: str) -> SetupError:
        return SetupError(f"{self._path}: {what}. Build it again: host build BOARD")


def _bl_target(code: bytes, address: int) -> int:
    """Where the BL `code` (4 bytes) at `address` goes to."""
    high, low = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little")
    sign = high >> 10 & 1
    i1 = ~((low >> 13) ^ sign) & 1
    i2 = ~((low >> 11) ^ sign) & 1
    offset = sign << 24 | i1 << 23 | i2 << 22 | (high & 0x3FF) << 12 | (low & 0x7FF) << 1
    return address + 4 + offset - (sign << 25)
