//! `report.html` in a real Chromium: what a reader does with it, on what they read it, and what axe says of it.
//!
//! Without Chromium these tests are left out, which is said. axe comes from PyPI and is installed once under `target/`;
//! `HOMESPEC_BROWSER=skip` leaves these tests out.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "html/browser.rs"]
mod browser;
mod support;

use browser::{Browser, chromium};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use support::{say, target_dir, test_file, venv};
use tempfile::TempDir;

/// The largest report that a full run may give, in bytes.
const SIZE: u64 = 3 * 1024 * 1024;

/// The report of a run of the whole suite with something to find, in its folder.
static WHOLE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["login-403-as-list", "device-error-without-errcode", "login-list-body-500"];
    let output = Command::new(HOMESPEC)
        .args(["demo", "--report", "html", "--out"])
        .arg(folder.path())
        .args(faults.iter().flat_map(|fault| ["--fault", fault]))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let page = folder.path().join("report.html");
    (folder, page)
});

fn whole() -> PathBuf {
    WHOLE.1.clone()
}

const HOMESPEC: &str = env!("CARGO_BIN_EXE_homespec");

/// A browser, or `None` where there is none to be had or wanted, which is said.
fn browser(test: &str) -> Option<Browser> {
    if std::env::var("HOMESPEC_BROWSER").is_ok_and(|how| how == "skip") {
        say(&format!("{test}: left out, as HOMESPEC_BROWSER=skip asks"));
        return None;
    }
    let Some(chromium) = chromium() else {
        say(&format!("{test}: LEFT OUT, as no Chromium is installed"));
        return None;
    };
    Some(Browser::start(&chromium))
}

/// A small report with every verdict in it, and a finding that a baseline knows.
fn every_verdict() -> PathBuf {
    test_file("golden/every-verdict.report.html")
}

/// What the browser complained about: messages, exceptions, breaches of the policy.
fn complaints(browser: &mut Browser) -> Vec<Value> {
    // What is under way has been said once this has been answered.
    browser.frame();
    let loud = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
    let is_loud = |event: &&Value| loud.iter().any(|name| event["method"] == *name);
    browser.events.iter().filter(is_loud).cloned().collect()
}

fn requests(browser: &Browser) -> Vec<&str> {
    browser
        .events
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent")
        .filter_map(|event| event["params"]["request"]["url"].as_str())
        .collect()
}

/// How many elements can be seen.
fn visible(browser: &mut Browser, selector: &str) -> u64 {
    let script = format!(
        "[...document.querySelectorAll({selector:?})]
            .filter((e) => e.checkVisibility({{ contentVisibilityAuto: true }})).length"
    );
    browser.value(&script).as_u64().unwrap()
}

#[test]
fn it_opens_quietly_loads_nothing_and_is_small() {
    let Some(mut browser) = browser("the report in a browser") else { return };
    for page in [whole(), every_verdict()] {
        browser.open(&page, "");
        assert_eq!(complaints(&mut browser), Vec::<Value>::new(), "{}", page.display());
        assert_eq!(requests(&browser).len(), 1, "{:?}", requests(&browser));
        let twice = "[...document.querySelectorAll('[id]')].map((e) => e.id)
            .filter((id, n, all) => all.indexOf(id) !== n)";
        assert_eq!(browser.value(twice), json!([]));
        let nowhere = "[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash.slice(1))
            .filter((id) => !document.getElementById(id))";
        assert_eq!(browser.value(nowhere), json!([]));
    }
    let size = std::fs::metadata(whole()).unwrap().len();
    assert!(size < SIZE, "{size}");
}

#[test]
fn nothing_but_its_own_style_and_script_takes_effect() {
    let Some(mut browser) = browser("the policy of the report") else { return };
    browser.open(&whole(), "");
    let foreign = "{ const style = document.createElement('style');
        style.textContent = 'h1 { display: none }';
        const styled = document.querySelector('h1');
        styled.setAttribute('style', 'visibility: hidden');
        document.head.append(style);
        styled.checkVisibility({ visibilityProperty: true }) }";
    assert_eq!(browser.value(foreign), true);
    let markup = "{ let refused = 0;
        const tries = [
            () => { document.createElement('script').textContent = '1' },
            () => { document.body.innerHTML += '<i>' },
            () => { document.body.insertAdjacentHTML('beforeend', '<i>') },
        ];
        for (const attempt of tries) try { attempt() } catch { refused += 1 }
        refused }";
    assert_eq!(browser.value(markup), 3);
    let load = "new Promise((done) => { const image = new Image();
        image.onerror = () => done('refused'); image.onload = () => done('loaded');
        image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='; })";
    assert_eq!(browser.value(load), "refused");
}

const ROWS: &str = "#requirements tr[data-verdict]";

#[test]
fn filters_narrow_it_down_and_make_a_link() {
    let Some(mut browser) = browser("filters of the report") else { return };
    browser.open(&whole(), "");
    let all = visible(&mut browser, ROWS);
    assert!(all > 300, "{all}");
    // By the keyboard: the search, then the level.
    browser.press("/", "/");
    browser.call("Input.insertText", json!({ "text": "Login.Password" }));
    let some = visible(&mut browser, ROWS);
    assert!(some > 5 && some < 60, "{some}");
    // A case is found by the requirements that it decides.
    assert!(visible(&mut browser, "#cases tr[data-verdict]") > 5);
    let said = browser.value("document.getElementById('shown').textContent");
    assert!(said.as_str().unwrap().starts_with(&format!("Shown: {some} of {all} req")), "{said}");
    browser.press("Tab", "");
    browser.press("Tab", "");
    assert_eq!(browser.value("document.activeElement.name"), "level");
    browser.press("S", "S");
    browser.until("location.hash === '#q=Login.Password&level=SHOULD'");
    let fewer = visible(&mut browser, ROWS);
    assert!(fewer < some, "{fewer}");
    let levels = format!(
        "new Set([...document.querySelectorAll({ROWS:?})]
        .filter((r) => !r.hidden).map((r) => r.dataset.level)).size"
    );
    assert!(browser.value(&levels).as_u64().unwrap() <= 1);
    // What stands behind the link is what was seen.
    browser.open(&whole(), "q=Login.Password&level=SHOULD");
    assert_eq!(visible(&mut browser, ROWS), fewer);
    assert_eq!(browser.value("document.querySelector('[name=q]').value"), "Login.Password");
    browser.click("#filter [type=reset]");
    browser.until("location.hash === ''");
    assert_eq!(visible(&mut browser, ROWS), all);
}

#[test]
fn filters_by_verdict_and_area_leave_no_empty_section() {
    let Some(mut browser) = browser("filters of the report") else { return };
    browser.open(&whole(), "");
    let broken = visible(&mut browser, "#broken > article");
    assert!(broken > 1);
    browser.click("[data-only=failed]");
    assert_eq!(browser.value("location.hash"), "#verdict=failed");
    assert_eq!(visible(&mut browser, "#broken > article"), broken);
    assert_eq!(visible(&mut browser, ROWS), broken);
    assert_eq!(visible(&mut browser, "#skipped, #untested, #warned, #areas"), 0);
    browser.click("[name=verdict][value=passed]");
    assert_eq!(browser.value("location.hash"), "#verdict=failed&verdict=passed");
    assert!(visible(&mut browser, ROWS) > 100);
    browser.open(&whole(), "area=area-standing&verdict=failed");
    let standing = visible(&mut browser, "#broken > article");
    assert!(standing > 0 && standing < broken, "{standing} of {broken}");
    browser.open(&every_verdict(), "");
    let broken = visible(&mut browser, "#broken > article");
    browser.open(&every_verdict(), "new=1&verdict=failed");
    assert_eq!(visible(&mut browser, "#broken > article"), broken - 1);
    assert_eq!(visible(&mut browser, "#broken > article h3 .badge"), broken - 1);
}

#[test]
fn a_link_to_a_place_shows_it_whatever_was_filtered_or_folded() {
    let Some(mut browser) = browser("links into the report") else { return };
    browser.open(&whole(), "verdict=failed");
    browser.value("location.hash = '#req-login.get.public'");
    let seen = |id: &str| {
        format!(
            "{{ const box = document.getElementById('{id}').getBoundingClientRect();
                box.height > 0 && box.top >= 0 && box.top < innerHeight }}"
        )
    };
    browser.until(&seen("req-login.get.public"));
    browser.open(&whole(), "failed-error.shape.object");
    browser.until(&seen("failed-error.shape.object"));
}

#[test]
fn from_the_page_to_clause_and_curl_line() {
    let Some(mut browser) = browser("copying from the report") else { return };
    let grant = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.call("Browser.grantPermissions", grant);
    browser.open(&whole(), "");
    let first = "document.querySelector('#broken article')";
    let clause = browser.value(&format!("{first}.querySelector('a[href^=https]').href"));
    assert!(clause.as_str().unwrap().starts_with("https://spec.matrix.org/v1."), "{clause}");
    assert!(visible(&mut browser, "#broken article mark") > 1);
    // The exchange is folded, the line is not.
    assert_eq!(visible(&mut browser, "#broken article .exchange pre"), 0);
    browser.click("#broken article .exchange summary");
    assert_eq!(visible(&mut browser, "#broken article .exchange pre"), 2);
    let line = browser.value(&format!("{first}.querySelector('.curl').textContent"));
    assert!(line.as_str().unwrap().starts_with("curl -sSi "), "{line}");
    browser.click("#broken article .copy");
    browser.until(&format!("{first}.querySelector('.copy').textContent === 'Copied'"));
    assert_eq!(browser.value("navigator.clipboard.readText()"), line);
    assert_eq!(browser.value("document.getElementById('said').textContent"), "Copied");
    // Where a page has no clipboard, the line is selected and copied the old way.
    browser.value("delete Navigator.prototype.clipboard");
    browser.click("#broken article .copy");
    browser.until(&format!("getSelection().toString().trim() === {}", json!(line)));
}

#[test]
fn everything_unfolds_at_once_and_on_paper() {
    let Some(mut browser) = browser("unfolding and printing the report") else { return };
    browser.open(&whole(), "");
    let inner = "main details > :not(summary)";
    let all = browser.value(&format!("document.querySelectorAll({inner:?}).length"));
    let all = all.as_u64().unwrap();
    assert!(visible(&mut browser, inner) < all);
    browser.click("#unfold");
    assert_eq!(visible(&mut browser, inner), all);
    browser.click("#unfold");
    assert_eq!(visible(&mut browser, inner), 0);
    browser.media("print", "dark");
    assert_eq!(visible(&mut browser, inner), all);
    assert_eq!(visible(&mut browser, "button, select, input, nav"), 0);
    let paper = browser.value("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, "rgb(255, 255, 255)");
    let pdf = browser.call("Page.printToPDF", json!({ "printBackground": false }));
    let pdf = pdf["data"].as_str().unwrap();
    assert!(pdf.starts_with("JVBERi0") && pdf.len() > 50_000, "no PDF: {}", pdf.len());
}

#[test]
fn it_fits_a_telephone() {
    let Some(mut browser) = browser("the report on a telephone") else { return };
    for width in [320, 390] {
        browser.width(width);
        for page in [whole(), every_verdict()] {
            browser.open(&page, "");
            browser.click("#unfold");
            let wide = browser.value("document.documentElement.scrollWidth");
            assert_eq!(wide, width, "{}", page.display());
        }
    }
}

#[test]
fn it_is_whole_without_its_script() {
    let Some(mut browser) = browser("the report without script") else { return };
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&whole(), "");
    assert_eq!(visible(&mut browser, ".control"), 0);
    assert!(visible(&mut browser, ROWS) > 300);
    browser.click("#broken article .exchange summary");
    assert_eq!(visible(&mut browser, "#broken article .exchange pre"), 2);
}

#[test]
fn the_reader_chooses_dark_or_light() {
    let Some(mut browser) = browser("themes of the report") else { return };
    let dark = "getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'";
    browser.media("screen", "dark");
    browser.open(&whole(), "");
    assert_eq!(browser.value(dark), true);
    let choose = |name: &str| {
        format!(
            "{{ const theme = document.getElementById('theme'); theme.value = '{name}';
                theme.dispatchEvent(new Event('change')) }}"
        )
    };
    browser.value(&choose("light"));
    assert_eq!(browser.value(dark), false);
    browser.open(&whole(), "");
    assert_eq!(browser.value(dark), false, "the choice was forgotten");
    browser.value(&choose(""));
    assert_eq!(browser.value(dark), true);
}

#[test]
fn the_keyboard_reaches_everything_and_shows_where_it_is() {
    let Some(mut browser) = browser("the report by keyboard") else { return };
    browser.open(&every_verdict(), "");
    let at = "{ const e = document.activeElement; const style = getComputedStyle(e);
        [e === document.body, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
         e.getBoundingClientRect().width > 0, e.textContent.slice(0, 40)] }";
    let mut reached = Vec::new();
    loop {
        browser.press("Tab", "");
        let at = browser.value(at);
        if at[0] == true || reached.len() > 400 {
            break;
        }
        assert_eq!((&at[1], &at[2]), (&json!(true), &json!(true)), "{at}");
        reached.push(at[3].as_str().unwrap().to_owned());
    }
    assert_eq!(reached[0], "To the results");
    let all = visible(&mut browser, "a[href], summary, button, select, input, [tabindex='0']");
    assert!(reached.len() as u64 >= all, "{} of {all}: {reached:?}", reached.len());
}

#[test]
fn axe_finds_nothing() {
    let Some(mut browser) = browser("accessibility of the report") else { return };
    let axe = std::fs::read_to_string(axe()).unwrap();
    let mut found = Vec::new();
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        browser.width(width);
        browser.media("screen", scheme);
        browser.open(&every_verdict(), "");
        browser.click("#unfold");
        browser.value(&format!("{axe}; undefined"));
        let violations = "axe.run(document, { resultTypes: ['violations'] }).then((result) =>
            result.violations.map((v) => [v.id, v.nodes.length, v.nodes[0].html, v.nodes[0].failureSummary]))";
        let violations = browser.value(violations);
        found.extend(
            violations.as_array().unwrap().iter().map(|v| format!("{width} {scheme}: {v}")),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// axe's script, which is installed if need be.
fn axe() -> PathBuf {
    let folder = target_dir().join("axe-4.12.1");
    let requirements = "support/python/axe.txt";
    // The package wants a browser driver, of which nothing is used here.
    if let Err(why) = venv::install(&folder, requirements, "axe", &["--no-deps"]) {
        panic!("{why}\nHOMESPEC_BROWSER=skip leaves these tests out.");
    }
    let library = std::fs::read_dir(folder.join("lib")).unwrap().next().unwrap().unwrap().path();
    library.join("site-packages/axe_playwright_python/axe.min.js")
}
