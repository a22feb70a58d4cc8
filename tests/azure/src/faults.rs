//! Injected faults: what Azure does on a bad day, asked for by a test and used up once.
//! A fault matches by method and part of the path; it never touches calls that do not match.

use http::Method;

/// What happens to the matching call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// Nothing is done; this is the answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// ARM error code.
        code: String,
        /// ARM error message.
        message: String,
        /// `Retry-After` in seconds.
        retry_after: Option<u32>,
    },
    /// The whole body is this text, whatever it is; nothing is done.
    Raw {
        /// HTTP status.
        status: u16,
        /// Body, sent as `text/html` as proxies do.
        body: String,
    },
    /// The write is accepted and its operation ends as `Failed` with this error.
    FailOperation {
        /// Error code in the poll body.
        code: String,
        /// Error message in the poll body.
        message: String,
    },
    /// 429 `SubscriptionRequestsThrottled`, with or without `Retry-After`.
    Throttle {
        /// Seconds, or no header at all.
        retry_after: Option<u32>,
    },
    /// The request is lost: nothing is done and nothing is answered.
    Drop,
    /// The request is carried out and the answer is lost.
    LoseAnswer,
}

/// One fault, used up by the call it hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Method to match; `None` matches all.
    pub method: Option<Method>,
    /// Part of the path to match, compared without case; empty matches all.
    pub path_contains: String,
    /// Which matching call is hit, counted from 1.
    pub nth: u32,
    /// What happens to it.
    pub effect: FaultEffect,
}

/// Marks an answer that never arrives. Doors close the connection when a response carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// Faults that wait for their call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// The effect for this call, if one is due; the fault is used up.
    pub(crate) fn strike(&mut self, method: &Method, path: &str) -> Option<FaultEffect> {
        let path = path.to_lowercase();
        let mut hit = None;
        for (index, fault) in self.waiting.iter_mut().enumerate() {
            let matches = fault.method.as_ref().is_none_or(|wanted| wanted == method)
                && path.contains(&fault.path_contains.to_lowercase());
            if matches {
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 && hit.is_none() {
                    hit = Some(index);
                }
            }
        }
        hit.map(|index| self.waiting.remove(index).effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_the_nth_matching_call_and_only_once() {
        let mut faults = Faults::default();
        faults.add(Fault {
            method: Some(Method::PUT),
            path_contains: "/SUBNETS/".to_owned(),
            nth: 2,
            effect: FaultEffect::Drop,
        });
        assert_eq!(faults.strike(&Method::PUT, "/x/subnets/a"), None);
        assert_eq!(faults.strike(&Method::GET, "/x/subnets/a"), None);
        assert_eq!(faults.strike(&Method::PUT, "/x/subnets/b"), Some(FaultEffect::Drop));
        assert_eq!(faults.strike(&Method::PUT, "/x/subnets/c"), None);
    }
}
