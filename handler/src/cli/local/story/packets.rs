//! Reads where a story's packets start, where they go, and what should become of them.

use std::net::Ipv4Addr;

use super::forms::{allowed, meaning};
use super::parse::Reader;
use super::statements::{From, To, Verdict, Walk};
use super::words::{Words, Wrong};

/// Reads what follows `walk`.
pub(super) fn read(reader: &Reader, words: &mut Words<'_>) -> Result<Walk, Wrong> {
    let word = words.word(meaning("FROM"))?;
    let from = match word.parse::<Ipv4Addr>() {
        Ok(address) => From::Address(address),
        Err(_) => From::Cluster(reader.known(word)?),
    };
    words.expect("->", &allowed("walk"))?;
    let (to, port) = target(reader, words)?;
    Ok(Walk {
        from,
        to,
        port,
        verdict: verdict(words)?,
    })
}

fn target(reader: &Reader, words: &mut Words<'_>) -> Result<(To, u16), Wrong> {
    let allowed = meaning("TO");
    let of = ["api of", "service of", "ingress of"]
        .into_iter()
        .find(|of| words.skip(of));
    let word = words.word(allowed)?;
    let parted = word.rsplit_once(':');
    let Some((host, port)) = parted.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) else {
        return Err(Wrong::new(format!("{word:?} has no port"), allowed));
    };
    let to = match (of, host.parse::<Ipv4Addr>()) {
        (Some("api of"), _) => To::ApiServer(reader.known(host.to_owned())?),
        (Some("service of"), _) => To::Service(reader.known(host.to_owned())?),
        (Some(_), _) => To::Ingress(reader.known(host.to_owned())?),
        (None, Ok(address)) => To::Address(address),
        (None, Err(_)) => To::Name(host.to_owned()),
    };
    Ok((to, port))
}

fn verdict(words: &mut Words<'_>) -> Result<Option<Verdict>, Wrong> {
    if words.is_done() {
        return Ok(None);
    }
    let verdict = if words.skip("is dropped at firewall") {
        Verdict::DroppedAtFirewall
    } else if words.skip("is dropped") {
        Verdict::Dropped
    } else if words.skip("arrives from egress") {
        Verdict::ArrivesFromEgress
    } else if words.skip("arrives from") {
        let word = words.word(meaning("VERDICT"))?;
        let address = word.parse();
        Verdict::ArrivesFrom(address.map_err(|_| Wrong::new(format!("{word:?} is no address"), meaning("VERDICT")))?)
    } else if words.skip("arrives") {
        Verdict::Arrives
    } else {
        return Err(words.unexpected(meaning("VERDICT")));
    };
    Ok(Some(verdict))
}
