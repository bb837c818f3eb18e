"""Memory of a GPU: how much a process may still use, and how numbers get there."""

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
    """A tensor of the CPU on a device; to a GPU on its way, so that nobody waits for what the GPU works on."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
