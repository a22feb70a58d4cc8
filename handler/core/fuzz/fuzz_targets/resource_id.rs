//! `RUSTC_BOOTSTRAP=1 cargo fuzz run resource_id -- -max_total_time=60`, from `handler/core`.
#![no_main]

#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::resource_id(data));
