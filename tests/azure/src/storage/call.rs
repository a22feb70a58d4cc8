//! One request taken apart: method, container or queue, the rest of the path, query and headers. It reads only; a path
//! outside the account is refused, as the real service knows no other account under this name.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;

use super::reply::Refusal;

/// A request for this account.
pub(super) struct Call<'a> {
    request: &'a http::Request<Bytes>,
    /// Container or queue; `None` for the service itself.
    pub(super) resource: Option<String>,
    /// Blob name, or what follows the queue's name; percent-decoded.
    pub(super) rest: Option<String>,
    query: BTreeMap<String, String>,
}

impl<'a> Call<'a> {
    /// Takes a path-style request (`/account/resource/rest`) apart.
    pub(super) fn read(request: &'a http::Request<Bytes>, account: &str) -> Result<Self, Refusal> {
        let path = request.uri().path().trim_start_matches('/');
        let (first, below) = path.split_once('/').unwrap_or((path, ""));
        if first != account {
            return Err(Refusal::new(
                404,
                "ResourceNotFound",
                format!("The specified resource does not exist: this server has only the account {account}."),
            ));
        }
        let (resource, rest) = below.split_once('/').unwrap_or((below, ""));
        let query = request.uri().query().unwrap_or_default();
        Ok(Self {
            request,
            resource: present(resource)?,
            rest: present(rest)?,
            query: url::form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (name.to_lowercase(), value.into_owned()))
                .collect(),
        })
    }

    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    pub(super) fn body(&self) -> &Bytes {
        self.request.body()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The value of `comp`, which together with the method names the operation.
    pub(super) fn comp(&self) -> &str {
        self.query("comp").unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// A header that must be there.
    pub(super) fn required_header(&self, name: &str) -> Result<&str, Refusal> {
        self.header(name).ok_or_else(|| {
            Refusal::new(
                400,
                "MissingRequiredHeader",
                format!("An HTTP header that's mandatory for this request is not specified: {name}."),
            )
        })
    }

    /// A whole number from the query, within bounds.
    pub(super) fn number(
        &self,
        name: &str,
        default: i64,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, Refusal> {
        let Some(text) = self.query(name) else {
            return Ok(default);
        };
        let number: i64 = text.parse().map_err(|_| {
            Refusal::new(
                400,
                "InvalidQueryParameterValue",
                format!(
                    "Value for one of the query parameters specified in the request URI is invalid: {name}={text}."
                ),
            )
        })?;
        if bounds.contains(&number) {
            Ok(number)
        } else {
            Err(Refusal::new(
                400,
                "OutOfRangeQueryParameterValue",
                format!(
                    "One of the query parameters specified in the request URI is outside the permissible range: {name}={number} is not within {}..{}.",
                    bounds.start(),
                    bounds.end()
                ),
            ))
        }
    }

    /// The `x-ms-meta-` headers, without the prefix.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        self.request
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let name = name.as_str().strip_prefix("x-ms-meta-")?;
                Some((name.to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect()
    }

    /// The refusal for an operation outside the simulated subset.
    pub(super) fn not_simulated(&self) -> Refusal {
        Refusal::new(
            501,
            "NotImplemented",
            format!(
                "The requested operation is not implemented on the specified resource: {} {}. The simulated storage answers only what Hubward sends.",
                self.request.method(),
                self.request.uri()
            ),
        )
    }
}

fn present(part: &str) -> Result<Option<String>, Refusal> {
    if part.is_empty() {
        Ok(None)
    } else {
        percent_decoded(part).map(Some)
    }
}

fn percent_decoded(text: &str) -> Result<String, Refusal> {
    let invalid = || {
        Refusal::new(
            400,
            "InvalidUri",
            format!("The requested URI does not represent any resource on the server: {text}."),
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).ok_or_else(invalid)?;
            let digits = std::str::from_utf8(digits).map_err(|_| invalid())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| invalid())?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}
