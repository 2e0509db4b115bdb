// SPDX-License-Identifier: GPL-2.0

//! Compares `abi` with the C header by way of a C compiler.

use io_uring_ipc::abi;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn same_as_in_c() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/uapi");
    let mut source = String::from(
        "#include <stddef.h>\n#include <linux/io_uring_ipc.h>\n#define SAME(a, b) \
         _Static_assert((unsigned long long)(a) == (b), #a)\n",
    );

    for (expression, value) in abi::LAYOUT.iter().chain(abi::CONSTANTS) {
        writeln!(source, "SAME({expression}, {value}ULL);").unwrap();
    }

    let mut compiler = Command::new("cc")
        .args(["-x", "c", "-std=gnu11", "-fsyntax-only", "-I"])
        .arg(include)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler called cc");

    let mut input = compiler.stdin.take().unwrap();
    input.write_all(source.as_bytes()).unwrap();
    drop(input);
    assert!(compiler.wait().unwrap().success());
}
