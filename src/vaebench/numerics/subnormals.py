"""Subnormal numbers count as zero in training steps on CPUs.

They are the numbers below 1e-38 in float32. Adam's moments of a weight whose gradient stays zero
decay through them, and processors compute with them up to 30 times slower. A weight is not changed
by them: its next update would be below 1e-30.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Flush subnormal numbers of this thread to zero, where the processor can."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
