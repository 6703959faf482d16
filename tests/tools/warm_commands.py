"""Runs command lines in processes that have the slow imports behind them; started by conftest.py.

Reads one JSON object per line from stdin and answers with one per line on stdout. `{"do": "start", "argv": [...],
"cwd": ..., "env": {...}, "output": ...}` forks a process that runs the script argv[0] as `python argv[0] ...` would,
in a process group of its own; the answer has its `pid`. `{"do": "wait", "pid": ..., "timeout": ...}` waits for it; the
answer has its `status` (negative: killed by that signal; null: still running when the time was over).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import sys
import time
import traceback

# What the command lines import; torch first, the package with all of mmaction after it.
WARM = (
    "torch",
    "torch._dynamo",
    "torchvision",
    "mmengine.runner",
    "gspmc_mm",
    "torch.utils.tensorboard",
    "matplotlib.pyplot",
    "rich.progress",
)


def leave_as_it_is(text: str, *style: object, **more: object) -> tuple[str, bool]:
    """In place of yapf's FormatCode: beautifying the config for the log is most of a run this short."""
    return text, False


def run(order: dict) -> None:
    """Become the command line."""
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = list(order["argv"])
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    runpy.run_path(sys.argv[0], run_name="__main__")


def status_of(order: dict) -> int:
    """Run the command line; its exit status as the interpreter would set it."""
    try:
        run(order)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(status: int) -> None:
    """End without taking a process of so many modules to pieces, which takes longer than most of the runs."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def wait(pid: int, timeout: float) -> int | None:
    """Exit status of a child, or None."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def main() -> None:
    """Warm up, say so, then serve until stdin ends."""
    for name in WARM:
        importlib.import_module(name)
    importlib.import_module("mmengine.config.config").FormatCode = leave_as_it_is
    gc.collect()
    gc.freeze()  # the children's collector lets the shared pages alone
    print(json.dumps({"ready": True}), flush=True)
    while line := sys.stdin.readline():
        order = json.loads(line)
        if order["do"] == "wait":
            print(json.dumps({"status": wait(order["pid"], order["timeout"])}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            leave(status_of(order))
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    main()
