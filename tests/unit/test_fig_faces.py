"""The figure of the CelebA runs: which methods share a colour."""

from vaebench.figures.fig_faces import with_colours
from vaebench.figures.methods import Method


def test_the_two_forms_of_an_objective_share_a_colour_and_no_others_do() -> None:
    kinds = [("learned", None), *((form, std) for form in ("constant", "bilbo") for std in (1, 2))]
    given = [
        Method({"objective": name, "posterior_std": std}, f"{name} {std}", name, (0.0, 0.0, 0.0))
        for name, std in kinds
    ]
    colours = {(m.objective, m.settings["posterior_std"]): m.colour for m in with_colours(given)}
    assert list(colours) == kinds
    for std in (1, 2):
        assert colours["constant", std] == colours["bilbo", std]
    assert len(set(colours.values())) == 3
