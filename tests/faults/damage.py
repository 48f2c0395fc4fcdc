"""What can happen to a file: the damages that every stage has to notice, or to survive."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[bytes, random.Random], bytes]


def _flip(content: bytes, place: int, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[place] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _within(first: float, last: float) -> Damage:
    """One bit is flipped, at a random place between these shares of the file."""

    def damage(content: bytes, chance: random.Random) -> bytes:
        low, high = (int(share * (len(content) - 1)) for share in (first, last))
        return _flip(content, chance.randint(low, high), chance)

    return damage


def _conflict(content: bytes, _: random.Random) -> bytes:
    half = len(content) // 2
    first, second = content[:half], content[half:]
    return b"<<<<<<< HEAD\n" + first + b"\n=======\n" + second + b"\n>>>>>>> theirs\n"


DAMAGES: dict[str, Damage] = {
    "empty": lambda *_: b"",
    "truncated": lambda content, chance: content[: chance.randrange(1, max(len(content), 2))],
    "garbage": lambda content, chance: chance.randbytes(len(content)),
    "a bit of the head": lambda content, chance: _flip(
        content, chance.randrange(min(40, len(content))), chance
    ),
    "a bit of the middle": _within(0.2, 0.8),
    "a bit of the end": lambda content, chance: _flip(
        content, len(content) - 1 - chance.randrange(min(40, len(content))), chance
    ),
    "zeros at the end": lambda content, _: content + bytes(1000),
    "another type": lambda *_: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a list": lambda *_: b"[]",
    "nested without end": lambda *_: b"[" * 100_000,
    "a merge conflict": _conflict,
}


def damaged(path: Path, chance: random.Random) -> Iterator[str]:
    """Damage a file in every way. The file is as it was whenever control returns here last."""
    before = path.read_bytes()
    try:
        for name, damage in DAMAGES.items():
            path.write_bytes(damage(before, chance))
            yield name
        path.unlink()
        path.mkdir()
        yield "a folder"
        path.rmdir()
        path.symlink_to("/dev/zero")
        yield "a device"
        path.unlink()
        path.symlink_to(path.name)
        yield "a link to itself"
        path.unlink()
        yield "missing"
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(before)
