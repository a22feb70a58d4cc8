//! `RUSTC_BOOTSTRAP=1 cargo fuzz run resource_id -- -max_total_time=60`, from `handler/core`.
#![no_main]
#![allow(clippy::disallowed_types, reason = "libfuzzer's macro can write the input to a file")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubward_core_fuzz::resource_id(data));
