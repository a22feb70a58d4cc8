//! Route templates of http functions: literals, `{name}`, `{name?}` and `{*name}`, compared without case.
//!
//! Constraints (`{id:int}`) are refused when the host starts, because a route that matches too much would hide a wrong
//! one.

use serde_json::{Map, Value};

/// A parsed template below the route prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route(Vec<Segment>);

/// Ordered from the most to the least specific: of two matching routes the smaller wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter { name: String, optional: bool },
    CatchAll(String),
}

impl Route {
    /// Parses `prefix/template`.
    pub(crate) fn parse(prefix: &str, template: &str) -> Result<Self, String> {
        let full = format!("{prefix}/{template}");
        let segments = full
            .split('/')
            .filter(|part| !part.is_empty())
            .map(segment)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(segments))
    }

    /// The parameters if `path` matches; values are percent-decoded.
    pub(crate) fn matches(&self, path: &str) -> Option<Map<String, Value>> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let mut parameters = Map::new();
        for segment in &self.0 {
            match segment {
                Segment::Literal(text) => {
                    parts.next().filter(|part| decoded(part).eq_ignore_ascii_case(text))?;
                }
                Segment::Parameter { name, optional } => match parts.next() {
                    Some(part) => drop(parameters.insert(name.clone(), decoded(part).into())),
                    None if *optional => {}
                    None => return None,
                },
                Segment::CatchAll(name) => {
                    let rest: Vec<String> = parts.by_ref().map(decoded).collect();
                    parameters.insert(name.clone(), rest.join("/").into());
                }
            }
        }
        parts.next().is_none().then_some(parameters)
    }

    /// How specific the route is; the smallest wins.
    pub(crate) fn precedence(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter { .. } => 1,
            Segment::CatchAll(_) => 2,
        };
        self.0.iter().map(rank).collect()
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return if text.contains(['{', '}']) {
            Err(format!(
                "route segment '{text}' mixes text and parameter, which is not imitated"
            ))
        } else {
            Ok(Segment::Literal(text.to_owned()))
        };
    };
    let (name, catch_all) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "route segment '{text}' has a constraint or default, which is not imitated"
        ));
    }
    let name = name.to_owned();
    Ok(if catch_all {
        Segment::CatchAll(name)
    } else {
        Segment::Parameter { name, optional }
    })
}

fn decoded(part: &str) -> String {
    // Form decoding is percent-decoding plus '+', which stands for itself in a path.
    let protected = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(protected.as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matched(template: &str, path: &str) -> Option<Value> {
        Route::parse("api", template).unwrap().matches(path).map(Value::Object)
    }

    #[test]
    fn templates_match_without_case_and_give_their_parameters() {
        assert_eq!(matched("status", "/API/Status"), Some(json!({})));
        assert_eq!(matched("status", "/api/status/x"), None);
        assert_eq!(matched("c/{name}", "/api/c/a%20b+c"), Some(json!({"name": "a b+c"})));
        assert_eq!(matched("c/{name}", "/api/c"), None);
        assert_eq!(matched("c/{name?}", "/api/c"), Some(json!({})));
        assert_eq!(matched("page/{*rest}", "/api/page/a/b"), Some(json!({"rest": "a/b"})));
    }

    #[test]
    fn a_literal_route_wins_over_a_parameter() {
        let route = |template| Route::parse("api", template).unwrap().precedence();
        assert!(route("a/b") < route("a/{x}") && route("a/{x}") < route("a/{*x}"));
    }

    #[test]
    fn a_constraint_is_refused() {
        assert!(Route::parse("api", "c/{id:int}").unwrap_err().contains("{id:int}"));
        assert!(Route::parse("api", "c/pre{id}").unwrap_err().contains("pre{id}"));
    }
}
