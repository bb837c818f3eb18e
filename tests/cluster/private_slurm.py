"""A Slurm cluster of two nodes on this machine, private to one folder and to the loopback interface; needs root.

    python tests/cluster/private_slurm.py squeue          # run a command inside a fresh cluster, and stop it again

Nothing outside the folder is read or written: not /etc/slurm, not /etc/munge, not /run. The nodes are two daemons that advertise
more processors and memory than there are, and the GPUs are files that merely count. Every daemon ends with the process that started it, even one
that was killed, and when LIFETIME_S is over.
"""

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

LIFETIME_S = 3600
START_S = 60
STOP_S = 20
PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo")

CONFIGURATION = """\
ClusterName=private
SlurmctldHost={host}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=5
ReturnToService=2
KillWait=5
NodeName=cpu1 NodeHostname={host} NodeAddr={address} Port={cpu_port} CPUs=16 RealMemory=128000 State=UNKNOWN
NodeName=gpu1 NodeHostname={host} NodeAddr={address} Port={gpu_port} CPUs=16 RealMemory=128000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1 MaxTime=INFINITE State=UP
"""
"""What a job asks of memory and time is what the workflow's profile says; nothing is enforced but the counts."""

GPUS = "AutoDetect=off\nNodeName=gpu1 Name=gpu File=/dev/null,/dev/zero\n"


@dataclass(frozen=True)
class Cluster:
    """A running cluster. environment: what a process needs to use it."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What one of Slurm's programs prints."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=30).stdout

    def jobs(self) -> list[dict[str, str]]:
        """Every job that has ended, in that order: JobId, Name, JobState, Partition, NodeList and so on."""
        log = self.folder / "jobs.txt"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in lines]


def obstacle() -> str | None:
    """Why no cluster can be started here; None where one can."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"no {missing[0]}; on Debian: apt-get install --no-install-recommends slurm-wlm munge"
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    try:
        address = socket.gethostbyname(host())
    except OSError:
        return f"the name of this machine, {host()}, has no address"
    if not ipaddress.ip_address(address).is_loopback:
        return f"{host()} is {address}, not a loopback address; Slurm would listen on the network"
    return None


def host() -> str:
    """This machine's short name, as Slurm takes it."""
    return socket.gethostname().partition(".")[0]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster with the nodes and partitions `cpu` and `gpu` (two GPUs), ready for jobs; stopped and removed afterwards.

    Raises TimeoutError, with the end of the logs, where the nodes do not come up.
    """
    # Sockets have short paths only, and munge wants every folder above its own to be open to all.
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        running = Cluster(folder, configure(folder))
        daemons: list[subprocess.Popen[bytes]] = []
        cleanup.callback(stop, running, daemons)
        daemons.append(start(running, "munged", "--foreground", *munge_files(folder)))
        wait_for(lambda: (folder / "munge.socket").exists(), running)
        daemons.append(start(running, "slurmctld", "-D", "-c"))
        daemons += [start(running, "slurmd", "-D", "-N", node) for node in ("cpu1", "gpu1")]
        wait_for(lambda: idle_nodes(running) == {"cpu1", "gpu1"}, running)
        yield running


def configure(folder: Path) -> dict[str, str]:
    """Write the cluster's files; return the environment that leads Slurm's programs to them."""
    for name in ("state", "spool-cpu1", "spool-gpu1", "bin"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    names = ("controller_port", "cpu_port", "gpu_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = CONFIGURATION.format(folder=folder, host=host(), address=socket.gethostbyname(host()), **ports)
    (folder / "slurm.conf").write_text(settings, encoding="utf-8")
    (folder / "gres.conf").write_text(GPUS, encoding="utf-8")
    # Snakemake's jobs lose every SLURM_ variable before they call srun.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n', encoding="utf-8")
    srun.chmod(0o755)
    return {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in sockets]


def munge_files(folder: Path) -> list[str]:
    """The options that keep munge's files in one folder."""
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "seed-file": "munge.seed", "log-file": "munge.log"}
    return [f"--{option}={folder / name}" for option, name in files.items()]


def start(running: Cluster, *command: str) -> subprocess.Popen[bytes]:
    """A daemon that ends with this process, or when its time is over."""
    log = running.folder / f"{command[0]}{command[-1] if command[0] == 'slurmd' else ''}.log"
    ending = ["setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=10", str(LIFETIME_S)]
    with log.open("wb") as stream:
        return subprocess.Popen([*ending, *command], env=running.environment, stdout=stream, stderr=stream, start_new_session=True)


def idle_nodes(running: Cluster) -> set[str]:
    """Nodes that would take a job."""
    listed = subprocess.run(["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"], env=running.environment, capture_output=True, text=True, timeout=30)
    return set(listed.stdout.split())


def wait_for(condition: Callable[[], bool], running: Cluster) -> None:
    """Raises TimeoutError, with the end of the logs, where the condition does not come true in time."""
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            ends = [f"{log.name}: {log.read_text(errors='replace')[-500:]}" for log in sorted(running.folder.glob("*.log"))]
            raise TimeoutError("the private Slurm did not start\n" + "\n".join(ends))
        time.sleep(0.2)


def stop(running: Cluster, daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    """Cancel the jobs and end the daemons, the last started first."""
    if len(daemons) > 1:
        cancel = "squeue -h -o %A | xargs -r scancel"
        subprocess.run(["timeout", "10", "sh", "-c", cancel], env=running.environment, capture_output=True)
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


if __name__ == "__main__":
    if reason := obstacle():
        sys.exit(f"error: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with cluster() as private:
        sys.exit(subprocess.run(sys.argv[1:], env=private.environment).returncode)
