"""From what two versions of the code gave on the golden set to the level of each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from vaebench.attestation.golden import Case
from vaebench.runs.attestations import Level, Lines

Verdict = Literal["bits", "rounding", "differs", "not compared"]

EXACT = 1e-9
"""Relative difference in float64 up to which two versions compute the same formula. Rounding in
float64 is 1e-16 for one operation, and training of a few dozen steps amplifies it to 1e-12 at most
in what was tried; a factor of 1 + 1e-6 anywhere in a formula shows as 1e-9 or more in the change of
the weights, and as 1e-6 in the objective or a gradient."""
ULP = 2.0**-23
"""The spacing of float32 numbers at 1. A float32 number cannot have a smaller error."""
SLACK = 4.0
"""How many times the error of the former version the error of float32 numbers may have. Another
order of the same sums changes their errors by a factor of up to about 2; the part of the error that
is not random, such as a wrong factor, is judged on its own (`_bias`)."""
COARSE = {"levels": 1.0, "array": 2.0**-9, "quality": 0.02}
"""Differences that rounding may make of numbers that are rounded more coarsely than to float32.
Levels 0..255 by one; arrays that are kept in float16 by two units in its last place, relative to
their largest entry; measures of samples by the few of some hundred images that change sides."""

RECORDED = {"history", "number"}
"""The kinds of what a record has, which a later version may have more of."""


@dataclass(frozen=True)
class Outcome:
    """How two versions compare on one case."""

    verdict: Verdict
    difference: float = 0.0
    """The largest relative difference that was found; 0 for `bits`."""
    where: str = ""
    """What differs most, or why there was nothing to compare."""
    added: tuple[str, ...] = ()
    """The numbers that only the current version records. They are not compared."""


def compare_bytes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Outcome:
    """Compare the digests of weights, arrays, recorded numbers and measures of a case.

    Numbers that only the current version records say nothing about what both compute, so they are
    left out and named. A number that is no longer recorded is a difference.

    Args:
        before: what `worker.train_case` gave with the former sources.
        after: what it gave with the current ones.

    Returns:
        `bits`, `differs` (it may still be rounding), or `not compared` where the former sources
        cannot train the case.
    """
    if "failed" in before:
        return Outcome("not compared", where=f"the former sources: {before['failed']}")
    if "failed" in after:
        return Outcome("differs", float("inf"), f"the current sources: {after['failed']}")
    names: list[str] = []
    added: set[str] = set()
    for k, (old, new) in enumerate(zip(before["runs"], after["runs"], strict=True)):
        added |= new.keys() - old.keys()
        names += [
            f"{what} of run {k}" + ("" if what in new else ", which is no longer recorded")
            for what in old
            if what not in new or old[what] != new[what]
        ]
    if before.get("quality") != after.get("quality"):
        names.append("what is measured on samples")
    if names:
        return Outcome("differs", float("inf"), names[0], tuple(sorted(added)))
    return Outcome("bits", added=tuple(sorted(added)))


def compare_numbers(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Outcome:
    """Compare what `worker.probe_case` gave with two versions, float64 tensors by name.

    Numbers that only the current version records are left out, as in `compare_bytes`. Both must be
    the same formula in float64. In float32, the current version must not be further from the
    float64 reference than rounding is.
    """
    new = {name for name in set(after) - set(before) if _kind(name) not in RECORDED}
    if odd := sorted(new | (set(before) - set(after))):
        return Outcome("differs", float("inf"), f"{odd[0]}: not in both")
    worst = Outcome("rounding", 0.0, "")
    allowed = {name: _allowed_error(before, name) for name in before if "32/" in name}
    for name, old in before.items():
        if old.shape != after[name].shape:
            return Outcome("differs", float("inf"), f"{name}: of another shape")
        if "64/" in name:
            difference = _difference(name, after[name], old)
            if difference > COARSE.get(_kind(name), EXACT):
                return Outcome("differs", difference, name)
        else:
            reference = before[name.replace("32/", "64/")]
            difference = _difference(name, after[name], reference)
            bias = 0.0 if _kind(name) in COARSE else _bias(after[name], reference)
            if difference > allowed[name] or bias > max(ULP, SLACK * _bias(old, reference)):
                return Outcome("differs", difference, name)
        if difference > worst.difference and _kind(name) not in COARSE:
            worst = Outcome("rounding", difference, name)
    return worst


def part_levels(
    outcomes: Mapping[str, Outcome],
    cases: Sequence[Case],
    before: Mapping[str, Lines],
    after: Mapping[str, Lines],
) -> dict[str, Outcome]:
    """The level of each part that both versions have: the weakest of the cases it is in.

    A part that is the same in both versions is not to blame for what differs. So the core is judged
    by the cases whose other parts, if they changed, have a level of their own.
    """
    levels: dict[str, Outcome] = {}
    shared = [part for part in before if part in after]
    for part in sorted(shared, key=lambda part: part == "core"):
        if sorted(before[part]) == sorted(after[part]):
            levels[part] = Outcome("bits")
            continue
        suspects = {p for p, level in levels.items() if level.verdict == "differs"}
        found = [
            outcomes[case.name]
            for case in cases
            if part in case.parts
            and outcomes[case.name].verdict != "not compared"
            and not (part == "core" and suspects & set(case.parts))
        ]
        levels[part] = _weakest(found)
    return levels


def _weakest(outcomes: Sequence[Outcome]) -> Outcome:
    if not outcomes:
        return Outcome("differs", float("inf"), "no case could be compared")
    order: dict[Verdict, int] = {"differs": 0, "rounding": 1, "bits": 2}
    worst = min(outcomes, key=lambda one: (order[one.verdict], -one.difference))
    added = {name for one in outcomes for name in one.added}
    return replace(worst, added=tuple(sorted(added)))


def attested_level(outcome: Outcome) -> Level | None:
    """The level to record; None where nothing may be recorded."""
    return outcome.verdict if outcome.verdict in ("bits", "rounding") else None


def _allowed_error(before: Mapping[str, Tensor], name: str) -> float:
    """How far from the float64 reference the current version may be in float32.

    The error of one tensor is small by chance now and then. Tensors of one kind, such as all
    gradients, have errors of one size.
    """
    errors = [
        _difference(other, before[other], before[other.replace("32/", "64/")])
        for other in before
        if other.split("/")[:2] == name.split("/")[:2]
    ]
    return max(COARSE.get(_kind(name), ULP), SLACK * max(errors))


def _kind(name: str) -> str:
    """Such as `gradient` in `step32/gradient/encoder.mean.bias`."""
    return name.split("/")[1]


def _difference(name: str, value: Tensor, reference: Tensor) -> float:
    """The size of a difference: of the whole tensor, relative to the size of the reference.

    Of what is coarse, the largest difference of an entry; of arrays relative to their largest.
    """
    if torch.equal(value.nan_to_num(), reference.nan_to_num()):
        return 0.0
    if _kind(name) in COARSE:
        scale = float(reference.abs().max()) if _kind(name) == "array" else 1.0
        return float((value - reference).abs().max()) / max(scale, 1e-30)
    return float((value - reference).norm() / reference.norm().clamp_min(1e-30))


def _bias(value: Tensor, reference: Tensor) -> float:
    """The part of an error that lies along the reference: 1e-6 for a factor of 1 + 1e-6.

    Random errors of single numbers cancel in it.
    """
    square = float((reference * reference).sum())
    if square == 0:
        return 0.0
    return abs(float(((value - reference) * reference).sum())) / square
