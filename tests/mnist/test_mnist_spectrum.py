"""The eigenvalues of MNIST in config/spectra.yaml are those of its training images."""

from pathlib import Path

import pytest

from vaebench.claims.spectra import load_spectra, spectrum
from vaebench.data.prepared import load, prepare

pytestmark = pytest.mark.mnist


def test_the_spectrum_of_mnist_is_that_of_the_data(tmp_path: Path) -> None:
    prepare("mnist", tmp_path, [])
    found = spectrum(load(tmp_path / "prepared", "mnist").train_images)
    assert found == pytest.approx(load_spectra()["mnist"], rel=2e-4)
