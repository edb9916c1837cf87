"""Installs what the tests use into a folder, unless it is there already.

    python3 install.py FOLDER LIST WHAT [OPTION OF PIP…]

LIST is a requirements file for pip, or a package-lock.json for npm. WHAT is what a reader calls
that which is installed.
Several test programs may call this at once: the first one installs, the others wait for it. A
folder whose installation was broken off, or which was made for other versions, is made anew.
Exit status 0 means that the folder is ready.
"""

import fcntl
import json
import pathlib
import shutil
import subprocess
import sys
import time
import venv


def say(text):
    print(f"homespec tests: {text}", file=sys.stderr, flush=True)


def install(folder, wanted, more):
    """Takes the folder, the file with pinned versions, options of pip; raises if that fails."""
    shutil.rmtree(folder, ignore_errors=True)
    if wanted.name == "package-lock.json":
        npm(folder, wanted)
    else:
        pip(folder, wanted, more)


def npm(folder, lock):
    folder.mkdir(parents=True)
    packages = json.loads(lock.read_text())["packages"][""]
    (folder / "package.json").write_text(json.dumps(packages))
    shutil.copy(lock, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)


def pip(folder, requirements, more):
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    options = ["--disable-pip-version-check", "--requirement", requirements, *more]
    subprocess.run([*command, *options], check=True, stdout=sys.stderr)


def main():
    folder, listed = (pathlib.Path(argument).absolute() for argument in sys.argv[1:3])
    what, *more = sys.argv[3:]
    wanted = listed.read_text()
    # Written last, so that a folder that has it is whole.
    stamp = folder / "installed.txt"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The system gives the lock back however this process ends.
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return 0
        say(f"installing {what} into {folder}, once; this takes up to a minute or two")
        started = time.monotonic()
        try:
            install(folder, listed, more)
        except (subprocess.CalledProcessError, OSError) as error:
            say(f"could not install: {error}")
            return 1
        stamp.write_text(wanted)
        say(f"installed in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
