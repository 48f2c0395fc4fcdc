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
    """Flush subnormal numbers to zero, where the processor can.

    This holds for the current thread, and for threads that it starts meanwhile. Torch's own threads
    that share its operations are started by its first large operation, and stay.
    """
    were_zero = not bool((torch.full([1], torch.finfo(torch.float32).tiny) * 0.5).any())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(were_zero)
