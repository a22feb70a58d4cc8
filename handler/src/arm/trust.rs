//! Which URLs out of a response may be followed.
//!
//! Poll URLs and next links come from a header or a body, and following one sends our bearer token along. Only the host we
//! asked is trusted, and only a URL that reaches the wire byte for byte as Azure wrote it, because its query is signed.

use url::{Position, Url};

/// Checks `text` against `endpoint` and gives the absolute URL that is safe to follow.
///
/// A path without a host is taken to lie on the endpoint. The returned URL prints exactly the path and query of `text`.
///
/// # Errors
/// The reason in words; never the query, which may hold a signature.
pub fn follow(endpoint: &Url, text: &str) -> Result<Url, String> {
    let absolute = if text.starts_with('/') && !text.starts_with("//") {
        format!("{}{text}", &endpoint[..Position::BeforePath])
    } else {
        text.to_owned()
    };
    let url = Url::parse(&absolute).map_err(|error| format!("it is not a URL ({error})"))?;
    if url.scheme() != endpoint.scheme() {
        return Err(format!("its scheme is {:?}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password".to_owned());
    }
    let same_host = url.host() == endpoint.host() && url.port_or_known_default() == endpoint.port_or_known_default();
    if !same_host {
        return Err(format!("its host is {:?}", url.host_str().unwrap_or_default()));
    }
    if url.fragment().is_some()
        || !absolute.ends_with(&url[Position::BeforePath..])
        || written_path(&absolute) != url.path()
    {
        return Err("it cannot be sent back byte for byte".to_owned());
    }
    Ok(url)
}

/// The path of an absolute URL as it was written, before any parser has normalised it.
fn written_path(absolute: &str) -> &str {
    let after_scheme = absolute.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Url {
        Url::parse("https://management.azure.com/").unwrap()
    }

    #[test]
    fn a_signed_query_is_kept_byte_for_byte() {
        let text = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/westeurope/operations/\
                    6db1ced5-25ee?api-version=2016-03-30&t=638&c=MIIH_-~Ab.%2B+%2f==&s=a+b~c-d_e=&h=%E2%82%AC*!'(),;:@$";
        // The apostrophe is the one character that the URL standard escapes in a query: such a URL must be refused, not changed.
        assert!(follow(&endpoint(), text).unwrap_err().contains("byte for byte"));
        let text = text.replace('\'', "");
        assert_eq!(follow(&endpoint(), &text).unwrap().as_str(), text);
    }

    #[test]
    fn only_the_endpoints_own_host_is_followed() {
        for foreign in [
            "https://management.azure.com.evil.example/x",
            "https://evil.example/?h=management.azure.com",
            "https://management.azure.com@evil.example/x",
            "https://user@management.azure.com/x",
            "https://management.azure.com:8443/x",
            "http://management.azure.com/x",
            "//evil.example/x",
            "https:\\\\evil.example\\x",
            "ftp://management.azure.com/x",
            "not a url",
            "",
        ] {
            assert!(follow(&endpoint(), foreign).is_err(), "{foreign} was followed");
        }
    }

    #[test]
    fn a_path_that_a_parser_would_rewrite_is_refused() {
        for rewritten in [
            "https://management.azure.com/a/../b?x=1",
            "https://management.azure.com/a b",
            "https://management.azure.com/a#b",
            "https://management.azure.com/a\tb",
        ] {
            assert!(follow(&endpoint(), rewritten).is_err(), "{rewritten} was followed");
        }
    }

    #[test]
    fn a_bare_path_lies_on_the_endpoint() {
        let url = follow(
            &endpoint(),
            "/subscriptions/s/operationresults/1?api-version=2018-08-01",
        )
        .unwrap();
        assert_eq!(
            url.as_str(),
            "https://management.azure.com/subscriptions/s/operationresults/1?api-version=2018-08-01"
        );
    }
}
