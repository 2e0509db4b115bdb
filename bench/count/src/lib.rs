// SPDX-License-Identifier: GPL-2.0

//! QEMU plugin: which instructions were executed between two marks, on all CPUs.
//!
//! A program marks what is of interest with instructions that do nothing (see
//! `bench/src/mark.rs`). At the end of it there is a line in the file `out=FILE` for
//! each address at which QEMU has begun to translate: that address, virtual and in
//! hexadecimal, and how many instructions have been executed since the last
//! beginning of what was translated from there on, up to the next jump or less.

use qemu_plugin::install::{Args, Info, Value};
use qemu_plugin::{HasCallbacks, PluginId, Register, Result, TranslationBlock};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// `nopl disp32(%rax)`: what all marks begin with; the displacement says which.
const NOP: [u8; 3] = [0x0f, 0x1f, 0x80];
const BEGIN: u32 = 0x4950_4301;
const END: u32 = 0x4950_4302;

/// Instructions executed, by the address of the block they are in.
#[derive(Default)]
struct Counts {
    running: AtomicBool,
    blocks: Mutex<HashMap<u64, Arc<AtomicU64>>>,
}

impl Counts {
    fn of(&self, address: u64) -> Arc<AtomicU64> {
        let mut blocks = self.blocks.lock().expect("no panic with the lock held");

        Arc::clone(blocks.entry(address).or_default())
    }

    fn begin(&self) {
        let blocks = self.blocks.lock().expect("no panic with the lock held");

        blocks.values().for_each(|count| count.store(0, Relaxed));
        self.running.store(true, Relaxed);
    }

    /// The counts, as they are to be written.
    fn end(&self) -> String {
        self.running.store(false, Relaxed);
        let blocks = self.blocks.lock().expect("no panic with the lock held");

        blocks
            .iter()
            .fold(String::new(), |mut lines, (address, count)| {
                let count = count.load(Relaxed);

                if count > 0 {
                    writeln!(lines, "{address:x} {count}").expect("a string has room");
                }
                lines
            })
    }
}

#[derive(Default)]
struct Plugin {
    counts: Arc<Counts>,
    out: PathBuf,
}

impl Register for Plugin {
    fn register(&mut self, _: PluginId, args: &Args, _: &Info) -> Result<()> {
        match args.parsed.get("out") {
            Some(Value::String(path)) => self.out = path.into(),
            _ => panic!("ipc-count: out=FILE is missing"),
        }
        Ok(())
    }
}

impl HasCallbacks for Plugin {
    fn on_translation_block_translate(
        &mut self,
        _: PluginId,
        block: TranslationBlock,
    ) -> Result<()> {
        let counts = Arc::clone(&self.counts);
        let count = counts.of(block.vaddr());
        let instructions = block.size() as u64;

        block.register_execute_callback(move |_| {
            if counts.running.load(Relaxed) {
                count.fetch_add(instructions, Relaxed);
            }
        });
        for instruction in block.instructions() {
            let counts = Arc::clone(&self.counts);
            let out = self.out.clone();

            match mark(&instruction.data()) {
                Some(BEGIN) => instruction.register_execute_callback(move |_| counts.begin()),
                Some(END) => instruction.register_execute_callback(move |_| {
                    fs::write(&out, counts.end()).expect("ipc-count: cannot write the counts");
                }),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Which mark an instruction is, if it may be one.
fn mark(bytes: &[u8]) -> Option<u32> {
    let which = bytes.strip_prefix(&NOP)?;

    Some(u32::from_le_bytes(which.try_into().ok()?))
}

// QEMU calls what it finds under the library's names; those are of this macro.
#[allow(
    unsafe_code,
    reason = "what the macro makes is in a section of its own"
)]
mod entry {
    qemu_plugin::register!(super::Plugin::default());
}
