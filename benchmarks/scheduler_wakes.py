"""What Snakemake's scheduler costs while jobs run, by `max-jobs-per-timespan`.

    python benchmarks/scheduler_wakes.py 100/1s 500/5s 1000/10s 100/1s 500/5s

runs 400 jobs that sleep for 0.3 s on two cores for each value in turn, and prints the processor seconds of the main process,
without those of its jobs, and the wall time.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

RULES = """
rule all:
    input: expand("out/{i}", i=range(400))
rule one:
    output: "out/{i}"
    resources: mem_mb=lambda wildcards: 100
    shell: "sleep 0.3; touch {output}"
"""
OPTIONS = ["--cores", "2", "--quiet", "all", "--scheduler", "greedy"]


def seconds(process: int) -> float:
    """Processor seconds of one process so far, user and system, without those of its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    if not sys.argv[1:]:
        sys.exit(__doc__)
    print("| max-jobs-per-timespan | processor seconds | wall seconds |\n|---|---|---|")
    for span in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "Snakefile").write_text(RULES)
            command = [sys.executable, "-m", "snakemake", *OPTIONS, "--max-jobs-per-timespan", span]
            started, taken = time.monotonic(), 0.0
            with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
                while process.poll() is None:
                    taken = max(taken, seconds(process.pid))
                    time.sleep(0.2)
            print(f"| {span} | {taken:.1f} | {time.monotonic() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
