"""Runs a ComfyUI workflow for many pictures and prompts; can be stopped and started at any time.

    pip install websocket-client tqdm
    python batch.py --workflow text_edit.json --images photos --prompts prompts.txt --out results
    python batch.py --workflow text_edit.json --jobs jobs.csv --out results

Every job gets a folder in `--out`; `manifest.jsonl` there says what was queued, done or failed.
After ctrl-c, a crash or a power cut the same command goes on: it fetches what the server has
finished meanwhile, and runs nothing twice. Ends with 0 if all jobs are done, with 4 if some failed
(again with --retry-failed), else as `edit.py`.
"""

from __future__ import annotations

import argparse
import functools
import sys
import uuid
from collections import deque
from pathlib import Path
from typing import Any

from comfy_client import Forgotten, Graph, Interrupted, NoAnswer, Problem, Server, is_end, save
from edit import DEFAULT_SERVER, address, changed, load_graph
from jobs import Job, all_of_all, make_jobs, read_table
from manifest import Manifest
from tqdm import tqdm

MOST_STARTS = 2  # of a job that the server loses: it may be what brings the server down


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        graph = load_graph(options.workflow)
        table = read_table(options.jobs) if options.jobs else None
        jobs = make_jobs(graph, table or all_of_all(options.images, options.prompts, options.seeds))
        with Manifest(options.out) as manifest:
            Batch(options, graph, jobs, manifest).run()
            failed = sum(manifest.state(job.key) == "failed" for job in jobs)
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr)
        return getattr(problem, "status", 1)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    print(f"{len(jobs) - failed} of {len(jobs)} jobs are done, {failed} failed: {manifest.path}")
    return 4 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--server", type=address, default=DEFAULT_SERVER, help=f"default: {DEFAULT_SERVER}")
    add("--workflow", type=Path, required=True, help="a file in API format")
    add("--jobs", type=Path, help="CSV or JSON lines with image, prompt, seed, NODE.INPUT")
    add("--images", type=Path, help="a folder: every picture in it, with ...")
    add("--prompts", type=Path, help="... every line of this text file, with ...")
    add("--seeds", type=int, nargs="+", default=[], help="... each of these seeds")
    add("--out", type=Path, default=Path("results"), help="folder for results and manifest")
    add("--ahead", type=int, default=2, help="jobs in the server's queue at once (default: 2)")
    add("--retry-failed", action="store_true", help="run jobs again that failed before")
    options = parser.parse_args(arguments)
    if bool(options.jobs) == bool(options.images or options.prompts or options.seeds):
        parser.error("give either --jobs, or --images, --prompts and --seeds")
    if options.ahead < 1:
        parser.error("--ahead is the number of jobs that are queued at once: 1 or more")
    return options


class Batch:
    """The jobs that are not done yet, a few of them in the server's queue."""

    def __init__(
        self, options: argparse.Namespace, graph: Graph, jobs: list[Job], manifest: Manifest
    ) -> None:
        self.out, self.ahead = options.out, options.ahead
        self.graph, self.manifest = graph, manifest
        self.server = Server(options.server)
        self.upload = functools.cache(self.server.upload)  # a picture goes there once
        over = ("done",) if options.retry_failed else ("done", "failed")
        left = [job for job in jobs if manifest.state(job.key) not in over]
        self.queued: dict[str, Job] = {}  # by prompt id
        for job in left:
            if manifest.state(job.key) == "queued":  # the server may have it, even finished
                job.resumed = True
                self.queued[manifest.last[job.key]["prompt_id"]] = job
        self.waiting = deque(job for job in left if not job.resumed)
        self.bar = Bar(len(jobs), len(jobs) - len(left))

    def run(self) -> None:
        """Works until no job is left; on ctrl-c takes its own jobs out of the queue."""
        self.server.check()
        self.server.listen()
        try:
            self._collect()
            while self.waiting or self.queued:
                while self.waiting and len(self.queued) < self.ahead:
                    self._start(self.waiting.popleft())
                message = self.server.message()
                if message:
                    self.bar.show(message, self.queued)
                if message is None or is_end(message):
                    self._collect()
        except KeyboardInterrupt:
            for prompt_id in self.queued:
                self.server.cancel(prompt_id)
            raise
        finally:
            self.bar.close()

    def _start(self, job: Job) -> None:
        """Queues a job; the manifest knows of it before the server does."""
        graph = changed(self.graph, job.values, self.upload)
        prompt_id = str(uuid.uuid4())
        self.manifest.write(job.key, "queued", prompt_id=prompt_id, values=job.values)
        job.starts += 1
        self.queued[prompt_id] = job
        try:
            self.server.queue(graph, prompt_id)
        except NoAnswer:  # the job stays queued, for the next call
            raise
        except Problem as problem:
            del self.queued[prompt_id]
            self._end(job, "failed", error=str(problem))

    def _collect(self) -> None:
        """Fetches what is finished, and notes what failed."""
        for prompt_id, job in list(self.queued.items()):
            try:
                files = self.server.result(prompt_id)
                if files is None:
                    continue
                folder = self.out / job.folder
                paths = [save(self.server.fetch(f), folder, f["filename"]) for f in files]
                self._end(job, "done", files=[p.relative_to(self.out).as_posix() for p in paths])
            except NoAnswer:
                raise
            except Problem as problem:
                again = isinstance(problem, Forgotten) and job.starts < MOST_STARTS
                if again or (job.resumed and isinstance(problem, Interrupted)):
                    job.resumed = False
                    self.waiting.appendleft(job)
                else:
                    self._end(job, "failed", error=str(problem))
            del self.queued[prompt_id]

    def _end(self, job: Job, state: str, **more: Any) -> None:
        self.manifest.write(job.key, state, **more, values=job.values)
        self.bar.end(f"{state}: {job.folder}" + (f": {more['error']}" if "error" in more else ""))


class Bar:
    """One bar for all jobs, in a terminal; and a line for each job that ends."""

    def __init__(self, total: int, done: int) -> None:
        form = "{l_bar}{bar}| {n:.1f} of {total} jobs [{elapsed}, {remaining} left{postfix}]"
        quiet = not sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=done, bar_format=form, disable=quiet)
        self.ended = done

    def show(self, message: dict[str, Any], queued: dict[str, Job]) -> None:
        """Moves on by the share of the running job that is done."""
        data = message["data"]
        if message["type"] == "progress" and data.get("prompt_id") in queued:
            self.bar.n = max(self.bar.n, self.ended + data["value"] / data["max"])
            self.bar.set_postfix_str(queued[data["prompt_id"]].folder, refresh=True)

    def end(self, line: str) -> None:
        """Tells how a job ended."""
        self.ended += 1
        self.bar.n = self.ended
        self.bar.refresh()
        tqdm.write(line)
        sys.stdout.flush()

    def close(self) -> None:
        self.bar.close()


if __name__ == "__main__":
    sys.exit(main())
