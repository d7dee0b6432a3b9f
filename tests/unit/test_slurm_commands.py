"""The commands that the controller finds before SLURM's own, with stand-ins for SLURM's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from affectflow.cluster import waiting

BIN = Path(__file__).parents[2] / "profiles" / "slurm" / "bin"
STATES = ["--parsable2", "--noheader", "--format=JobIdRaw,State", "--name", "run-1"]
SUBMIT = ["--parsable", "--job-name", "run-1", "--comment", "rule_embed_wildcards_000"]
KEPT = "AccountingStorageType   = accounting_storage/slurmdbd"
NOT_KEPT = "AccountingStorageType   = (null)"
ERROR = "sbatch: error: Batch job submission failed: "
VIOLATES = (
    f"{ERROR}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)


class Site:
    """A folder of SLURM's commands, each a script, and a study's folder."""

    def __init__(self, top: Path) -> None:
        self.bin, self.study = top / "bin", top / "study"
        self.bin.mkdir()
        (self.study / ".snakemake" / "affectflow").mkdir(parents=True)
        self.command("sleep", 'echo "$1" >> ../slept')

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def answers(self, name: str, *answers: str) -> None:
        """Answer with each in turn, the last one for ever; those of errors fail."""
        for i, answer in enumerate(answers, start=1):
            (self.bin / f"{name}.{i}").write_text(answer)
        self.command(
            name,
            f'here=$(dirname "$0"); n=$(cat "$here/{name}.n" 2>/dev/null || echo 0); n=$((n + 1))\n'
            f"[ $n -le {len(answers)} ] || n={len(answers)}\n"
            f'echo $n > "$here/{name}.n"; file="$here/{name}.$n"\n'
            'if grep -q error "$file"; then cat "$file" >&2; exit 1; fi\n'
            'cat "$file"; [ ! -s "$file" ] || echo',
        )

    def asked(self, name: str) -> int:
        """How often a command was asked."""
        count = self.bin / f"{name}.n"
        return int(count.read_text()) if count.exists() else 0

    @property
    def notes(self) -> list[str]:
        """What the controller is to pass on."""
        path = self.study / waiting.NOTES
        return path.read_text().splitlines() if path.exists() else []

    def run(self, name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / name), *arguments],
            env={"PATH": f"{BIN}:{self.bin}:/usr/bin:/bin"},
            cwd=self.study,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    # SLURM's own may be installed, and would be found after these.
    site = Site(tmp_path)
    site.command("squeue", "exit 0")
    site.command("scontrol", f"echo '{KEPT}'")
    return site


@pytest.mark.parametrize(
    "words",
    [
        "Unable to contact slurm controller (connect failure)",
        "Resource temporarily unavailable",
        "Slurm temporarily unable to accept job, sleeping and retrying",
        "Communication connection failure",
        "Slurm backup controller in standby mode",
        "I/O error writing script/environment to file",
        "Munge encode failed: Failed to access socket",
        "Unable to contact slurm controller (send failure)",
        "Controller is in standby mode, try a different controller",
        "Message send failure",
        "RPC limit exceeded, please try again later",
        "Required partition not available (inactive or drain)",
        "Could not establish a configuration source",
        'Unable to resolve "slurmctl": Unknown host',
        "Temporary failure in name resolution",
        "No route to host",
    ],
)
def test_sbatch_waits_while_slurm_is_busy(site: Site, words: str) -> None:
    site.answers("sbatch", ERROR + words, ERROR + words, "42")
    done = site.run("sbatch", *SUBMIT)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    assert site.asked("sbatch") == 3
    # Whoever waits reads why, once an hour, and when it is over.
    why, over = site.notes
    assert words in why and "for a day at most" in why and over == "SLURM takes jobs again"


def test_a_cause_that_does_not_pass_is_told_each_hour_for_a_day(site: Site) -> None:
    site.answers("sbatch", ERROR + "Munge encode failed: No such file or directory")
    # Bash counts the seconds itself; here each sleep is half an hour.
    text = BIN.joinpath("sbatch").read_text()
    assert "sleep 10\n" in text
    quick = site.bin.parent / "quick"
    quick.mkdir()
    (quick / "sbatch").write_text(text.replace("sleep 10\n", "SECONDS=$((SECONDS + 1800))\n"))
    (quick / "real.sh").write_text(BIN.joinpath("real.sh").read_text())
    done = subprocess.run(
        ["bash", str(quick / "sbatch"), *SUBMIT],
        env={"PATH": f"{quick}:{site.bin}:/usr/bin:/bin"},
        cwd=site.study, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and "Munge encode failed" in done.stderr
    assert 24 <= len(site.notes) <= 25, site.notes


@pytest.mark.parametrize(
    "words",
    [
        "Invalid account or account/partition combination specified",
        "invalid partition specified: nowhere",
        "Requested node configuration is not available",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "Access/permission denied",
        "Munge decode failed: Invalid credential",
        "Protocol authentication error",
        "Requested partition configuration not available now",
        # A site's own words.
        "Your budget is spent. Please try again with another --account",
    ],
)
def test_sbatch_fails_at_once_where_waiting_is_no_use(site: Site, words: str) -> None:
    site.answers("sbatch", ERROR + words)
    site.command("squeue", "echo 7")
    done = site.run("sbatch", *SUBMIT)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (site.study.parent / "slept").exists()


@pytest.mark.parametrize(
    ("reason", "queue", "waits"),
    [
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\n", "7", True),
        ("sbatch: error: AssocMaxSubmitJobLimit\n", "7", True),
        ("sbatch: error: AssocGrpSubmitJobsLimit\n", "", True),
        ("", "7", True),
        # Nothing of this user's could end, and make room.
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\n", "", False),
        ("", "", False),
        # These hold for good.
        ("sbatch: error: QOSMaxWallDurationPerJobLimit\n", "7", False),
        ("sbatch: error: QOSMaxCpuPerUserLimit\n", "7", False),
        ("sbatch: error: AssocMaxGRESPerJob\nsbatch: error: QOSMinGRES\n", "", False),
    ],
)
def test_sbatch_waits_for_room_in_the_queue(
    site: Site, reason: str, queue: str, waits: bool
) -> None:
    site.answers("sbatch", reason + VIOLATES, "42")
    site.command("squeue", f"echo {queue}")
    done = site.run("sbatch", *SUBMIT)
    assert (done.returncode == 0) is waits
    assert waits or reason.strip() in done.stderr


TIMED_OUT = f"{ERROR}Socket timed out on send/recv operation"


@pytest.mark.parametrize(
    "words",
    [
        "Socket timed out on send/recv operation",
        "Unable to contact slurm controller (receive failure)",
        "Unable to contact slurm controller (shutdown failure)",
        "Message receive failure",
        "Zero Bytes were transmitted or received",
        "Connection reset by peer",
        "Broken pipe",
    ],
)
def test_a_job_that_was_taken_without_a_word_is_not_submitted_twice(site: Site, words: str) -> None:
    site.answers("sbatch", ERROR + words, "43")
    busy = "squeue: error: Socket timed out"
    site.answers("squeue", busy, "41 rule_embed_wildcards_001\n42 rule_embed_wildcards_000")
    done = site.run("sbatch", *SUBMIT)
    assert (done.returncode, done.stdout) == (0, "42\n")
    assert (site.asked("sbatch"), site.asked("squeue")) == (1, 2)
    assert words in site.notes[0] and site.notes[-1].endswith("42")


def test_without_a_name_nobody_can_tell_whether_it_was(site: Site) -> None:
    site.answers("sbatch", f"{ERROR}Unable to contact slurm controller (receive failure)", "43")
    done = site.run("sbatch", "--parsable")
    assert done.returncode == 1 and site.asked("sbatch") == 1


def test_one_that_was_not_taken_is_submitted_again(site: Site) -> None:
    site.answers("sbatch", TIMED_OUT, "43")
    site.answers("squeue", "41 rule_embed_wildcards_001")
    assert site.run("sbatch", *SUBMIT).stdout == "43\n"


def test_the_jobs_script_is_handed_on_each_time(site: Site) -> None:
    script = "#!/bin/sh\necho 'a  b' \"$HOME\"\n"
    site.command(
        "sbatch",
        "cat >> ../scripts; [ ! -e ../once ] || { echo 42; exit; }\n"
        'touch ../once; echo "try again later" >&2; exit 1',
    )
    done = site.run("sbatch", *SUBMIT, "/dev/stdin", stdin=script)
    assert done.stdout == "42\n", done.stderr
    assert (site.study.parent / "scripts").read_text() == 2 * script.rstrip("\n")


def test_no_place_for_temporary_files_is_needed(site: Site) -> None:
    site.answers("sbatch", ERROR + "Resource temporarily unavailable", "42")
    text = f"cd {site.study}; TMPDIR=/nowhere {BIN}/sbatch --parsable"
    environment = {"PATH": f"{BIN}:{site.bin}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_without_slurm_it_is_said(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "cat", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    command = [str(BIN / "sbatch"), "--parsable"]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == 127
    assert "no such command in PATH" in done.stderr


def test_sacct_hands_on_what_it_knows(site: Site) -> None:
    site.answers("sacct", "1|COMPLETED\n2|CANCELLED by 1234\n3|NODE_FAIL")
    site.command("squeue", "exit 1")
    done = site.run("sacct", *STATES)
    assert done.stdout == "1|COMPLETED\n2|CANCELLED\n3|NODE_FAIL\n"
    site.answers("sacct", "None assigned   ")
    assert site.run("sacct", "-j", "3", "-n", "-X", "-o", "nodelist%-256").stdout == "\n"


@pytest.mark.parametrize(
    ("config", "sacct"),
    [
        (NOT_KEPT, "sacct: error: Slurm accounting storage is disabled"),
        ("AccountingStorageType = accounting_storage/none", "Slurm accounting: error"),
        (f"{KEPT}\nAccountingStorageEnforce = nojobs", ""),
    ],
)
def test_without_accounts_the_queue_tells(site: Site, config: str, sacct: str) -> None:
    site.answers("sacct", sacct)
    site.command("scontrol", f"echo '{config}'")
    site.answers("sbatch", "1", "2", "3")
    for _ in range(3):
        site.run("sbatch", *SUBMIT)
    site.answers("squeue", "1|RUNNING\n2|FAILED\n3|PENDING", "3|COMPLETED")
    assert site.run("sacct", *STATES).stdout == "1|RUNNING\n2|FAILED\n3|PENDING\n"
    # SLURM has forgotten the first two: they have ended.
    done = site.run("sacct", *STATES)
    assert (done.returncode, done.stdout) == (0, "3|COMPLETED\n1|UNKNOWN\n2|UNKNOWN\n")
    # Questions that only accounts answer: an empty answer, and no error.
    more = site.run("sacct", "-j", "2.0", "--format=Reason", "--noheader")
    assert (more.returncode, more.stdout) == (0, "")


def test_while_the_database_is_away_nothing_is_taken_for_ended(site: Site) -> None:
    site.answers("sacct", "sacct: error: Problem talking to the database: Connection refused")
    site.answers("sbatch", "1", "2")
    for _ in range(2):
        site.run("sbatch", *SUBMIT)
    site.answers("squeue", "2|RUNNING")
    assert site.run("sacct", *STATES).stdout == "2|RUNNING\n"
    assert site.run("sacct", "-j", "2.0", "--format=Reason").returncode == 1


def test_neither_the_database_nor_the_controller_answers(site: Site) -> None:
    """The executor asks again."""
    site.answers("sacct", "sacct: error: Problem talking to the database: Connection refused")
    site.answers("squeue", "squeue: error: Unable to contact slurm controller")
    done = site.run("sacct", *STATES)
    assert (done.returncode, done.stdout) == (1, "")


def test_many_submissions_note_each_job_once(site: Site) -> None:
    site.answers("sbatch", *map(str, range(5)))
    for _ in range(5):
        site.run("sbatch", *SUBMIT)
    noted = site.study / ".snakemake" / "affectflow" / "submitted" / "run-1"
    assert noted.read_text().split() == [*map(str, range(5))]
    assert os.access(noted, os.R_OK)
