"""Trains a stage by the processes that torchrun started; the first saves its weights.

torchrun --nproc-per-node 2 -m tests.training.in_two_processes STAGE FILE
"""

from __future__ import annotations

import sys

import torch

from tests.training.test_stages import STEPS_OF_TWO, make_task
from training.processes import is_first, start


def main() -> None:
    torch.set_num_threads(1)
    start("cpu")
    task = make_task(sys.argv[1])
    for step in range(STEPS_OF_TWO):
        task.step(step / STEPS_OF_TWO)
    if is_first():
        torch.save(task.model.state_dict(), sys.argv[2])
    torch.distributed.barrier()  # none may end before the file is there
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
