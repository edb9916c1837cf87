//! The requests of a step: its references filled in, its path, headers and body put together.
use crate::case::ast::{Auth, Body, MediaType, Send, Step, StepTarget};
use crate::case::template::{self, FillError};
use crate::http::message::Request;
use crate::model::encoding::encode_segment;
use crate::run::case_machine::{CaseMachine, Next};
use serde_json::Value;
use url::form_urlencoded;

impl CaseMachine<'_> {
    pub(super) fn next(&self, step: &Step) -> Result<Next, FillError> {
        let StepTarget::Operator(act) = step.target else {
            return self.requests(step).map(Next::Send);
        };
        let told = step.params.iter().map(|(name, value)| {
            template::fill(value, &self.variables).map(|value| (name.clone(), text(&value)))
        });
        told.collect::<Result<_, _>>().map(|told| Next::Operate(act, told))
    }

    fn requests(&self, step: &Step) -> Result<Vec<Request>, FillError> {
        let count = match step.send {
            Send::Parallel(count) => count,
            _ => 1,
        };
        let request = self.request(step)?;
        Ok(vec![request; count as usize])
    }

    fn request(&self, step: &Step) -> Result<Request, FillError> {
        let (operation, method, mut path) = self.target(step)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &step.query {
            query.append_pair(name, &text(&template::fill(value, &self.variables)?));
        }
        let mut headers = Vec::new();
        for (name, value) in &step.headers {
            let value = text(&template::fill(value, &self.variables)?);
            headers.push((name.to_ascii_lowercase(), value));
        }
        match &step.auth {
            Auth::None => {}
            Auth::Bearer(token) => {
                let token = text(&template::fill(token, &self.variables)?);
                headers.push(("authorization".to_owned(), format!("Bearer {token}")));
            }
            Auth::Query(token) => {
                query.append_pair("access_token", &text(&template::fill(token, &self.variables)?));
            }
            Auth::Raw(value) => {
                let value = text(&template::fill(value, &self.variables)?);
                headers.push(("authorization".to_owned(), value));
            }
        }
        let query = query.finish();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let body = self.body(step)?;
        if body.is_some() {
            match &step.media_type {
                MediaType::Json => headers.push(json_type("application/json")),
                MediaType::Given(given) => headers.push(json_type(given)),
                MediaType::None => {}
            }
        }
        let schema_off = step.schema_off.is_some();
        Ok(Request { operation, method, path, headers, body, schema_off })
    }

    fn target(&self, step: &Step) -> Result<(Option<String>, String, String), FillError> {
        match &step.target {
            StepTarget::Raw { method, path } => Ok((
                None,
                template::fill_text(method, &self.variables)?,
                template::fill_text(path, &self.variables)?,
            )),
            StepTarget::Operator(act) => Err(FillError::Unresolved(act.as_str().to_owned())),
            StepTarget::Call(operation) => {
                let route = self
                    .routes
                    .route(operation, step.api)
                    .ok_or_else(|| FillError::Unresolved(format!("operation {operation}")))?;
                let mut path = route.path;
                for (name, value) in &step.params {
                    let value = text(&template::fill(value, &self.variables)?);
                    path = path.replace(&format!("{{{name}}}"), &encode_segment(&value));
                }
                Ok((Some(operation.clone()), route.method, path))
            }
        }
    }

    fn body(&self, step: &Step) -> Result<Option<Vec<u8>>, FillError> {
        Ok(match &step.body {
            Body::None => self
                .auth
                .as_ref()
                .map(|auth| serde_json::json!({"auth": auth}).to_string().into_bytes()),
            Body::Json(value) => {
                let mut value = self.variables.body(value)?;
                if let (Some(auth), Value::Object(members)) = (&self.auth, &mut value) {
                    members.insert("auth".to_owned(), auth.clone());
                }
                Some(value.to_string().into_bytes())
            }
            Body::Text(text) => Some(template::fill_text(text, &self.variables)?.into_bytes()),
            Body::Bytes(bytes) => Some(bytes.clone()),
        })
    }
}

fn json_type(value: &str) -> (String, String) {
    ("content-type".to_owned(), value.to_owned())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
