// SPDX-License-Identifier: GPL-2.0

//! Marks for QEMU's plugin (`bench/count`): what it counts is between them.
//! To everybody else they are an instruction that does nothing.

/// What is of interest begins.
#[inline(always)]
pub fn begin() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it has no operands but what it is known by.
    unsafe {
        std::arch::asm!(
            "nop dword ptr [rax + 0x49504301]",
            options(nostack, preserves_flags)
        );
    }
}

/// What is of interest is over.
#[inline(always)]
pub fn end() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "nop dword ptr [rax + 0x49504302]",
            options(nostack, preserves_flags)
        );
    }
}
