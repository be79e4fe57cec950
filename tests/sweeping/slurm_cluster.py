"""A SLURM cluster of two nodes on this machine's loopback, with one core and two GPUs each that are none.

python -m tests.sweeping.slurm_cluster COMMAND...    run a command that finds it
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONFIG = """\
ClusterName=gdrun
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
SchedulerParameters=sched_interval=2,bf_interval=2
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 Gres=gpu:2 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""


def why_not() -> str:
    """Return why there can be no cluster here; "" where there can."""
    if os.getuid() != 0:
        return "SLURM's daemons want root"
    missing = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start a cluster; yield the environment in which its commands find it; end it."""
    config = folder / "slurm.conf"
    for name in ("state", "spool.n1", "spool.n2"):
        (folder / name).mkdir()
    for name in ("gpu0", "gpu1"):
        (folder / name).symlink_to("/dev/null")  # SLURM wants a device
    (folder / "gres.conf").write_text(f"NodeName=n[1-2] Name=gpu File={folder}/gpu[0-1]\n")
    # munged insists on a path that nobody else may write to, and runs as whom owns its key.
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    with free_ports(3) as ports:
        config.write_text(CONFIG.format(host=socket.gethostname(), ports=ports, folder=folder))
    environment = {"SLURM_CONF": str(config), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    everything = os.environ | environment
    own = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={key}", *own],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config), "-N", "n1"],
        ["slurmd", "-D", "-f", str(config), "-N", "n2"],
    ]
    processes = []
    with (folder / "daemons.log").open("wb") as log:
        try:
            for command in daemons:
                processes.append(subprocess.Popen(command, env=everything, stdout=log, stderr=log))
                time.sleep(0.3)
            deadline = time.monotonic() + 600  # which only a hang reaches
            asking = ["sinfo", "-h", "-t", "idle", "-o", "%D"]
            while subprocess.run(asking, env=everything, capture_output=True, check=False).stdout.strip() != b"2":
                assert time.monotonic() < deadline, (folder / "daemons.log").read_text()[-2000:]
                time.sleep(0.2)
            yield environment
        finally:
            # Jobs are no children of the daemons: they would outlive them.
            _cancel_jobs(everything)
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(3)
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)


def _cancel_jobs(environment: dict[str, str]) -> None:
    """Cancel all jobs, and wait until they have ended."""
    deadline = time.monotonic() + 30
    subprocess.run(["scancel", "-u", "root"], env=environment, check=False, capture_output=True)
    while time.monotonic() < deadline:
        queue = subprocess.run(["squeue", "-h"], env=environment, check=False, capture_output=True)
        if queue.returncode or not queue.stdout.strip():
            return
        time.sleep(0.2)


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Yield ports that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as environment:
        sys.exit(subprocess.call(sys.argv[1:], env=os.environ | environment))
