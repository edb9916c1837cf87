//! Device ids that a server made up, over many answers.
use super::*;
use crate::http::message::{Request, Response};
use serde_json::{Value, json};
use std::time::Duration;

fn answered(operation: Option<&str>, asked: &Value, status: u16, given: &Value) -> Exchange {
    Exchange {
        request: Request::new(operation, "POST", "/_matrix/client/v3/login").json(asked),
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(Response::new(status, Vec::new(), given.to_string().into_bytes(), false)),
        duration: Duration::ZERO,
        shared: false,
    }
}

fn login(user: &str, device: &str) -> Exchange {
    answered(Some("login"), &json!({}), 200, &json!({"user_id": user, "device_id": device}))
}

fn seen(all: &[Exchange]) -> Seen {
    generated_device_ids(&all.iter().collect::<Vec<_>>())
}

#[test]
fn an_id_that_was_made_up_twice_for_one_user_repeats() {
    let (one, two) = (login("@a:hs", "D"), login("@a:hs", "E"));
    assert_eq!(
        seen(&[one.clone(), two.clone(), one.clone()]),
        Seen::Repeated { first: 0, again: 2 }
    );
    assert_eq!(seen(&[one.clone(), two]), Seen::Fine);
    assert_eq!(seen(&[one.clone(), login("@b:hs", "D")]), Seen::Fine, "of another user");
    assert_eq!(seen(std::slice::from_ref(&one)), Seen::Nothing);
    assert_eq!(seen(&[]), Seen::Nothing);
    let registered =
        answered(Some("register"), &json!({}), 200, &json!({"user_id": "@a:hs", "device_id": "D"}));
    assert_eq!(seen(&[one, registered]), Seen::Repeated { first: 0, again: 1 });
}

#[test]
fn what_the_client_asked_for_or_the_server_did_not_give_does_not_count() {
    let given = json!({"user_id": "@a:hs", "device_id": "D"});
    let others = [
        answered(Some("login"), &json!({"device_id": "D"}), 200, &given),
        answered(Some("login"), &json!({}), 403, &given),
        answered(Some("getDevices"), &json!({}), 200, &given),
        answered(None, &json!({}), 200, &given),
        answered(Some("login"), &json!({}), 200, &json!({"user_id": "@a:hs"})),
        answered(Some("login"), &json!({}), 200, &json!({"device_id": "D"})),
    ];
    for other in others {
        assert_eq!(seen(&[other.clone(), other]), Seen::Nothing);
    }
}
