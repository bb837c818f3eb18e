"""How CPU threads wait for one another."""

import os


def let_threads_sleep() -> None:
    """Let a thread of torch that waits for the others sleep, unless the user has said otherwise; call before importing torch.

    By default it keeps its core busy (GNU OpenMP spins), so that two threads on a core that another program needs hold each
    other up: a step takes many times as long. No result depends on it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
