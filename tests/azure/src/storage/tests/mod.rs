//! Requirements of the simulated storage, asked over hand-built signed requests.

mod blobs;
mod queues;

use super::*;
use time::Duration;
use time::macros::datetime;

const ACCOUNT: &str = "hubwardlocal";
const KEY: &str = "aHVid2FyZC1sb2NhbC1rZXktZm9yLXRlc3RzLW9ubHk=";
const START: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

/// A storage account, the time, and a client that signs.
struct Bench {
    storage: Storage,
    now: OffsetDateTime,
}

impl Bench {
    fn new() -> Self {
        Self {
            storage: Storage::new(ACCOUNT, KEY),
            now: START,
        }
    }

    fn with_blob() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.send("PUT", "c1c?restype=container", &[], "").status, 201);
        assert_eq!(bench.put_blob("one", &[]).status, 201);
        bench
    }

    fn with_queue() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.queue("PUT", "work", "").status, 201);
        bench
    }

    fn pass(&mut self, seconds: i64) {
        self.now += Duration::seconds(seconds);
    }

    fn send(&mut self, method: &str, rest: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let request = signed(KEY, method, rest, headers, body);
        Seen::of(&self.storage.handle(Kind::Blob, &request, self.now))
    }

    fn put_blob(&mut self, body: &str, headers: &[(&str, &str)]) -> Seen {
        let mut all = vec![("x-ms-blob-type", "BlockBlob")];
        all.extend_from_slice(headers);
        self.send("PUT", "c1c/doc.json", &all, body)
    }

    fn lease(&mut self, action: &str, headers: &[(&str, &str)]) -> Seen {
        let mut all = vec![("x-ms-lease-action", action)];
        all.extend_from_slice(headers);
        self.send("PUT", "c1c/doc.json?comp=lease", &all, "")
    }

    fn acquire(&mut self, seconds: &str) -> Seen {
        self.lease("acquire", &[("x-ms-lease-duration", seconds)])
    }

    fn queue(&mut self, method: &str, rest: &str, body: &str) -> Seen {
        let request = signed(KEY, method, rest, &[], body);
        Seen::of(&self.storage.handle(Kind::Queue, &request, self.now))
    }

    fn put_message(&mut self, query: &str, text: &str) -> Seen {
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        self.queue("POST", &format!("work/messages{query}"), &body)
    }

    fn get_message(&mut self) -> Option<(String, String)> {
        let seen = self.queue("GET", "work/messages?visibilitytimeout=30", "");
        let id = seen.element("MessageId")?;
        let receipt = seen.element("PopReceipt")?;
        let receipt: String = url::form_urlencoded::byte_serialize(receipt.as_bytes()).collect();
        Some((id, format!("popreceipt={receipt}")))
    }
}

/// What a test looks at in a response.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Seen {
    fn of(response: &http::Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8(response.body().to_vec()).unwrap(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn refusal(&self) -> (u16, &str) {
        (self.status, self.header("x-ms-error-code"))
    }

    fn element(&self, name: &str) -> Option<String> {
        xml::leaves(self.body.as_bytes())?
            .into_iter()
            .find_map(|(element, text)| (element == name).then_some(text))
    }
}

fn unsigned(method: &str, rest: &str, headers: &[(&str, &str)], body: &str) -> http::Request<Bytes> {
    let mut builder = http::Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:1/{ACCOUNT}/{rest}"))
        .header("x-ms-version", "2026-04-06")
        .header("x-ms-date", "Mon, 23 Nov 2026 12:00:00 GMT");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Bytes::from(body.to_owned())).unwrap()
}

fn signed(key: &str, method: &str, rest: &str, headers: &[(&str, &str)], body: &str) -> http::Request<Bytes> {
    let mut request = unsigned(method, rest, headers, body);
    let header = signature::header(ACCOUNT, &STANDARD.decode(key).unwrap(), &request);
    request.headers_mut().insert("authorization", header.parse().unwrap());
    request
}

#[test]
fn the_signature_is_the_one_microsofts_python_client_computes() {
    let key = STANDARD.decode(KEY).unwrap();
    let blob = unsigned(
        "PUT",
        "hubward/clusters/a%20b.json",
        &[
            ("x-ms-blob-type", "BlockBlob"),
            ("if-match", "\"0x1\""),
            ("content-type", "application/json"),
            ("x-ms-lease-id", "l"),
        ],
        "{}",
    );
    assert_eq!(
        signature::header(ACCOUNT, &key, &blob),
        "SharedKey hubwardlocal:UDXXiq2JduZN+9l0mjv4Mqv5KAKOJXtULz6s37fAxXI="
    );
    let queue = unsigned(
        "DELETE",
        "hubward-work/messages/1?popreceipt=a%2Bb%3D%3D&timeout=5",
        &[],
        "",
    );
    assert_eq!(
        signature::header(ACCOUNT, &key, &queue),
        "SharedKey hubwardlocal:6Yls34J7NC8zE0Of9D7hVpvsTDqh5qULyib2c9LO+g4="
    );
}

#[test]
fn only_the_key_or_a_trusted_token_gets_in() {
    let mut bench = Bench::new();
    let create = "c1c?restype=container";
    let mut forged = signed("b3RoZXI=", "PUT", create, &[], "");
    let answers =
        |bench: &mut Bench, request: &http::Request<Bytes>| Seen::of(&bench.storage.handle(Kind::Blob, request, START));
    let refused = answers(&mut bench, &forged);
    assert_eq!(refused.refusal(), (403, "AuthenticationFailed"));
    assert_eq!(refused.element("Code").unwrap(), "AuthenticationFailed");
    assert_eq!(answers(&mut bench, &unsigned("PUT", create, &[], "")).status, 403);

    let mut altered = signed(KEY, "PUT", create, &[], "");
    altered
        .headers_mut()
        .insert("x-ms-version", "2025-01-05".parse().unwrap());
    assert_eq!(answers(&mut bench, &altered).status, 403);

    forged
        .headers_mut()
        .insert("authorization", "Bearer abc".parse().unwrap());
    assert_eq!(answers(&mut bench, &forged).status, 403);
    bench.storage.trust_token("abc");
    assert_eq!(answers(&mut bench, &forged).status, 201);
    assert_eq!(bench.storage.container_names(), ["c1c"]);
}

#[test]
fn every_answer_names_its_version_and_a_fresh_request_id() {
    let mut bench = Bench::with_blob();
    let one = bench.send("GET", "c1c/doc.json", &[("x-ms-client-request-id", "me")], "");
    let two = bench.send("GET", "c1c/doc.json", &[], "");
    assert_eq!(one.header("x-ms-version"), "2026-04-06");
    assert_eq!(one.header("x-ms-client-request-id"), "me");
    assert_eq!(one.header("date"), "Mon, 23 Nov 2026 12:00:00 GMT");
    assert_ne!(one.header("x-ms-request-id"), two.header("x-ms-request-id"));
}

#[test]
fn what_is_not_simulated_is_refused_and_changes_nothing() {
    let mut bench = Bench::with_blob();
    let append = bench.send("PUT", "c1c/log", &[("x-ms-blob-type", "AppendBlob")], "");
    assert_eq!(append.refusal(), (501, "NotImplemented"));
    assert_eq!(bench.storage.blob_names("c1c"), ["doc.json"]);
}

#[test]
fn a_clone_is_a_snapshot() {
    let mut bench = Bench::with_blob();
    let before = bench.storage.clone();
    bench.put_blob("two", &[]);
    assert_eq!(before.blob("c1c", "doc.json").unwrap(), "one");
    assert_eq!(bench.storage.blob("c1c", "doc.json").unwrap(), "two");
}
