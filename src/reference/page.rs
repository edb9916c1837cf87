//! The few pages for browsers.

use super::answer::Answer;

/// Replaces what means something in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The login page for clients without a login of their own. It hands the answer of the login to
/// `window.matrixLogin.onLogin`, or to `window.onLogin`, as it was called before v1.12; the parameters of its URL that
/// are no credentials go into the login. `api` is the prefix of the paths, `r0` or `v3`; `only_old` leaves the newer of
/// the two names out.
pub(super) fn login(api: &str, only_old: bool) -> Answer {
    let new_name = if only_old { "" } else { NEW_NAME };
    Answer::html(200, &LOGIN.replace("{api}", api).replace("{new name}", new_name))
}

const NEW_NAME: &str = "else if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(json);\n  ";

const LOGIN: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title></head>
<body>
<h1>Log in</h1>
<form id="login">
<p><label>User <input name="user" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p>
<p><button>Log in</button> <span id="message" role="alert"></span></p>
</form>
<script>
document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const body = {};
  for (const [name, value] of new URLSearchParams(location.search)) body[name] = value;
  body.type = "m.login.password";
  body.identifier = { type: "m.id.user", user: form.get("user") };
  body.password = form.get("password");
  if (body.refresh_token !== undefined) body.refresh_token = body.refresh_token === "true";
  const answer = await fetch("/_matrix/client/{api}/login", { method: "POST", body: JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok) document.getElementById("message").textContent = json.error;
  {new name}else window.onLogin(json);
});
</script>
</body></html>
"#;

/// The page of something in front of the homeserver that does not let a request through, with the headers that such
/// things set and a homeserver does not.
pub(super) fn gateway() -> Answer {
    let page = "<html><head><title>Attention Required!</title></head><body><h1>Sorry, you have been blocked</h1>\
                <p>Access was denied by the edge.</p></body></html>";
    let mut answer = Answer::html(403, page);
    answer.set("server", "edge-gateway");
    answer.set("via", "1.1 edge-gateway");
    answer.set("cf-ray", "8a1b2c3d4e5f6789-FRA");
    answer
}

/// What a person fills in for an interactive-auth stage.
#[derive(Debug, Clone, Copy)]
pub(super) enum StageField {
    Password,
    Token,
    Nothing,
}

/// The page on which a person takes an interactive-auth stage.
pub(super) fn stage(status: u16, field: StageField, session: &str) -> Answer {
    let field = match field {
        StageField::Password => {
            r#"<p><label>Password <input name="password" type="password"></label></p>"#
        }
        StageField::Token => r#"<p><label>Token <input name="token"></label></p>"#,
        StageField::Nothing => "",
    };
    let trouble = if status == 200 { "" } else { r#"<p role="alert">That was not right.</p>"# };
    let page = format!(
        r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Confirm</title></head>
<body><h1>Confirm</h1>{trouble}
<form method="post"><input type="hidden" name="session" value="{}">{field}<p><button>Go on</button></p></form>
</body></html>
"#,
        escape(session)
    );
    Answer::html(status, &page)
}

/// The page that tells the client that a stage is done.
pub(super) fn stage_done() -> Answer {
    Answer::html(
        200,
        r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Done</title></head>
<body><p>Done. This window may be closed.</p>
<script>
if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage("authDone", "*");
</script>
</body></html>
"#,
    )
}

/// The icon of the built-in identity provider.
pub(super) fn icon() -> Answer {
    const ICON: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 4 4 0l4 4v4H0z"/></svg>"#;
    let mut answer = Answer::html(200, ICON);
    answer.set("content-type", "image/svg+xml");
    answer
}

/// The page of the built-in identity provider: it asks who logs in and believes the answer. What it is asked for is a
/// login, that goes back to a URL, or a stage of an interactive-auth session.
pub(super) fn provider(redirect_url: &str, session: &str) -> Answer {
    let page = format!(
        r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Identity provider</title></head>
<body><h1>Identity provider</h1>
<form method="post"><input type="hidden" name="redirectUrl" value="{}"><input type="hidden" name="session" value="{}">
<p><label>User <input name="user"></label></p><p><button>Log in</button></p></form>
</body></html>
"#,
        escape(redirect_url),
        escape(session)
    );
    Answer::html(200, &page)
}
