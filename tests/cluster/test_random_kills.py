"""Kills at random moments of random processes of SLURM jobs, and nothing lost.

The executor looks at failed jobs ever less often, so a hundred take long here; tests/workflow has
the others.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest
from lab import Controller, Lab

pytestmark = pytest.mark.usefixtures("quiet")

KILLS, SOAK_KILLS = 6, 24
SEED = 2022
# The longest wait between two kills, in seconds: half the life of a job of this small study.
LONGEST = 5.0
# Kills of one run; then it is left alone to finish, and the next one begins.
PER_RUN = 12


def kill_at_random(
    controller: Controller, chance: random.Random, kills: Counter[str], most: int
) -> None:
    """Kill something of the study's jobs now and then, `most` times at the most."""
    done = 0
    while done < most and controller.process.poll() is None:
        time.sleep(chance.uniform(0, LONGEST))
        try:
            jobs = controller.lab.queue(state="RUNNING")
            victims = [process for job in jobs for process in controller.lab.processes(job)]
            # Without slurmstepd SLURM takes minutes to see that a job has ended.
            victims = [victim for victim in victims if victim.name() != "slurmstepd"]
            if not victims:
                continue
            victim = chance.choice(victims)
            name = kind(victim)
            victim.kill()
        except psutil.Error:
            continue
        kills[name] += 1
        done += 1


def kind(process: psutil.Process) -> str:
    """What a process is: a script, the snakemake or srun around it, or SLURM's own."""
    words = " ".join(process.cmdline())
    if "/workflow/scripts/" in words and "snakemake" not in words:
        return "script"
    return "snakemake" if "snakemake" in words else process.name()


def test_random_kills_of_slurm_jobs(
    new_lab: Callable[[], Lab],
    undisturbed: Lab,
    survived: Callable[[str, str], None],
    pytestconfig: pytest.Config,
) -> None:
    chance, kills, runs = random.Random(SEED), Counter[str](), 0
    wanted = SOAK_KILLS if pytestconfig.getoption("soak") else KILLS
    while kills.total() < wanted:
        runs += 1
        lab = new_lab()
        controller = lab.start("experiments", "--retries", str(PER_RUN))
        most = min(PER_RUN, wanted - kills.total())
        killer = threading.Thread(target=kill_at_random, args=(controller, chance, kills, most))
        killer.start()
        run = controller.finish()
        killer.join()
        assert run.code == 0, run.out
        assert lab.predictions() == undisturbed.predictions(), kills
        assert not list(lab.folder.glob("results/**/.*.tmp")), "something half-written is left"
    what = ", ".join(f"{n} of {name}" for name, n in kills.most_common())
    survived(
        f"{kills.total()} kills of random processes of SLURM jobs at random moments, {runs} runs",
        f"tried again each time ({what})",
    )
