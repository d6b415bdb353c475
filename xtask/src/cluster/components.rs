//! The cluster's processes: started with a log each, waited for until they answer, watched for their end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::config;
use super::state::{NodePlan, Plan};
use crate::tools;

/// How long one component may take until it answers; a busy machine needs seconds, a broken one forever.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);
const POLL_EVERY: Duration = Duration::from_millis(200);

/// A component that ended, or did not answer in time.
#[derive(Debug)]
pub(super) struct ComponentFailed {
    pub(super) component: &'static str,
    pub(super) log: PathBuf,
    what: String,
}

impl std::error::Error for ComponentFailed {}

impl std::fmt::Display for ComponentFailed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.component, self.what)
    }
}

struct Component {
    name: &'static str,
    log: PathBuf,
    process: Child,
}

/// The running components of one cluster. They are children of the supervisor and end with it.
pub(super) struct Components<'a> {
    plan: &'a Plan,
    running: Vec<Component>,
}

impl<'a> Components<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, running: Vec::new() }
    }

    pub(super) fn start_etcd(&mut self) -> Result<()> {
        self.start("etcd", &self.plan.etcd.clone(), config::etcd_flags(self.state()))
    }

    pub(super) fn start_api_server(&mut self) -> Result<()> {
        self.start("kube-apiserver", &self.plan.kube_apiserver.clone(), config::api_server_flags(self.plan))
    }

    pub(super) fn start_controllers(&mut self, built: &Path) -> Result<()> {
        let state = self.state().to_owned();
        let manager = built.join("kube-controller-manager");
        self.start("kube-controller-manager", &manager, config::controller_manager_flags(&state))?;
        self.start("kube-scheduler", &built.join("kube-scheduler"), config::scheduler_flags(&state))
    }

    pub(super) fn start_containerd(&mut self, node: &NodePlan) -> Result<()> {
        let configuration = self.state().join("containerd.toml").display().to_string();
        self.start("containerd", &node.containerd, vec!["-c".to_owned(), configuration])
    }

    pub(super) fn start_node(&mut self, built: &Path) -> Result<()> {
        let state = self.state().to_owned();
        self.start("kubelet", &built.join("kubelet"), config::kubelet_flags(&state))?;
        let configuration = state.join("kube-proxy.json").display().to_string();
        self.start("kube-proxy", &built.join("kube-proxy"), vec![format!("--config={configuration}")])
    }

    fn start(&mut self, name: &'static str, program: &Path, flags: Vec<String>) -> Result<()> {
        let log = self.log(name);
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(flags).current_dir(self.state()).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        self.running.push(Component { name, log, process });
        Ok(())
    }

    /// Waits until the API server says that it is ready, its own bootstrap of roles included.
    pub(super) fn wait_for_api_server(&mut self) -> Result<()> {
        let plan = self.plan;
        self.wait_until("kube-apiserver", || kubectl_says(plan, &["get", "--raw=/readyz"], |answer| answer == "ok"))
    }

    /// Pods are refused until the service account `default` exists, which a controller makes.
    pub(super) fn wait_for_controllers(&mut self) -> Result<()> {
        let plan = self.plan;
        let arguments = ["get", "serviceaccount", "default", "--namespace=default", "--output=name"];
        self.wait_until("kube-controller-manager", || kubectl_says(plan, &arguments, |answer| !answer.is_empty()))
    }

    pub(super) fn wait_for_node(&mut self) -> Result<()> {
        let plan = self.plan;
        let ready = r#"--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        let arguments = ["get", "node", config::NODE_NAME, ready];
        self.wait_until("kubelet", || kubectl_says(plan, &arguments, |answer| answer == "True"))
    }

    pub(super) fn wait_for_containerd(&mut self, node: &NodePlan) -> Result<()> {
        let socket = config::containerd_socket(self.state());
        self.wait_until("containerd", || tools::quiet(Command::new(&node.ctr).args(["-a", &socket, "version"])).is_ok())
    }

    /// Waits for `answers`, and gives up as soon as any component ends.
    fn wait_until(&mut self, component: &'static str, answers: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        while !answers() {
            self.check()?;
            if Instant::now() > deadline {
                let what = format!("does not answer after {} s", ANSWER_WITHIN.as_secs());
                bail!(ComponentFailed { component, log: self.log(component), what });
            }
            std::thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    /// An error that names the component if one has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for component in &mut self.running {
            if let Some(status) = component.process.try_wait()? {
                let what = format!("ended ({status})");
                bail!(ComponentFailed { component: component.name, log: component.log.clone(), what });
            }
        }
        Ok(())
    }

    fn state(&self) -> &Path {
        &self.plan.cluster.state_dir
    }

    fn log(&self, component: &str) -> PathBuf {
        self.state().join("log").join(format!("{component}.log"))
    }
}

fn kubectl_says(plan: &Plan, arguments: &[&str], as_hoped: impl Fn(&str) -> bool) -> bool {
    let mut command = Command::new(&plan.cluster.kubectl);
    command.arg("--kubeconfig").arg(&plan.cluster.admin_kubeconfig).arg("--request-timeout=5s").args(arguments);
    tools::output(&mut command).is_ok_and(|answer| as_hoped(answer.trim()))
}

/// Loads the node's images, before its first pod can ask for them.
pub(super) fn import_images(plan: &Plan, node: &NodePlan, snapshotter: config::Snapshotter) -> Result<()> {
    let socket = config::containerd_socket(&plan.cluster.state_dir);
    for archive in &node.image_archives {
        let mut command = Command::new(&node.ctr);
        command
            .args(["-a", &socket, "-n", "k8s.io", "images", "import", "--snapshotter", snapshotter.name()])
            .arg(archive);
        tools::quiet(&mut command).with_context(|| format!("importing {}", archive.display()))?;
    }
    Ok(())
}
