"""Worker processes that do not outlive the job that started them."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """Initialise a worker process: it ends as soon as its parent has, even one that was killed, and gives up its device.

    Ctrl-C reaches workers too, and ends them without a word: the parent tells of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
