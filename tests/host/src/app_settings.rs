//! The app settings: the inherited environment with the caller's additions on top. They are what the handler inherits,
//! what `%NAME%` refers to, and what overrides host.json (`AzureFunctionsJobHost__a__b`). A name that is not set is
//! `None`; whether that matters is the caller's decision.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const OVERRIDE_PREFIX: &str = "AzureFunctionsJobHost__";

/// Environment of host and handler, by name.
#[derive(Debug, Clone)]
pub(crate) struct AppSettings(BTreeMap<String, String>);

impl AppSettings {
    /// The inherited environment plus `added`; names or values that are not Unicode are left to inheritance.
    pub(crate) fn new(added: &[(String, String)]) -> Self {
        let inherited = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self(inherited.chain(added.iter().cloned()).collect())
    }

    /// The value of a setting.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Replaces each `%NAME%`; an unset name is removed, as the host does with worker arguments.
    pub(crate) fn expand(&self, text: &str) -> String {
        expand_with(text, |name| Some(self.get(name).unwrap_or_default().to_owned())).unwrap_or_default()
    }

    /// Replaces each `%NAME%`; an unset name is the error, as the host does with binding properties.
    pub(crate) fn resolve(&self, text: &str) -> Result<String, String> {
        expand_with(text, |name| self.get(name).map(str::to_owned))
            .map_err(|name| format!("'%{name}%' does not resolve to a value"))
    }

    /// True when `AzureWebJobs.<Name>.Disabled` (or its double-underscore form, as Linux has it) is `true` or `1`.
    pub(crate) fn disables(&self, function: &str) -> bool {
        [
            format!("AzureWebJobs.{function}.Disabled"),
            format!("AzureWebJobs__{function}__Disabled"),
        ]
        .iter()
        .filter_map(|name| self.get(name))
        .any(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// Lays every `AzureFunctionsJobHost__a__b=value` over a host.json document. Names are compared without case.
    pub(crate) fn override_host_json(&self, document: &mut Value) {
        for (name, value) in &self.0 {
            let Some(head) = name.get(..OVERRIDE_PREFIX.len()) else {
                continue;
            };
            if head.eq_ignore_ascii_case(OVERRIDE_PREFIX) {
                let path: Vec<&str> = name[OVERRIDE_PREFIX.len()..].split("__").collect();
                set(document, &path, value);
            }
        }
    }
}

fn expand_with(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        match after.split_once('%') {
            Some((name, tail)) if !name.is_empty() => {
                expanded.push_str(&value(name).ok_or_else(|| name.to_owned())?);
                rest = tail;
            }
            _ => {
                expanded.push('%');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn set(node: &mut Value, path: &[&str], text: &str) {
    let Some((head, tail)) = path.split_first() else {
        *node = scalar(text);
        return;
    };
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    let Some(object) = node.as_object_mut() else { return };
    let key = object
        .keys()
        .find(|key| key.eq_ignore_ascii_case(head))
        .cloned()
        .unwrap_or_else(|| (*head).to_owned());
    set(object.entry(key).or_insert(Value::Null), tail, text);
}

fn scalar(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> AppSettings {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        AppSettings::new(&pairs)
    }

    #[test]
    fn percent_names_are_expanded_and_unset_ones_removed() {
        let settings = settings(&[("SOME", "value")]);
        assert_eq!(settings.expand("--a=%SOME% %HOST_SIM_UNSET%100%"), "--a=value 100%");
        assert_eq!(
            settings.resolve("%HOST_SIM_UNSET%").unwrap_err(),
            "'%HOST_SIM_UNSET%' does not resolve to a value"
        );
    }

    #[test]
    fn an_app_setting_overrides_host_json_without_regard_to_case() {
        let settings = settings(&[
            ("AzureFunctionsJobHost__FunctionTimeout", "00:01:00"),
            ("AzureFunctionsJobHost__extensions__queues__batchSize", "3"),
        ]);
        let mut document = json!({"functionTimeout": "00:05:00", "version": "2.0"});
        settings.override_host_json(&mut document);
        assert_eq!(
            document,
            json!({"functionTimeout": "00:01:00", "version": "2.0", "extensions": {"queues": {"batchSize": 3}}})
        );
    }

    #[test]
    fn a_setting_disables_its_function() {
        assert!(settings(&[("AzureWebJobs.Work.Disabled", "true")]).disables("Work"));
        assert!(settings(&[("AzureWebJobs__Work__Disabled", "1")]).disables("Work"));
        assert!(!settings(&[("AzureWebJobs.Work.Disabled", "false")]).disables("Work"));
    }
}
