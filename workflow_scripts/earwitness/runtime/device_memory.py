"""Memory of a GPU: how much a process may still use, and how numbers get there."""

from collections.abc import Callable

import torch


def free_bytes(device: torch.device) -> int:
    """What this process can still allocate on a GPU: what is free there, within the process's share of it (see
    torch.cuda.set_per_process_memory_fraction), and what its allocator holds unused."""
    device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    share = int(total * torch.cuda.get_per_process_memory_fraction(device))
    return min(free, share - reserved) + reserved - torch.cuda.memory_allocated(device)


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU, copied to a device; to a GPU without waiting for the work in its queue."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def fetched(tensor: torch.Tensor) -> Callable[[], list[float]]:
    """Start copying numbers (n,) of a device to the CPU. The function returned waits for them, but not for later work of the device."""
    numbers = tensor.to("cpu", non_blocking=True)
    if not tensor.is_cuda:
        return numbers.tolist
    there = torch.cuda.Event()
    there.record()

    def wait() -> list[float]:
        there.synchronize()
        return numbers.tolist()

    return wait
