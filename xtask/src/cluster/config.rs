//! The files and flags that the cluster's components are started with. Pure: from a plan to text.
//!
//! All addresses are the same in every cluster: each has a network namespace of its own.

use std::path::Path;

use serde_json::{Value, json};

use super::cgroup;
use super::state::{NodePlan, Plan};
use crate::tools;

pub(super) const NODE_NAME: &str = "node-0";
/// The namespace's one address that is not loopback: kubelet and API server refuse to advertise loopback.
pub(super) const NODE_ADDRESS: &str = "10.89.0.1";
pub(super) const NODE_ADDRESS_WITH_PREFIX: &str = "10.89.0.1/24";
/// First address of `SERVICE_RANGE`: the service `kubernetes`.
pub(super) const SERVICE_ADDRESS: &str = "10.0.0.1";
const SERVICE_RANGE: &str = "10.0.0.0/24";
const POD_RANGE: &str = "10.88.0.0/24";
const ETCD_URL: &str = "http://127.0.0.1:2379";

/// Every request without bodies, at every stage: a call that arrived is in the log even if its answer never went out.
pub(super) const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
";

pub(super) fn etcd_flags(state: &Path) -> Vec<String> {
    vec![
        format!("--data-dir={}", state.join("etcd").display()),
        format!("--listen-client-urls={ETCD_URL}"),
        format!("--advertise-client-urls={ETCD_URL}"),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        // The cluster does not outlive its processes: nothing here is worth a disk flush.
        "--unsafe-no-fsync".to_owned(),
    ]
}

pub(super) fn api_server_flags(plan: &Plan) -> Vec<String> {
    let state = &plan.cluster.state_dir;
    let pki = |file: &str| state.join("pki").join(file).display().to_string();
    let mut flags = vec![
        format!("--etcd-servers={ETCD_URL}"),
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={NODE_ADDRESS}"),
        format!("--secure-port={}", plan.cluster.api_port),
        format!("--cert-dir={}", state.join("certs").display()),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--enable-aggregator-routing=true".to_owned(),
        format!("--requestheader-client-ca-file={}", pki("ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--proxy-client-cert-file={}", pki("front-proxy.crt")),
        format!("--proxy-client-key-file={}", pki("front-proxy.key")),
        format!("--kubelet-certificate-authority={}", pki("ca.crt")),
        format!("--kubelet-client-certificate={}", pki("kubelet-client.crt")),
        format!("--kubelet-client-key={}", pki("kubelet-client.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--audit-policy-file={}", state.join("audit-policy.yaml").display()),
        format!("--audit-log-path={}", plan.cluster.audit_log.display()),
        "--audit-log-format=json".to_owned(),
        // Never rotated within a test run: a join against this log must see all of it.
        "--audit-log-maxsize=4096".to_owned(),
    ];
    flags.extend(plan.api_server_flags.iter().cloned());
    flags
}

pub(super) fn controller_manager_flags(state: &Path) -> Vec<String> {
    let pki = |file: &str| state.join("pki").join(file).display().to_string();
    vec![
        format!("--kubeconfig={}", pki("controller-manager.kubeconfig")),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials".to_owned(),
        format!("--service-account-private-key-file={}", pki("sa.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        "--controllers=*,-nodeipam,-cloud-node-lifecycle,-node-route-controller,-service-lb-controller".to_owned(),
    ]
}

pub(super) fn scheduler_flags(state: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", state.join("pki/scheduler.kubeconfig").display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}

pub(super) fn kubelet_flags(state: &Path) -> Vec<String> {
    vec![
        format!("--config={}", state.join("kubelet.json").display()),
        format!("--kubeconfig={}", state.join("pki/kubelet.kubeconfig").display()),
        format!("--hostname-override={NODE_NAME}"),
        format!("--node-ip={NODE_ADDRESS}"),
        format!("--root-dir={}", state.join("kubelet").display()),
    ]
}

/// kubelet reads a configuration that begins with `{` as JSON.
pub(super) fn kubelet(name: &str, state: &Path, cgroups: cgroup::Version) -> Value {
    let pki = |file: &str| state.join("pki").join(file);
    let mut configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "port": 10250,
        "healthzBindAddress": "127.0.0.1",
        "tlsCertFile": pki("kubelet.crt"),
        "tlsPrivateKeyFile": pki("kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": format!("unix://{}", containerd_socket(state)),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::path(name),
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        // The images come from no registry: collected, they would be gone for good.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": state.join("pod-logs"),
        "resolvConf": "/dev/null",
        "clusterDomain": "cluster.local",
        "clusterDNS": ["10.0.0.10"],
    });
    if let (cgroup::Version::One, Some(fields)) = (cgroups, configuration.as_object_mut()) {
        fields.insert("failCgroupV1".to_owned(), json!(false));
    }
    configuration
}

pub(super) fn kube_proxy(state: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "bindAddress": "127.0.0.1",
        "clusterCIDR": POD_RANGE,
        "conntrack": {"maxPerCore": 0},
        "clientConnection": {"kubeconfig": state.join("pki/proxy.kubeconfig")},
    })
}

/// Whether layers can be overlaid where the state lies; a machine that is itself a container may only copy them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snapshotter {
    Overlay,
    Copy,
}

impl Snapshotter {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlayfs",
            Self::Copy => "native",
        }
    }
}

/// Configuration version 2, which containerd 1.6, 1.7 and 2.x read.
pub(super) fn containerd(state: &Path, node: &NodePlan, snapshotter: Snapshotter) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "{run}"

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  # CAP_SYS_RESOURCE may be missing, hugetlb too.
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{cni_configuration}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
"#,
        root = state.join("containerd").display(),
        run = state.join("run/containerd").display(),
        socket = containerd_socket(state),
        pause = tools::IMAGE_PAUSE,
        cni = CNI_PLUGINS,
        cni_configuration = state.join("cni").display(),
        snapshotter = snapshotter.name(),
        runc = node.runc.display(),
    )
}

/// Where Debian's containernetworking-plugins are.
pub(super) const CNI_PLUGINS: &str = "/usr/lib/cni";

pub(super) fn containerd_socket(state: &Path) -> String {
    state.join("run/containerd.sock").display().to_string()
}

/// Pods hang on point-to-point links; all of them, and the node, are one hop apart.
pub(super) fn pod_network(state: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": state.join("ipam"),
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn node() -> NodePlan {
        NodePlan {
            containerd: PathBuf::from("/usr/bin/containerd"),
            ctr: PathBuf::from("/usr/bin/ctr"),
            runc: PathBuf::from("/usr/sbin/runc"),
            busybox: PathBuf::from("/bin/busybox"),
            image_archives: Vec::new(),
        }
    }

    #[test]
    fn clusters_share_no_path_and_no_cgroup() {
        let of = |name: &str| {
            let state = PathBuf::from(format!("/state/{name}"));
            let mut text = containerd(&state, &node(), Snapshotter::Overlay);
            text.push_str(&kubelet(name, &state, cgroup::Version::One).to_string());
            text.push_str(&kube_proxy(&state).to_string());
            text.push_str(&pod_network(&state).to_string());
            text
        };
        let (one, other) = (of("one"), of("other"));
        assert!(one.contains(r#""cgroupRoot":"/lockgate-one""#));
        assert!(!one.contains("/state/other") && !other.contains("/state/one"));
        assert_eq!(one.replace("one", "other"), other);
    }

    /// A kubelet on version 2 has no such field set: its default is what is wanted there.
    #[test]
    fn the_kubelet_is_told_of_cgroup_version_one_only_where_it_is() {
        let state = Path::new("/state");
        assert_eq!(kubelet("x", state, cgroup::Version::One)["failCgroupV1"], false);
        assert!(kubelet("x", state, cgroup::Version::Two).get("failCgroupV1").is_none());
    }

    #[test]
    fn socket_paths_fit_with_the_longest_name() {
        let state = super::super::state::directory(&"n".repeat(30));
        assert!(containerd_socket(&state).len() < 108);
        assert!(state.join("kubelet/pod-resources/kubelet.sock").display().to_string().len() < 108);
    }
}
