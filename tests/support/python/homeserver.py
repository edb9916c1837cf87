"""Runs Synapse until its standard input ends; the arguments are Synapse's own.

The test holds the other end of the pipe, so the homeserver goes when the test goes, even if the
test is killed and cannot clean up.
"""

import os
import sys
import threading

from synapse.app.homeserver import main


def leave_with_the_test():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=leave_with_the_test, daemon=True).start()
main()
