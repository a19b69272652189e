"""timm and clean-fid import beside any PyTorch, and a healthy torchvision is left alone."""

import subprocess
import sys


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_timm_cleanfid_and_diffusers_import_after_us():
    done = python("import unlearnbench, timm, cleanfid.fid\nfrom diffusers import UNet2DModel\nprint('fine')")
    assert done.stdout.strip() == "fine", done.stderr


def test_importing_us_does_not_import_torchvision():
    done = python("import unlearnbench, sys; print('torchvision' in sys.modules, 'torch' in sys.modules)")
    assert done.stdout.strip() == "False False"


def test_a_library_that_loads_is_left_alone():
    """Declaring an operator that a loaded library registers would end the process."""
    code = """
import unlearnbench, torch
from unlearnbench.benchmark import torchvision_guard
loaded = []
torch.ops.load_library = loaded.append
torchvision_guard._declare_missing_operators()
print(torchvision_guard.is_active(), {path.rsplit("/", 1)[1] for path in loaded})
"""
    done = python(code)
    assert done.stdout.strip() == "False {'_C.so'}", done.stderr


def test_without_torchvision_nothing_happens():
    code = """
import sys, importlib.util
import unlearnbench
from unlearnbench.benchmark import torchvision_guard
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torchvision" else find(name, *rest)
torchvision_guard._declare_missing_operators()
print(torchvision_guard.is_active(), "torch" in sys.modules)
"""
    assert python(code).stdout.strip() == "False False"


def test_a_second_copy_of_the_package_does_no_harm():
    """A test runner may import the repository's root again under the folder's name."""
    code = """
import importlib.util
import unlearnbench
from unlearnbench.benchmark import torchvision_guard
spec = importlib.util.spec_from_file_location("copy_of_the_guard", torchvision_guard.__file__)
copy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(copy)
torchvision_guard._declare_missing_operators()
copy._declare_missing_operators()
import timm
print("fine")
"""
    done = python(code)
    assert done.stdout.strip() == "fine", done.stderr
