"""A Slurm cluster of one machine, on loopback: munged, slurmctld and slurmd as children of the test.

Slurm's own programs look for /etc/slurm/slurm.conf (a job's `srun` knows no other place), so this process and its children
get an /etc/slurm of their own, in memory: the machine's stays as it is. Nothing is started where the machine has a
configuration of its own. The kernel ends the daemons when this process ends, however it ends.
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "setpriv")
CONFIGURATION = Path("/etc/slurm")
SECONDS_TO_DOWN = 6
"""Without a sign of life from a node."""


def missing() -> str | None:
    """Why the cluster cannot be had here, in words; None where it can."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {', '.join(absent)} here (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    if not CONFIGURATION.is_dir():
        return f"no {CONFIGURATION} to put a configuration over (Debian's packages create it)"
    if (CONFIGURATION / "slurm.conf").exists():
        return f"{CONFIGURATION}/slurm.conf: this machine has a Slurm of its own, which these tests leave alone"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "no mount namespace can be had here (in a container: --cap-add SYS_ADMIN)"
    return None


def own_configuration() -> None:
    """From now on, an empty folder in memory is this thread's and its children's /etc/slurm, and nobody else's."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, recursive, private = 0x00020000, 0x4000, 0x40000  # CLONE_NEWNS, MS_REC, MS_PRIVATE
    if (
        libc.unshare(new_namespace)  # os.unshare comes with Python 3.12
        or libc.mount(b"none", b"/", None, ctypes.c_ulong(recursive | private), None)  # no mount reaches the machine
        or libc.mount(b"tmpfs", bytes(CONFIGURATION), b"tmpfs", ctypes.c_ulong(0), None)
    ):
        raise OSError(ctypes.get_errno(), "a private /etc/slurm")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


class Cluster:
    """One node with pretended CPUs and one pretended GPU.

    A job whose node was lost starts again when its credential has run out (`cred_expire`), by default after two minutes.

    Args:
        folder: for sockets, states and logs.
    """

    def __init__(self, folder: Path, cpus: int = 4, memory: int = 1_000_000) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        ports = [_free_port(), _free_port()]
        files = {
            "slurm.conf": f"""ClusterName=test
SlurmctldHost={socket.gethostname()}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout={SECONDS_TO_DOWN}
MessageTimeout=3
KillWait=2
MinJobAge=3600
GresTypes=gpu
NodeName={socket.gethostname()} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""",
            "gres.conf": "Name=gpu Count=1 File=/dev/null\n",
        }
        own_configuration()
        for name, content in files.items():
            (CONFIGURATION / name).write_text(content)

    def start(self) -> "Cluster":
        files = [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("key", "seed", "pid", "log")]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        wait_until((self.folder / "munge.socket").exists, "munged")
        self._start("slurmctld", "-D")
        wait_until(lambda: subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0, "slurmctld")
        self.start_node()
        return self

    def start_node(self) -> None:
        """Start the node's daemon; jobs that its failure put back into the queue then start again."""
        self._start("slurmd", "-D", "-L", str(self.folder / "slurmd.log"))
        wait_until(lambda: self.node_state().rstrip("*") in ("idle", "mixed", "allocated"), "the node to be idle", 60)

    def kill_node(self) -> None:
        """As if the node lost its power: the daemon and every job on it are gone, and nobody is notified."""
        slurmd = self.daemons.pop("slurmd")
        steps = [pid for pid, command in _processes() if command.startswith("slurmstepd: [")]
        slurmd.kill()
        slurmd.wait()
        for step in steps:
            for pid in [*_descendants(step), step]:
                _kill(pid)
        wait_until(lambda: self.node_state().startswith("down"), "the node to be found down", 60)

    def node_state(self) -> str:
        return output("sinfo", "--noheader", "--format=%T").strip()

    def jobs(self) -> list[dict[str, str]]:
        """The jobs that Slurm remembers, those that ended too: id, state, what they asked for, restarts, Snakemake's rule."""
        names = {"id": "JobID", "state": "State", "asked": "tres-per-job", "restarts": "RestartCnt", "rule": "Comment"}
        columns = ",".join(f"{name}:|" for name in names.values())
        lines = output("squeue", "--noheader", "--states=all", f"--Format={columns}").splitlines()
        jobs = [dict(zip(names, line.split("|"), strict=False)) for line in lines]
        return [job | {"rule": job["rule"].removeprefix("rule_").split("_wildcards_")[0]} for job in jobs]

    def running(self, rule: str) -> list[str]:
        """Ids of a rule's jobs that run."""
        return [job["id"] for job in self.jobs() if (job["state"], job["rule"]) == ("RUNNING", rule)]

    def stop(self) -> None:
        if "slurmctld" in self.daemons:
            subprocess.run(["scancel", "--user=root", "--signal=KILL", "--full"], check=False)
        for daemon in reversed(list(self.daemons.values())):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self, program: str, *arguments: str) -> None:
        with open(self.folder / f"{program}.out", "ab") as log:
            self.daemons[program] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _processes() -> list[tuple[int, str]]:
    rows = output("ps", "-e", "-o", "pid=,args=").splitlines()
    return [(int(pid), command) for pid, command in (row.split(maxsplit=1) for row in rows)]


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in children for each in (*_descendants(child), child)]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
