"""How much memory of a GPU a process may still use."""

import torch


def free_bytes(device: torch.device) -> int:
    """What this process can still allocate on a GPU: what is free there, within the process's share of it (see
    torch.cuda.set_per_process_memory_fraction), and what its allocator holds unused."""
    device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    share = int(total * torch.cuda.get_per_process_memory_fraction(device))
    return min(free, share - reserved) + reserved - torch.cuda.memory_allocated(device)
