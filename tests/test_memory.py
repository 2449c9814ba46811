"""How much memory is free."""

from __future__ import annotations

from deepseek_tui import memory
from deepseek_tui.memory import _of_vm_stat

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            900000.
Pages inactive:                            2000.
Pages speculative:                          300.
Pages throttled:                              0.
Pages wired down:                        150000.
Pages purgeable:                             40.
"Translation faults":                 123456789.
"""


def test_some_of_the_memory_is_free() -> None:
    free = memory.free_bytes()
    assert free is not None
    assert 0 < free < memory.total_bytes()


def test_what_macos_tells_is_understood() -> None:
    assert _of_vm_stat(VM_STAT) == 16384 * 12_340
    assert _of_vm_stat("something else") is None
