//! A real Chromium, driven through its WebDriver server.

use std::process::Stdio;

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::environment::{Environment, program};
use crate::within;

/// How the console is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const LIGHT: Screen = Screen { name: "light", width: 1280, height: 900, dark: false };
pub const DARK: Screen = Screen { name: "dark", width: 1280, height: 900, dark: true };
pub const PHONE: Screen = Screen { name: "phone", width: 390, height: 844, dark: false };

/// A browser with an empty profile. It ends with `close`; the driver ends with it.
pub struct Browser {
    pub client: Client,
    _driver: Child,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// If Chromium or its driver does not start.
    pub async fn start(name: &str, screen: Screen) -> Self {
        let mut driver = Command::new(program("LOCKGATE_E2E_CHROMIUM_DRIVER"));
        driver.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut driver = driver.spawn().expect("chromedriver");
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
        let port = loop {
            let line =
                within("the driver says its port", lines.next_line()).await.expect("its output").expect("a port");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // The driver must never wait for somebody to read.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let Value::Object(capabilities) = capabilities(name, screen) else { unreachable!("an object") };
        builder.capabilities(capabilities);
        let client =
            within("Chromium starts", builder.connect(&format!("http://127.0.0.1:{port}"))).await.expect("Chromium");
        Self { client, _driver: driver }
    }

    /// Waits for an element with this `data-testid`, and more of a selector behind it.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn find(&self, testid: &str, more: &str) -> fantoccini::elements::Element {
        let selector = format!("[data-testid={testid}]{more}");
        let mut wait = self.client.wait().at_most(crate::COMES_WITHIN);
        wait = wait.every(std::time::Duration::from_millis(50));
        match wait.for_element(Locator::Css(&selector)).await {
            Ok(element) => element,
            Err(error) => {
                let source = self.client.source().await.unwrap_or_default();
                let url = self.client.current_url().await.map(|url| url.to_string()).unwrap_or_default();
                panic!("{selector} is not on {url} ({error}):\n{source}")
            }
        }
    }

    /// Signs in by the demo's link, which leads to the console.
    ///
    /// # Panics
    /// If it does not lead there.
    pub async fn sign_in(&self) {
        self.client.goto(&Environment::get().demo.sign_in_url).await.expect("the sign-in link");
        self.find("person", "").await;
    }

    /// Opens a page of the console.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", Environment::get().demo.console_url)).await.expect("the page");
    }

    /// The page as PNG.
    ///
    /// # Panics
    /// If there is none.
    pub async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a screenshot")
    }

    /// Ends the browser.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn close(self) {
        self.client.close().await.expect("Chromium ends");
    }
}

fn capabilities(name: &str, screen: Screen) -> Value {
    let profile = Environment::get().directory(&format!("chromium-{name}"));
    let mut arguments: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--window-size={},{}", screen.width, screen.height));
    if screen.dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let mut options = json!({"args": arguments, "binary": program("LOCKGATE_E2E_CHROMIUM")});
    if screen.width < 500 {
        // A window cannot be this narrow; a phone can.
        options["mobileEmulation"] = json!({"deviceMetrics": {"width": screen.width, "height": screen.height, "pixelRatio": 2.0, "touch": true}});
    }
    // The demo's authority is nobody's: this browser, with its empty profile, has not been told to trust it.
    json!({"browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": options})
}
