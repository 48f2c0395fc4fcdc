"""This project's training; the kind is the precision."""

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
    pack = pack_of(
        task.latent_dim, task.runs, device=device, images=task.images, tested=1, precision=task.kind
    )
    turns = Turns()

    def after_epoch(_: int) -> None:
        turns.end()
        turns.begin()

    turns.begin()
    train(pack, init_state(pack), lambda: False, after_epoch)


if __name__ == "__main__":
    main()
