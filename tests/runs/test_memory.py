"""What is freed is kept for the next step."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from repronet.runs.memory import keep_memory
{first}
network = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 1) for _ in range(4)))
images = torch.randn(64, 16, 64, 64)  # 16 MB, 4,096 pages
def step():
    network(images).sum().backward()
for _ in range(9):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5 / 4096)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
@pytest.mark.parametrize(("first", "kept"), [("keep_memory()", True), ("", False)])
def test_pages_come_from_the_system_once(first, kept):
    words = [sys.executable, "-c", FAULTS.format(first=first)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    maps = float(done.stdout)  # whose pages were new, a step; it makes about nine
    assert (maps < 1) is kept
