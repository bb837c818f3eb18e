"""What a worker process is asked for, apart from tests, so that it loads no more than this."""

import numpy  # noqa: F401 a library with threads
from threadpoolctl import threadpool_info


def threads_of_libraries(_: object = None) -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}
