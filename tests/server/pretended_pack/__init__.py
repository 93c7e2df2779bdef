"""Makes this ComfyUI believe in an accelerator, which tests/unit/pretended_device.py pretends.

Models move to it and back by ComfyUI's own means; after each prompt the log says how many bytes
were on it at most, and how many are left.
"""

import importlib.util
import logging
import sys
from pathlib import Path

import comfy.model_management as management
import execution
import torch

FILE = Path(__file__).resolve().parents[2] / "unit" / "pretended_device.py"
CPU = torch.device("cpu")

# By its path: as a module it would be looked for in ComfyUI's own folder `tests`.
specification = importlib.util.spec_from_file_location("pretended_device", FILE)
pretended_device = importlib.util.module_from_spec(specification)
sys.modules["pretended_device"] = pretended_device
specification.loader.exec_module(pretended_device)
pretended_device.register()


def memory_of_the_cpu(function):
    return lambda device=None, **more: function(CPU, **more)


management.get_free_memory = memory_of_the_cpu(management.get_free_memory)
management.get_total_memory = memory_of_the_cpu(management.get_total_memory)
management.get_torch_device = lambda: torch.device(pretended_device.NAME, 0)
management.unet_offload_device = lambda: CPU
management.soft_empty_cache = lambda force=False: None
management.cpu_state = management.CPUState.GPU
management.vram_state = management.VRAMState.NORMAL_VRAM
execute, unload_all = execution.PromptExecutor.execute, management.unload_all_models


def executed_there(self, *given, **more):
    with pretended_device.PretendedDevice() as device:
        execute(self, *given, **more)
        logging.info("pretended device: peak %d, left %d", device.peak, device.now)


def all_unloaded():
    with pretended_device.PretendedDevice():
        unload_all()


execution.PromptExecutor.execute = executed_there
management.unload_all_models = all_unloaded


class Send:
    """Its images on the device, where `--gpu-only` keeps them; that flag does not go with --cpu."""

    CATEGORY = "pretended"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        management.intermediate_device = management.get_torch_device  # also for what is made later
        return (image.to(management.get_torch_device()),)


NODE_CLASS_MAPPINGS = {"Pretended_Send": Send}
