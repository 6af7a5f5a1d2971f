"""Seconds until `bottega --help` and each verb's help answer, against Python that starts and does nothing.

    python performance/startup.py [--rounds 5]

Wall seconds of whole processes, the best of the rounds, in turns. Help should answer in under 0.5 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timing import best_seconds

from workbench.console import show, table

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("demo", "doctor", "amazon", "data", "extract", "features", "split", "run", "report", "runs")
LAUNCHERS = ("run_split.py", "run_experiment.py", "extractor/run.py")
LIMIT = 0.5


def main() -> None:
    """Measure and print; exit status 1 where a help is slower than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    commands = {"python": ["-c", "pass"], "bottega --help": ["-m", "bottega", "--help"]}
    commands |= {f"bottega {verb} --help": ["-m", "bottega", verb, "--help"] for verb in VERBS}
    commands |= {f"python {script} --help": [str(ROOT / script), "--help"] for script in LAUNCHERS}

    def starter(words: list[str]) -> None:
        subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    seconds = best_seconds({name: lambda words=words: starter(words) for name, words in commands.items()}, rounds)
    bare = seconds["python"]
    rows = [(name, f"{taken:.3f}", f"{taken / bare:.1f}") for name, taken in seconds.items()]
    show(table(("command", "seconds", "ratio to bare Python"), rows))
    slow = [name for name, taken in seconds.items() if taken > LIMIT]
    show(f"slower than {LIMIT} s: {', '.join(slow)}" if slow else f"all answer within {LIMIT} s")
    sys.exit(bool(slow))


if __name__ == "__main__":
    main()
