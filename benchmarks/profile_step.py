"""Where the time of a training step goes, operator by operator; kernel by kernel on a GPU.

The paper's MNIST network on random images, one run on one thread, or a pack on a GPU.
"""

import argparse

import torch
from torch.profiler import ProfilerActivity, profile

from packs import pack_of  # isort: skip
from vaebench.execution.device import choose_device, hold_memory
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state


def one_epoch(pack: Pack, state: TrainingState) -> None:
    """All steps of an epoch, stopped before the next."""
    finished: list[int] = []
    train(pack, state, lambda: bool(finished), finished.append)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latent-dim", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--objective", default="learned")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    hold_memory()
    torch.set_num_threads(1)
    device = choose_device(options.device)
    pack = pack_of(options.latent_dim, options.runs, options.objective, device)
    state = init_state(pack)
    one_epoch(pack, state)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as seen:
        one_epoch(pack, state)
    by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(seen.key_averages().table(sort_by=by, row_limit=25, max_name_column_width=60))


if __name__ == "__main__":
    main()
