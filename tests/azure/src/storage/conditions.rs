//! The conditional headers `If-Match` and `If-None-Match`. Reads answer 304 where writes answer 412, and `*` on a write
//! means "must not exist yet", which Azure refuses with 409 instead of 412. Time conditions are not simulated.

use super::call::Call;
use super::reply::Refusal;

/// Judges a write against the present ETag, `None` if the blob does not exist.
pub(super) fn check_write(call: &Call<'_>, etag: Option<&str>) -> Result<(), Refusal> {
    if let Some(wanted) = call.header("if-match")
        && !etag.is_some_and(|etag| matches(wanted, etag))
    {
        return Err(Refusal::condition_not_met(412));
    }
    match (call.header("if-none-match"), etag) {
        (Some("*"), Some(_)) => Err(Refusal::new(
            409,
            "BlobAlreadyExists",
            "The specified blob already exists.",
        )),
        (Some(unwanted), Some(etag)) if matches(unwanted, etag) => Err(Refusal::condition_not_met(412)),
        _ => Ok(()),
    }
}

/// Judges a read of an existing blob.
pub(super) fn check_read(call: &Call<'_>, etag: &str) -> Result<(), Refusal> {
    if call.header("if-match").is_some_and(|wanted| !matches(wanted, etag)) {
        return Err(Refusal::condition_not_met(412));
    }
    if call
        .header("if-none-match")
        .is_some_and(|unwanted| matches(unwanted, etag))
    {
        return Err(Refusal::condition_not_met(304));
    }
    Ok(())
}

fn matches(header: &str, etag: &str) -> bool {
    header.split(',').any(|one| {
        let one = one.trim();
        one == "*" || one.trim_matches('"') == etag
    })
}
