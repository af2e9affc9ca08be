"""`make crash N=200`: kill the middleware N times, and say whether anything that was acknowledged is lost or twice.

Goes on where it stopped; `--reset` begins anew; `--detach` goes on without this terminal; `--look` shows how it stands.
Exit code 0 only when nothing was lost and nothing is stored twice.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.crash.books import Tally
from tests.crash.harness import ROOT, Run

HOME = ROOT / "var" / "crash"


def say(text: str) -> None:
    """To the terminal, or the log of a run that was detached."""
    print(text, flush=True)


def arguments() -> argparse.Namespace:
    """What was asked."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=25, help="how many kills in all")
    parser.add_argument("--home", type=Path, default=HOME, help="folder of the run's state")
    parser.add_argument("--seed", type=int, help="chooses the moments; a new run only")
    parser.add_argument("--reset", action="store_true", help="begin anew")
    parser.add_argument("--detach", action="store_true", help="go on without this terminal")
    parser.add_argument("--look", action="store_true", help="show the newest lines of a run")
    parser.add_argument("--fork", action="store_true", help="start by fork: four times as fast, the imports are shared")
    return parser.parse_args()


def main() -> int:
    """The exit code."""
    asked = arguments()
    home: Path = asked.home
    progress = home / "progress.log"
    if asked.look:
        say(
            "\n".join(progress.read_text().splitlines()[-20:]) if progress.exists() else "nothing was run detached here"
        )
        return 0
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"a run is going on in {home}; look at it with --look")
            return 2
        if asked.reset:
            for found in home.iterdir():
                if found.name != "lock":
                    shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink()
        if not asked.detach:
            return run(asked)
    return detach(asked, progress)


def detach(asked: argparse.Namespace, progress: Path) -> int:
    """The same without `--detach`, in a session of its own."""
    again = [word for word in sys.argv[1:] if word not in ("--detach", "--reset")]
    with progress.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.crash", *again], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    say(f"goes on as process {child.pid}; look at {progress}, or: python -m tests.crash --look --home {asked.home}")
    return 0


def run(asked: argparse.Namespace) -> int:
    """Rounds until there are enough, then the last account."""
    started = Run(asked.home, say, fresh=not asked.fork)
    if started.state.finished >= asked.rounds:
        say(f"done already: {started.state.verdict}. Go on with a larger N, or begin anew with --reset.")
        return verdict(started.state.verdict)
    if asked.seed is not None and not started.state.rounds:
        started.state.seed = asked.seed
    say(f"seed {started.state.seed}, {started.state.rounds} of {asked.rounds} rounds done, state in {started.home}")
    with started:
        tally = started.rounds(asked.rounds)
        if tally.good:
            tally = started.settle()
            say(started.state.verdict)
        if started.state.missed:
            say(f"{started.state.missed} fault points never came")
    explain(tally)
    return 0 if tally.good and not started.state.missed else 1


def verdict(text: str) -> int:
    """0 when the kept verdict says nothing lost, nothing twice."""
    return 0 if text.count("= 0") == 3 else 1


def explain(tally: Tally) -> None:
    """What is wrong, line by line."""
    for what, found in (("lost", tally.lost), ("twice", tally.twice), ("sent by nobody", tally.strange)):
        for text in found[:20]:
            say(f"{what}: {text}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as broken:
        say(f"{broken}\nthe run has failed; the same command tries on from here")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        sys.exit(130)
