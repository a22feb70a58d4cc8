//! Requirements of the simulated Queue service.

use time::Duration;

use super::super::*;
use super::{Bench, KEY, START, Seen, signed};

#[test]
fn a_queue_is_made_once_unless_it_differs() {
    let mut bench = Bench::with_queue();
    assert_eq!(bench.queue("PUT", "work", "").status, 204);
    let request = signed(KEY, "PUT", "work", &[("x-ms-meta-a", "b")], "");
    let seen = Seen::of(&bench.storage.handle(Kind::Queue, &request, START));
    assert_eq!(seen.refusal(), (409, "QueueAlreadyExists"));
    assert_eq!(
        bench.queue("GET", "none/messages", "").refusal(),
        (404, "QueueNotFound")
    );
    assert_eq!(bench.queue("DELETE", "work", "").status, 204);
    assert!(bench.storage.queue_names().is_empty());
}

#[test]
fn a_received_message_is_hidden_then_comes_back_counted() {
    let mut bench = Bench::with_queue();
    assert_eq!(bench.put_message("", "a &lt;b&gt; &#233;").status, 201);
    let got = bench.queue("GET", "work/messages?visibilitytimeout=30", "");
    assert_eq!(got.element("MessageText").unwrap(), "a <b> é");
    assert_eq!(got.element("DequeueCount").unwrap(), "1");
    assert_eq!(got.element("InsertionTime").unwrap(), "Mon, 23 Nov 2026 12:00:00 GMT");
    assert_eq!(got.element("ExpirationTime").unwrap(), "Mon, 30 Nov 2026 12:00:00 GMT");
    assert_eq!(got.element("TimeNextVisible").unwrap(), "Mon, 23 Nov 2026 12:00:30 GMT");
    assert_eq!(bench.storage.next_event(), Some(START + Duration::seconds(30)));
    bench.pass(29);
    assert!(bench.get_message().is_none());
    assert_eq!(bench.storage.queue_length("work"), 1);
    bench.pass(1);
    let peeked = bench.queue("GET", "work/messages?peekonly=true", "");
    assert_eq!(peeked.element("DequeueCount").unwrap(), "1");
    assert_eq!(peeked.element("PopReceipt"), None);
    let again = bench.queue("GET", "work/messages", "");
    assert_eq!(again.element("DequeueCount").unwrap(), "2");
}

#[test]
fn only_the_latest_pop_receipt_deletes() {
    let mut bench = Bench::with_queue();
    bench.put_message("", "x");
    let (id, old) = bench.get_message().unwrap();
    bench.pass(30);
    let (_, latest) = bench.get_message().unwrap();
    let path = |receipt: &str| format!("work/messages/{id}?{receipt}");
    assert_eq!(
        bench.queue("DELETE", &path(&old), "").refusal(),
        (400, "PopReceiptMismatch")
    );
    assert_eq!(bench.storage.queue_length("work"), 1);
    assert_eq!(bench.queue("DELETE", &path(&latest), "").status, 204);
    assert_eq!(
        bench.queue("DELETE", &path(&latest), "").refusal(),
        (404, "MessageNotFound")
    );
}

#[test]
fn an_update_moves_visibility_and_changes_the_receipt() {
    let mut bench = Bench::with_queue();
    bench.put_message("", "x");
    let (id, receipt) = bench.get_message().unwrap();
    let path = format!("work/messages/{id}?{receipt}&visibilitytimeout=120");
    let body = "<QueueMessage><MessageText>y</MessageText></QueueMessage>";
    let updated = bench.queue("PUT", &path, body);
    assert_eq!(updated.status, 204);
    assert_ne!(updated.header("x-ms-popreceipt"), "");
    assert_eq!(
        updated.header("x-ms-time-next-visible"),
        "Mon, 23 Nov 2026 12:02:00 GMT"
    );
    assert_eq!(bench.queue("PUT", &path, "").refusal(), (400, "PopReceiptMismatch"));
    assert_eq!(bench.storage.queue_texts("work"), ["y"]);
    bench.pass(119);
    assert!(bench.get_message().is_none());
    bench.pass(1);
    assert!(bench.get_message().is_some());
}

#[test]
fn a_message_can_be_put_for_later_and_dies_at_its_time() {
    let mut bench = Bench::with_queue();
    assert_eq!(
        bench
            .put_message("?visibilitytimeout=60&messagettl=100", "later")
            .status,
        201
    );
    let unseen = bench.put_message("?visibilitytimeout=100&messagettl=100", "never seen");
    assert_eq!(unseen.refusal(), (400, "OutOfRangeQueryParameterValue"));
    assert!(bench.get_message().is_none());
    bench.pass(60);
    assert!(bench.get_message().is_some());
    bench.pass(40);
    let count = bench.queue("GET", "work?comp=metadata", "");
    assert_eq!(count.header("x-ms-approximate-messages-count"), "0");
    assert_eq!(bench.storage.queue_length("work"), 0);
    let forever = bench.put_message("?messagettl=-1", "stays");
    assert_eq!(
        forever.element("ExpirationTime").unwrap(),
        "Fri, 31 Dec 9999 23:59:59 GMT"
    );
}

#[test]
fn a_get_takes_no_more_than_asked_and_clear_takes_all() {
    let mut bench = Bench::with_queue();
    for text in ["1", "2", "3"] {
        bench.put_message("", text);
    }
    let count = bench.queue("GET", "work?comp=metadata", "");
    assert_eq!(count.header("x-ms-approximate-messages-count"), "3");
    let two = bench.queue("GET", "work/messages?numofmessages=2", "");
    let texts: Vec<String> = xml::leaves(two.body.as_bytes())
        .unwrap()
        .into_iter()
        .filter_map(|(name, text)| (name == "MessageText").then_some(text))
        .collect();
    assert_eq!(texts, ["1", "2"]);
    let many = bench.queue("GET", "work/messages?numofmessages=33", "");
    assert_eq!(many.refusal(), (400, "OutOfRangeQueryParameterValue"));
    assert_eq!(bench.queue("DELETE", "work/messages", "").status, 204);
    assert_eq!(bench.storage.queue_length("work"), 0);
}
