//! The page at `/`, in a real browser.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use enlist_emulator::{Emulator, Options};
use serde_json::json;

use super::browser::Browser;
use super::client::{self, call, send};
use super::openssl;
use super::puppet_ca::curl;
use super::state::fill;
use super::{Outcome, shared_ca};

fn emulator() -> Result<Emulator, enlist_emulator::StartError> {
    let any = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    Emulator::start(Options { throttle: None, puppet_listen: any, ..shared_ca() })
}

const TEXT: &str = "document.body.innerText";

#[test]
fn it_shows_the_account_and_its_buttons_change_it() -> Outcome {
    let emulator = emulator()?;
    fill(&emulator)?;
    let csr = openssl::request("waits", &[])?;
    curl(&emulator)?.put("/puppet-ca/v1/certificate_request/waits", &csr)?;
    // A node whose association fails says why.
    let bad = super::plane::associate("Upper", &openssl::request("Upper", &[])?);
    call(&emulator, "AssociateNode", &bad)?;
    let Some(mut browser) = Browser::open(emulator.api_url(), 1180, 1500)? else { return Ok(()) };
    browser.wait(&format!("{TEXT}.includes('puppet-test / web-1')"))?;
    browser.wait("document.querySelectorAll('#calls tr').length > 5")?;
    let text = browser.value(TEXT)?.as_str().unwrap_or_default().to_owned();
    for part in [
        "puppet-test",
        "HEALTHY",
        "FAILED",
        "certificate names must be lower case",
        "MANUAL",
        "Association tokens",
        "Online",
        "custom",
        "AssociateNode",
        "export AWS_ENDPOINT_URL=http://127.0.0.1:",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("ActivationCode\": \"") || text.contains("(left out)"), "{text}");

    let select = "document.querySelector('[aria-label=\"state of puppet-test\"]')";
    let choose =
        format!("{select}.value = 'UNHEALTHY', {select}.dispatchEvent(new Event('change')), 1");
    browser.value(&choose)?;
    let shown = "[...document.querySelectorAll('#servers span')]";
    browser.wait(&format!("{shown}.some((it) => it.innerText === 'UNHEALTHY')"))?;
    let statuses = emulator.state();
    let server = statuses["servers"]
        .as_array()
        .and_then(|all| all.iter().find(|server| server["name"] == "puppet-test").cloned());
    assert_eq!(server.unwrap_or_default()["status"], "UNHEALTHY");

    work_with_the_forms(&emulator, &mut browser)?;
    let refused = browser.said.iter().filter(|line| !line.contains("400 (Bad Request)"));
    assert_eq!(
        refused.collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "nothing went wrong in the page"
    );
    Ok(())
}

/// Signs a request, arms a fault that strikes, and one that does not exist.
fn work_with_the_forms(emulator: &Emulator, browser: &mut Browser) -> Outcome {
    let sign = "[...document.querySelectorAll('#puppet_requests button')].find((it) => it.innerText === 'Sign').click()";
    browser.value(sign)?;
    browser.wait("document.querySelector('#puppet_certificates').innerText.includes('signed')")?;
    let fault = "document.querySelector('[name=fault]').value = 'DescribeServers=500*3', \
                 document.querySelector('#fault button').click()";
    browser.value(fault)?;
    browser.wait("document.querySelector('#faults').innerText.includes('3 times')")?;
    assert_eq!(call(emulator, "DescribeServers", &json!({}))?.status, 500);
    browser.wait("document.querySelector('#calls').innerText.includes('(fault 500)')")?;
    if let Ok(path) = std::env::var("EMULATOR_SCREENSHOT") {
        std::fs::write(path, BASE64_STANDARD.decode(browser.screenshot()?)?)?;
    }
    let wrong = "document.querySelector('[name=fault]').value = 'Nothing=500', \
                 document.querySelector('#fault button').click()";
    browser.value(wrong)?;
    browser.wait("document.querySelector('#notice').innerText.includes('is not an action')")?;
    Ok(())
}

/// What clients send is shown as text, and runs nothing.
#[test]
fn what_clients_send_is_no_markup() -> Outcome {
    let emulator = emulator()?;
    let attack =
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    call(
        &emulator,
        "CreateBackup",
        &json!({ "ServerName": "puppet-test", "Description": attack }),
    )?;
    let activation = json!({ "IamRole": "r", "Description": attack });
    client::call_target(&emulator, ("ssm", "AmazonSSM.CreateActivation"), &activation)?;
    let Some(mut browser) = Browser::open(emulator.api_url(), 800, 600)? else { return Ok(()) };
    browser.wait("document.querySelectorAll('#calls details').length > 0")?;
    browser.value("document.querySelectorAll('#calls details').forEach((it) => it.open = true)")?;
    browser.wait(&format!("{TEXT}.includes('<img src=x')"))?;
    assert_eq!(browser.value("document.title")?, "enlist-emulator");
    assert_eq!(browser.value("document.querySelectorAll('img').length")?, 0);
    let inline = "const s = document.createElement('script'); s.textContent = \"document.title='owned'\"; \
                  document.body.append(s); document.title";
    assert_eq!(browser.value(inline)?, "enlist-emulator", "the policy lets no other script run");
    Ok(())
}

#[test]
fn it_fits_a_phone() -> Outcome {
    let emulator = emulator()?;
    fill(&emulator)?;
    let Some(mut browser) = Browser::open(emulator.api_url(), 360, 740)? else { return Ok(()) };
    browser.wait(&format!("{TEXT}.includes('puppet-test / web-1')"))?;
    let width = browser.value("document.documentElement.scrollWidth")?;
    assert_eq!(width, 360, "only the tables scroll sideways");
    Ok(())
}

/// The page is for browsers on this machine; an API call at the same path is one.
#[test]
fn it_is_given_to_browsers_alone() -> Outcome {
    let emulator = emulator()?;
    let accept = |value: &str| [("accept".to_owned(), value.to_owned())];
    let page = send(emulator.api_url(), "GET", "/", &accept("text/html,*/*"), "")?;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert_eq!(send(emulator.api_url(), "GET", "/", &accept("*/*"), "")?.status, 405);
    let mut foreign = accept("text/html").to_vec();
    foreign.push(("host".to_owned(), "evil.example".to_owned()));
    assert_eq!(send(emulator.api_url(), "GET", "/", &foreign, "")?.status, 421);
    Ok(())
}
