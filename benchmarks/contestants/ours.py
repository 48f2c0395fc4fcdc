"""This project's training; the kind is the precision, or `compiled`: float32 too."""

import torch
from packs import pack_of
from turns import Task, Turns

from vaebench.execution.device import hold_memory
from vaebench.training.loop import train
from vaebench.training.pack import init_state


def main() -> None:
    task, device = Task.told(), torch.device(Task.told().device)
    torch.set_num_threads(task.threads)
    hold_memory()
    # History is recorded with an evaluation; of one test image it costs nothing worth naming.
    precision = "float32" if task.kind == "compiled" else task.kind
    pack = pack_of(
        task.latent_dim, task.runs, device=device, images=task.images, tested=1, precision=precision
    )
    state = init_state(pack)
    state.compiled = task.kind == "compiled"
    turns = Turns()

    def after_epoch(_: int) -> None:
        turns.end()
        turns.begin()

    turns.begin()
    train(pack, state, lambda: False, after_epoch)
    assert state.compiled == (task.kind == "compiled")


if __name__ == "__main__":
    main()
