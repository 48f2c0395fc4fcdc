"""The evaluation of a pack's runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.evaluation.elbo import Evaluation
from vaebench.experiment.settings import Settings
from vaebench.training.pack import Pack, init_state

MakeSettings = Callable[..., Settings]


def numbers(evaluation: Evaluation) -> list[torch.Tensor]:
    found = [
        *(evaluation.posterior.mean, evaluation.posterior.std, evaluation.prior.variance),
        *(evaluation.kl, evaluation.log_likelihood, evaluation.squared_residual),
        *(evaluation.objective, evaluation.elbo),
    ]
    if evaluation.moments is not None:
        found += [evaluation.moments.second, evaluation.moments.log_det]
    return found


@pytest.mark.parametrize("which", ["train", "test"])
@pytest.mark.parametrize("objective", ["learned", "constant", "full", "bilbo"])
def test_a_run_has_the_same_numbers_to_the_bit_in_any_pack(
    settings: MakeSettings, digits: Arrays, objective: str, which: Literal["train", "test"]
) -> None:
    # Sizes that no vector register divides: the last elements of a tensor are the ones that differ.
    odd = replace(
        digits, train_images=digits.train_images[:203], test_images=digits.test_images[:101]
    )
    runs = [settings(objective=objective, seed=seed) for seed in (3, 1, 4)]
    pack = Pack.of(runs, odd, torch.device("cpu"))
    whole = pack.evaluate(init_state(pack).parameters, which)
    for k in range(len(runs)):
        own = pack.only(k)
        alone = own.evaluate(init_state(own).parameters, which)
        for stacked, single in zip(numbers(whole), numbers(alone), strict=True):
            assert torch.equal(stacked[k : k + 1], single)
