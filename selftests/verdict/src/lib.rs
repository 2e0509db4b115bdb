// SPDX-License-Identifier: GPL-2.0

//! What the kernel says of a test: its log, and what it still holds.

mod log;
mod patience;
mod references;
mod tasks;

pub use log::Log;
pub use patience::Patience;
pub use references::References;
pub use tasks::where_it_is;
