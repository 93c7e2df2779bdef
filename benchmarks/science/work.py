"""Jobs done side by side, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence

import torch
from tqdm import tqdm

from .cache import Job
from .running import run_row


def work(jobs: Sequence[Job], workers: int, threads: int) -> None:
    """Does the jobs whose results are not there yet; what is done is kept when this is ended.

    Args:
        workers: processes; 1 works in this one.
        threads: of each.
    """
    open_jobs = list({job.path(): job for job in jobs if not job.done()}.values())
    # The longest first, so that no process is left alone with one at the end.
    open_jobs.sort(key=lambda job: -job.cost)
    total = sum(job.cost for job in jobs)
    with tqdm(total=total, unit="image step", unit_scale=True, smoothing=0.05) as bar:
        bar.update(total - sum(job.cost for job in open_jobs))
        for job in _done(open_jobs, workers, threads):
            bar.update(job.cost)
            bar.set_postfix_str(job.row.key)


def _done(jobs: list[Job], workers: int, threads: int) -> Iterator[Job]:
    if workers == 1:
        torch.set_num_threads(threads)
        yield from map(_do, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, torch.set_num_threads, (threads,)) as pool:
        yield from pool.imap_unordered(_do, jobs)


def _do(job: Job) -> Job:
    job.save(*run_row(job.row, job.problems(), job.precision))
    return job
