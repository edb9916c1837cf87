//! An exchange as plain text, for a terminal.
use super::text;
use crate::model::run::{Header, RecordedExchange};

/// Request and answer, line by line; control characters of the server's text are made visible.
pub fn exchange_text(exchange: &RecordedExchange) -> String {
    let mut lines = vec![format!("-- {} ({} ms)", exchange.id, exchange.duration_ms)];
    lines.push(format!("> {} {}", exchange.request.method, exchange.request.url));
    lines.extend(headers("> ", &exchange.request.headers));
    lines.extend(body("> ", exchange.request.body.as_deref().unwrap_or_default()));
    match (&exchange.response, &exchange.trouble) {
        (Some(response), _) => {
            lines.push(format!("< {}", response.status));
            lines.extend(headers("< ", &response.headers));
            lines.extend(body("< ", &response.body));
            if response.truncated {
                lines.push("< …".to_owned());
            }
        }
        (None, Some(trouble)) => lines.push(format!("< no answer: {trouble}")),
        (None, None) => lines.push("< no answer".to_owned()),
    }
    lines.iter().map(|line| text::visible(line).replace('\n', " ") + "\n").collect()
}

fn headers(mark: &str, headers: &[Header]) -> Vec<String> {
    headers.iter().map(|header| format!("{mark}{}: {}", header.name, header.value)).collect()
}

/// Made visible first: a carriage return alone also begins a line, and each needs its mark, or it could
/// be a command to whoever reads the output.
fn body(mark: &str, body: &str) -> Vec<String> {
    text::visible(body).lines().map(|line| format!("{mark}{line}")).collect()
}
