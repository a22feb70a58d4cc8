//! The part of Resource Graph's query language that tools use to list resources: `resources | where .. | project .. |
//! order by .. | limit ..`. What goes beyond it is refused, never guessed.

use serde_json::{Map, Value};
use std::cmp::Ordering;

/// One query, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    conditions: Vec<Condition>,
    /// Output column and where it comes from; empty for the whole row.
    columns: Vec<(String, Vec<String>)>,
    /// Column and whether it descends.
    order: Vec<(Vec<String>, bool)>,
    limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    column: Vec<String>,
    test: Test,
    ignore_case: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    StartsWith(String),
    Contains(String),
}

impl Query {
    /// Reads a query; the error names what is not understood.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut stages = split(text, "|").into_iter();
        let table = stages.next().unwrap_or_default();
        if !table.eq_ignore_ascii_case("resources") {
            return Err(format!("the table '{table}'"));
        }
        let mut query = Self::default();
        for stage in stages {
            let (word, rest) = stage.split_once(char::is_whitespace).unwrap_or((stage.as_str(), ""));
            match word.to_lowercase().as_str() {
                "where" => {
                    for part in split(rest, " and ") {
                        query.conditions.push(Condition::read(&part)?);
                    }
                }
                "project" => query.columns = split(rest, ",").iter().map(|column| read_column(column)).collect(),
                "order" | "sort" => {
                    let columns = rest.trim_start().strip_prefix("by ").ok_or_else(|| stage.clone())?;
                    query.order = split(columns, ",").iter().map(|column| read_order(column)).collect();
                }
                "limit" | "take" => query.limit = Some(rest.trim().parse().map_err(|_| stage.clone())?),
                _ => return Err(format!("the stage '{stage}'")),
            }
        }
        Ok(query)
    }

    /// The rows that answer, in order, with the wanted columns.
    pub(crate) fn run(&self, rows: Vec<Value>) -> Vec<Value> {
        let mut found: Vec<Value> = rows
            .into_iter()
            .filter(|row| self.conditions.iter().all(|condition| condition.holds(row)))
            .collect();
        found.sort_by(|left, right| self.compare(left, right));
        found.truncate(self.limit.unwrap_or(usize::MAX));
        found.into_iter().map(|row| self.project(row)).collect()
    }

    /// Pages can be followed only if the rows have their ids [api-examples 6: "id field is required"].
    pub(crate) fn keeps_ids(&self) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|(name, _)| name == "id")
    }

    fn compare(&self, left: &Value, right: &Value) -> Ordering {
        let mut order = Ordering::Equal;
        for (column, descends) in &self.order {
            let (left, right) = (words(at(left, column)), words(at(right, column)));
            let step = left.cmp(&right);
            order = order.then(if *descends { step.reverse() } else { step });
        }
        order
    }

    fn project(&self, row: Value) -> Value {
        if self.columns.is_empty() {
            return row;
        }
        let columns = self.columns.iter();
        let kept: Map<String, Value> = columns
            .map(|(name, from)| (name.clone(), at(&row, from).cloned().unwrap_or(Value::Null)))
            .collect();
        Value::Object(kept)
    }
}

impl Condition {
    fn read(text: &str) -> Result<Self, String> {
        let unknown = || format!("the condition '{text}'");
        let (column, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(unknown)?;
        let rest = rest.trim();
        let (operator, values) = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '('))
            .map(|end| rest.split_at(end))
            .ok_or_else(unknown)?;
        let values = literals(values).ok_or_else(unknown)?;
        let first = values.first().cloned().ok_or_else(unknown)?;
        let (test, ignore_case) = match operator.to_lowercase().as_str() {
            "=~" | "in~" => (Test::OneOf(values), true),
            "==" | "in" => (Test::OneOf(values), false),
            "!~" => (Test::NoneOf(values), true),
            "!=" => (Test::NoneOf(values), false),
            "startswith" => (Test::StartsWith(first), true),
            "contains" | "has" => (Test::Contains(first), true),
            _ => return Err(unknown()),
        };
        Ok(Self {
            column: path(column),
            test,
            ignore_case,
        })
    }

    fn holds(&self, row: &Value) -> bool {
        let fold = |text: &str| {
            if self.ignore_case {
                text.to_lowercase()
            } else {
                text.to_owned()
            }
        };
        let value = fold(&words(at(row, &self.column)));
        match &self.test {
            Test::OneOf(wanted) => wanted.iter().any(|wanted| fold(wanted) == value),
            Test::NoneOf(unwanted) => !unwanted.iter().any(|unwanted| fold(unwanted) == value),
            Test::StartsWith(start) => value.starts_with(&fold(start)),
            Test::Contains(part) => value.contains(&fold(part)),
        }
    }
}

/// Splits at a separator, but not within quotes.
fn split(text: &str, separator: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if quote.is_none()
            && let Some(after) = strip_prefix_ignoring_case(rest, separator)
        {
            parts.push(String::new());
            rest = after;
            continue;
        }
        match quote {
            Some(open) if open == next => quote = None,
            None if matches!(next, '\'' | '"') => quote = Some(next),
            Some(_) | None => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(next);
        }
        rest = &rest[next.len_utf8()..];
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// `'a'` or `('a', "b")`.
fn literals(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let inner = text
        .strip_prefix('(')
        .map_or(Some(text), |inner| inner.strip_suffix(')'))?;
    split(inner, ",").iter().map(|literal| unquoted(literal)).collect()
}

fn unquoted(literal: &str) -> Option<String> {
    let quote = literal.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(quote)).then(|| inner.to_owned())
}

/// `column`, or `name = column`.
fn read_column(text: &str) -> (String, Vec<String>) {
    match text.split_once('=') {
        Some((name, column)) => (name.trim().to_owned(), path(column.trim())),
        // A dotted column is called by its parts [learn: Kusto, project operator].
        None => (text.replace('.', "_"), path(text)),
    }
}

/// Without a word, order descends [learn: Kusto, sort operator].
fn read_order(text: &str) -> (Vec<String>, bool) {
    match text.split_once(char::is_whitespace) {
        Some((column, word)) => (path(column), !word.trim().eq_ignore_ascii_case("asc")),
        None => (path(text), true),
    }
}

fn path(column: &str) -> Vec<String> {
    column.split('.').map(str::to_owned).collect()
}

fn at<'a>(row: &'a Value, column: &[String]) -> Option<&'a Value> {
    column.iter().try_fold(row, |value, key| value.get(key))
}

fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Vec<Value> {
        vec![
            json!({"id": "/b", "name": "b", "type": "t/one", "properties": {"state": "Succeeded"}}),
            json!({"id": "/a", "name": "a | and 'quoted'", "type": "t/one"}),
            json!({"id": "/c", "name": "c", "type": "t/two"}),
        ]
    }

    #[test]
    fn a_query_filters_projects_orders_and_limits() {
        let query =
            Query::read("Resources | where type =~ 'T/One' | project id, state = properties.state | order by id asc");
        assert_eq!(
            query.unwrap().run(rows()),
            [
                json!({"id": "/a", "state": null}),
                json!({"id": "/b", "state": "Succeeded"})
            ]
        );
        let query =
            Query::read("resources|where type in~ ('t/ONE', \"T/two\") and name != 'c'| order by id |take 1").unwrap();
        assert_eq!(query.run(rows())[0]["id"], "/b", "order descends unless told otherwise");
        assert!(query.keeps_ids());
        assert!(!Query::read("resources | project name").unwrap().keeps_ids());
    }

    #[test]
    fn quotes_hide_separators() {
        let query = Query::read("resources | where name == \"a | and 'quoted'\" | project name").unwrap();
        assert_eq!(query.run(rows()).len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("resourcecontainers", "resourcecontainers"),
            ("resources | summarize count()", "summarize"),
            ("resources | where type", "type"),
            ("resources | where type =~ bare", "bare"),
            ("resources | limit many", "many"),
        ] {
            let error = Query::read(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
