//! What a person sees when the demo is ready: how to be the agent, where the console is, and five things to try.

use std::io::IsTerminal;

use super::launch::shown;
use super::place::Demo;
use super::shop::{SCRATCH_NAMESPACE, SECRET};
use super::supervisor::Attachment;

/// Words in bold and dim where there is a terminal that shows them.
pub(super) struct Ink {
    on: bool,
}

impl Ink {
    pub(super) fn for_stdout() -> Self {
        Self { on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub(super) fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn good(&self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(&self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn accent(&self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub(super) fn print(demo: &Demo, attachment: Attachment) {
    println!("{}", text(demo, attachment, &Ink::for_stdout()));
}

fn text(demo: &Demo, attachment: Attachment, ink: &Ink) -> String {
    let kubectl = demo.kubectl.display();
    let lockgate = shown(&demo.lockgate);
    let pod = &demo.pod;
    let end = match attachment {
        Attachment::Attached => "Ctrl-C ends everything.".to_owned(),
        Attachment::Detached => format!("{} ends everything.", ink.accent("cargo xtask demo --stop")),
    };
    let try_this = [
        ("Read a Secret: its keys, but no value.", format!("kubectl get secret {SECRET} -o yaml")),
        (
            "Delete the namespace: it waits for you. Approve or deny it in the console.",
            format!("kubectl delete namespace {SCRATCH_NAMESPACE}"),
        ),
        (
            "Open a shell: every byte is recorded; play it in the console afterwards.",
            format!("kubectl exec -it {pod} -- sh"),
        ),
        ("Do routine work: it just goes through.", "kubectl scale deployment web --replicas=3".to_owned()),
        ("Ask the log what the agent did.", format!("{lockgate} audit list --client {}", shown(&demo.auditor_client))),
    ];
    let mut lines = vec![
        String::new(),
        ink.bold("The demo is ready."),
        String::new(),
        format!("{}  {}", ink.dim("console     "), ink.accent(&demo.sign_in_url)),
        ink.dim("              signs you in as the approver; your browser will ask about the demo's own certificate authority"),
        ink.dim(&format!("              ({}; accept it, once for each of the two ports)", shown(&demo.ca_file))),
        format!("{}  export KUBECONFIG={}", ink.dim("be the agent"), demo.agent_kubeconfig.display()),
        format!("              alias kubectl={kubectl}"),
        String::new(),
        ink.bold("Five things to try"),
    ];
    for (number, (what, command)) in try_this.iter().enumerate() {
        lines.push(format!("  {}  {what}", number + 1));
        lines.push(format!("     {}", ink.accent(command)));
    }
    lines.push(String::new());
    lines.push(ink.dim(&format!("Everything else is in {}.", shown(&demo.state_dir.join("demo.json")))));
    lines.push(end);
    lines.join("\n")
}
