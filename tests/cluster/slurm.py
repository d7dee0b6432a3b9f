"""A real SLURM on one machine: two nodes with a stand-in GPU each, one without, accounting on.

    python tests/cluster/slurm.py start DIR     prints what to export
    python tests/cluster/slurm.py stop DIR

Everything it makes lies in DIR: its own munge key, database, ports and sockets, so a SLURM that the
machine already has is left alone. Needs Debian's slurm-wlm, slurmdbd, munge and mariadb-server, and
jobs run as whoever starts it.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd")
NODES = ("gpu1", "gpu2", "cpu1")
PATIENCE = 60

SLURM_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[slurmctld]}
SlurmdPort={ports[gpu1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=1
# Nodes take jobs as if each had a machine of its own.
SlurmdParameters=config_overrides
MpiDefault=none
# Without cgroups, memory is watched instead: once a second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[slurmdbd]}
AccountingStoragePass={folder}/munge/socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
# A job that runs out of time is killed at its minute's end, and soon.
KillWait=2
OverTimeLimit=0
SlurmdTimeout=30
NodeName=DEFAULT CPUs=2 RealMemory=200000
NodeName=gpu1 CPUs=4 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[gpu1]} Gres=gpu:1
NodeName=gpu2 CPUs=4 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[gpu2]} Gres=gpu:1
NodeName=cpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[cpu1]}
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=60:00:00 State=UP
PartitionName=gpu Nodes=gpu1,gpu2 MaxTime=60:00:00 State=UP
"""

GRES_CONF = """\
NodeName=gpu1 Name=gpu File=/dev/null
NodeName=gpu2 Name=gpu File=/dev/zero
"""

SLURMDBD_CONF = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[slurmdbd]}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[database]}
StorageUser=slurm
StoragePass={password}
StorageLoc=accounting
"""


def missing_programs() -> list[str]:
    """The daemons that this machine lacks."""
    return [name for name in PROGRAMS if not _which(name)]


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started in `folder`."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see this cluster and no other."""
        path = f"{self.folder / 'bin'}:{os.environ.get('PATH', '')}"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of SLURM's commands, and return what it printed."""
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
        return done.stdout

    def jobs(self) -> list[str]:
        """The ids of all jobs that are queued or running."""
        return self.run("squeue", "--noheader", "--format=%i").split()

    def resume(self, node: str) -> None:
        """Give a node back that was taken down."""
        self.run("scontrol", "update", f"nodename={node}", "state=resume")
        _wait(node, lambda: self.states().get(node) in ("idle", "mixed", "allocated"))

    def hurry(self, job: str) -> None:
        """Start a requeued job now: SLURM gives the node two minutes to clean up."""
        self.run("scontrol", "update", f"jobid={job}", "starttime=now")

    def clear(self) -> None:
        """Cancel what is queued or running, wait until it is gone, and have all nodes back."""
        self.run("scancel", "--full", "--signal=KILL", *self.jobs(), check=False)
        self.run("scancel", *self.jobs(), check=False)
        _wait("an empty queue", lambda: not self.jobs())
        for node, state in self.states().items():
            if state not in ("idle", "mixed", "allocated", "completing"):
                self.resume(node)

    def start(self) -> None:
        """Start all daemons, and wait until every node takes jobs."""
        if missing := missing_programs():
            raise RuntimeError(
                f"SLURM is not installed here: {', '.join(missing)} missing "
                "(Debian: apt-get install slurm-wlm slurmdbd munge mariadb-server)"
            )
        self._configure()
        try:
            self._start_munge()
            self._start_database()
            self._start("slurmdbd", "-D")
            self.run("scontrol", "show", "hostnames", "gpu[1-2]")  # tells a mistake in slurm.conf
            _wait("slurmdbd", lambda: "lab" in self._accounts("add", "cluster", "lab"))
            self._accounts("add", "account", "default", "Description=students")
            self._accounts("add", "user", getpass.getuser(), "account=default")
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            _wait("the nodes", lambda: self.states() == dict.fromkeys(NODES, "idle"))
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """Stop and start slurmctld and the nodes, after a change of slurm.conf."""
        daemons = [f"slurmd.{node}" for node in NODES]
        for name in ["slurmctld", *daemons]:
            self.stop_daemon(name)
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        _wait("the nodes", lambda: self.states() == dict.fromkeys(NODES, "idle"))

    def stop(self) -> None:
        """Kill what runs on the cluster, and stop all daemons."""
        if (self.folder / "slurm.conf").exists() and self._pid("slurmctld"):
            self.run("scancel", "--signal=KILL", *self.jobs(), check=False)
        for name in [f"slurmd.{node}" for node in NODES] + ["slurmctld", "slurmdbd"]:
            self.stop_daemon(name)
        for name in ("database", "munged"):
            self.stop_daemon(name)

    def states(self) -> dict[str, str]:
        """Node -> its state."""
        lines = self.run("sinfo", "--noheader", "-N", "--format=%N %T", check=False).splitlines()
        return dict(line.split(maxsplit=1) for line in lines if line.split()[0] in NODES)

    def start_controller(self) -> None:
        """Start slurmctld; it takes up what it knew."""
        self._start("slurmctld", "-D", "-i")
        _wait("slurmctld", lambda: "UP" in self.run("scontrol", "ping", check=False))

    def start_accounting(self) -> None:
        """Start slurmdbd."""
        self._start("slurmdbd", "-D")
        _wait("slurmdbd", lambda: "lab" in self.run("sacctmgr", "show", "cluster", check=False))

    def restart_node(self, node: str, **environment: str) -> None:
        """Stop and start the slurmd of a node, with more in its environment."""
        self.stop_daemon(f"slurmd.{node}")
        self.start_node(node, **environment)
        _wait(node, lambda: self.states().get(node) == "idle")

    def start_node(self, node: str, **environment: str) -> None:
        """Start the slurmd of a node, with more in its environment."""
        self._start("slurmd", "-D", "-N", node, as_name=f"slurmd.{node}", **environment)

    def stop_daemon(self, name: str, by: signal.Signals = signal.SIGTERM) -> None:
        """Stop a daemon (``slurmctld``, ``slurmd.gpu1``, ...) that this cluster started."""
        pid = self._pid(name)
        if pid is None:
            return
        os.kill(pid, by)
        try:
            _wait(f"the end of {name}", lambda: not _alive(pid), 20)
        except RuntimeError:
            os.kill(pid, signal.SIGKILL)
        (self.folder / f"{name}.started").unlink()

    def _configure(self) -> None:
        for name in ("munge", "state", "spool", "db", "bin"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        values = {
            "folder": self.folder,
            "host": socket.gethostname(),
            "user": getpass.getuser(),
            "ports": _free_ports("slurmctld", "slurmdbd", "database", *NODES),
            "password": secrets.token_hex(16),
        }
        (self.folder / "values.json").write_text(json.dumps(values, default=str))
        for name, text in (
            ("slurm.conf", SLURM_CONF),
            ("gres.conf", GRES_CONF),
            ("slurmdbd.conf", SLURMDBD_CONF),
        ):
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text.format(**values))
        # Snakemake's executor clears SLURM's variables before it calls srun within a job; a cluster
        # with its configuration in /etc/slurm does not mind.
        srun = self.folder / "bin" / "srun"
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {_which("srun")} "$@"\n'
        )
        srun.chmod(0o700)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        options = [f"--{name}={folder / name.split('-')[0]}" for name in ("key-file", "socket")]
        options += [f"--{name}={folder / name}" for name in ("seed-file", "log-file", "pid-file")]
        # --force: the folder may lie below one that others can write to, such as /tmp.
        self._start("munged", "--foreground", "--force", *options)
        _wait("munged", (folder / "socket").exists)

    def _start_database(self) -> None:
        values = json.loads((self.folder / "values.json").read_text())
        data, user = self.folder / "db", getpass.getuser()
        own = ["--no-defaults", f"--datadir={data}", f"--user={user}"]
        install = [_which("mariadb-install-db"), *own, "--auth-root-authentication-method=normal"]
        with (self.folder / "database.log").open("ab") as log:
            subprocess.run([*install, "--skip-test-db"], stdout=log, stderr=log, check=True)
        listen = [f"--socket={data}/socket", f"--port={values['ports']['database']}"]
        listen += ["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M"]
        self._start("mariadbd", *own, *listen, as_name="database")
        client = ["mariadb", "--no-defaults", f"--socket={data}/socket", "--user=root"]
        grant = (
            f"CREATE USER slurm@'%' IDENTIFIED BY '{values['password']}';"
            "GRANT ALL ON accounting.* TO slurm@'%';"
        )
        _wait("the database", lambda: _quietly([*client, "--execute", "SELECT 1"]))
        subprocess.run([*client, "--execute", grant], check=True)

    def _accounts(self, *command: str) -> str:
        self.run("sacctmgr", "--immediate", *command, check=False)
        return self.run("sacctmgr", "--noheader", "show", command[1], check=False)

    def _start(self, program: str, *arguments: str, as_name: str = "", **environment: str) -> None:
        name = as_name or program
        with (self.folder / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                [_which(program), *arguments],
                env=os.environ | self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / f"{name}.started").write_text(str(process.pid))

    def _pid(self, name: str) -> int | None:
        file = self.folder / f"{name}.started"
        return int(file.read_text()) if file.exists() and _alive(int(file.read_text())) else None


def faketime() -> str | None:
    """The library that shows a process another time, where it is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return str(found[0]) if found else None


def _which(program: str) -> str:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _alive(pid: int) -> bool:
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()
    return ended == 0


def _quietly(command: list[str]) -> bool:
    silent = subprocess.DEVNULL
    return subprocess.run(command, stdout=silent, stderr=silent, check=False).returncode == 0


def _wait(what: str, ready: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.1)


def _free_ports(*names: str) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return dict(zip(names, ports, strict=True))


def main() -> None:
    """Start or stop by hand."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("start", "stop"):
        sys.exit(__doc__)
    cluster = Cluster(Path(sys.argv[2]).resolve())
    if sys.argv[1] == "stop":
        cluster.stop()
        return
    cluster.start()
    for name, value in cluster.environment.items():
        print(f"export {name}={value}")


if __name__ == "__main__":
    main()
