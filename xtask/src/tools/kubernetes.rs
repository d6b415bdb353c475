//! Kubernetes' own programs and etcd, built once from their Go modules, and the images of a node without a registry.
//!
//! `KUBEBUILDER_ASSETS` (the envtest convention) is honoured: `etcd`, `kube-apiserver` and `kubectl` found there are used as they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::image::{self, Entry, Image};
use super::{Progress, cache, find_program, go, versions};

/// What a cluster is to consist of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scope {
    /// API server, controllers and a node that runs pods.
    #[default]
    Whole,
    /// No node; with `KUBEBUILDER_ASSETS` nothing is built at all.
    ControlPlane,
    /// etcd and the API server of this release: what is written stays as it was written, no controller acts on it.
    ApiServer(Release),
}

/// A release of Kubernetes that we build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Release {
    /// The one that clusters consist of.
    Current,
    /// An older one, of which there is only the API server, for tests that reading requests does not depend on the release.
    Older,
}

impl Scope {
    pub(crate) fn release(self) -> Release {
        match self {
            Self::Whole | Self::ControlPlane => Release::Current,
            Self::ApiServer(release) => release,
        }
    }
}

impl Release {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Current => versions::KUBERNETES,
            Self::Older => versions::KUBERNETES_OLDER,
        }
    }
}

/// Where the programs are.
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) kube_apiserver: PathBuf,
    pub(crate) kubectl: PathBuf,
    /// Directory of kube-controller-manager, kube-scheduler, kube-proxy, kubelet, agnhost and pause. None when only the prebuilt
    /// programs of `KUBEBUILDER_ASSETS` are used.
    pub(crate) built: Option<PathBuf>,
}

/// The programs for `scope`, built if this is the first time: minutes once, nothing afterwards.
pub(crate) fn programs(scope: Scope) -> Result<Programs> {
    let current = current_programs(scope)?;
    Ok(match scope {
        Scope::Whole | Scope::ControlPlane => current,
        Scope::ApiServer(Release::Current) => Programs { built: None, ..current },
        Scope::ApiServer(Release::Older) => Programs { built: None, kube_apiserver: older_api_server()?, ..current },
    })
}

fn current_programs(scope: Scope) -> Result<Programs> {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
        let built = build_kubernetes("", &["kube-apiserver", "kubectl"])?;
        return Ok(Programs {
            etcd: build_etcd()?,
            kube_apiserver: built.join("kube-apiserver"),
            kubectl: built.join("kubectl"),
            built: Some(built),
        });
    };
    let asset = |name: &str| {
        let program = assets.join(name);
        if program.is_file() {
            return Ok(program);
        }
        bail!("KUBEBUILDER_ASSETS is {}, but there is no {name} in it: unset it, and ours is built", assets.display())
    };
    Ok(Programs {
        etcd: asset("etcd")?,
        kube_apiserver: asset("kube-apiserver")?,
        kubectl: asset("kubectl")?,
        built: match scope {
            Scope::Whole => Some(build_kubernetes("-node", &[])?),
            Scope::ControlPlane | Scope::ApiServer(_) => None,
        },
    })
}

/// Of the older release the API server alone is built.
fn older_api_server() -> Result<PathBuf> {
    let version = versions::KUBERNETES_OLDER;
    let entry = cache::once(&format!("kubernetes-{version}"), |bin| {
        let progress = Progress::start(
            format!("building kube-apiserver {version}"),
            Some("about 3 minutes on two idle cores, once"),
        );
        let build = go::Build {
            name: "kubernetes-older",
            module: &module("kubernetes-older"),
            packages: &["k8s.io/kubernetes/cmd/kube-apiserver"],
            ldflags: &kubernetes_ldflags(version)?,
            output: &bin.join("kube-apiserver"),
        };
        go::build_module(&build, &progress)?;
        progress.done("built");
        Ok(())
    })?;
    Ok(entry.join("kube-apiserver"))
}

fn build_kubernetes(suffix: &str, beside_the_node: &[&str]) -> Result<PathBuf> {
    cache::once(&format!("kubernetes-{}{suffix}", versions::KUBERNETES), |bin| {
        let progress = Progress::start(
            format!("building Kubernetes {}", versions::KUBERNETES),
            Some("about 5 minutes on two idle cores, once"),
        );
        let node = ["kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"];
        let commands = beside_the_node.iter().chain(&node).map(|name| format!("k8s.io/kubernetes/cmd/{name}"));
        let packages: Vec<String> =
            commands.chain(["k8s.io/kubernetes/test/images/agnhost".to_owned(), "./pause".to_owned()]).collect();
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        let build = go::Build {
            name: "kubernetes",
            module: &module("kubernetes"),
            packages: &packages,
            ldflags: &kubernetes_ldflags(versions::KUBERNETES)?,
            output: bin,
        };
        go::build_module(&build, &progress)?;
        progress.done("built");
        Ok(())
    })
}

/// The version stamps that Kubernetes' own build gives its programs: without them kubectl and the API server say `v0.0.0`.
fn kubernetes_ldflags(version: &str) -> Result<String> {
    let minor = version.split('.').nth(1).context("a Kubernetes version is vMAJOR.MINOR.PATCH")?;
    let base = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {base}.gitVersion={version} -X {base}.gitMajor=1 -X {base}.gitMinor={minor} -X {base}.gitTreeState=clean \
         -X k8s.io/client-go/pkg/version.gitVersion={version}"
    ))
}

fn build_etcd() -> Result<PathBuf> {
    let entry = cache::once(&format!("etcd-{}", versions::ETCD), |bin| {
        let progress = Progress::start(format!("building etcd {}", versions::ETCD), Some("under a minute, once"));
        let build = go::Build {
            name: "etcd",
            module: &module("etcd"),
            packages: &["go.etcd.io/etcd/server/v3"],
            ldflags: "-s -w",
            output: &bin.join("etcd"),
        };
        go::build_module(&build, &progress)?;
        progress.done("built");
        Ok(())
    })?;
    Ok(entry.join("etcd"))
}

/// A Go module of ours, committed beside this crate's source.
fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The node's images as archives that containerd imports, made from the programs in `built` and Debian's static busybox.
pub(crate) fn images(built: &Path) -> Result<Vec<PathBuf>> {
    let busybox = find_program("busybox").context("busybox is not installed: apt-get install -y busybox-static")?;
    let busybox_bytes = fs::read(&busybox)?;
    let key = format!("images-{}-busybox-{:.12}", versions::KUBERNETES, image::sha256(&busybox_bytes));
    let names = ["pause.tar", "busybox.tar", "agnhost.tar"];
    let directory = cache::once(&key, |directory| {
        let applets = super::output(std::process::Command::new(&busybox).arg("--list"))?;
        let shell = Entry::Program { path: "bin/busybox", bytes: busybox_bytes };
        let links: Vec<Entry<'_>> = applets
            .lines()
            .filter(|applet| *applet != "busybox")
            .map(|applet| Entry::Link { path: format!("bin/{applet}"), target: "/bin/busybox" })
            .collect();
        let userland: Vec<Entry<'_>> = std::iter::once(shell).chain(links).collect();
        let pause = [Entry::Program { path: "pause", bytes: fs::read(built.join("pause"))? }];
        let agnhost = [Entry::Program { path: "agnhost", bytes: fs::read(built.join("agnhost"))? }];
        let write = |name: &str, image: &Image<'_>| image::write(&directory.join(name), image);
        write(
            "pause.tar",
            &Image { reference: versions::IMAGE_PAUSE, entrypoint: &["/pause"], command: &[], layers: &[&pause] },
        )?;
        write(
            "busybox.tar",
            &Image { reference: versions::IMAGE_BUSYBOX, entrypoint: &[], command: &["sh"], layers: &[&userland] },
        )?;
        let agnhost = Image {
            reference: versions::IMAGE_AGNHOST,
            entrypoint: &["/agnhost"],
            command: &["pause"],
            layers: &[&userland, &agnhost],
        };
        write("agnhost.tar", &agnhost)
    })?;
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_say_their_version() {
        let flags = kubernetes_ldflags("v1.36.4").unwrap();
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.36.4 "));
        assert!(flags.contains("gitMinor=36 "));
        assert!(kubernetes_ldflags("nonsense").is_err());
    }

    /// The Go module and the version constant name the same Kubernetes, or the cache key would lie.
    #[test]
    fn the_go_modules_have_the_versions_of_the_cache_keys() {
        for (name, version) in [("kubernetes", versions::KUBERNETES), ("kubernetes-older", versions::KUBERNETES_OLDER)]
        {
            let kubernetes = fs::read_to_string(module(name).join("go.mod")).unwrap();
            assert!(kubernetes.contains(&format!("k8s.io/kubernetes {version}\n")), "{name}");
        }
        let etcd = fs::read_to_string(module("etcd").join("go.mod")).unwrap();
        assert!(etcd.contains(&format!("go.etcd.io/etcd/server/v3 {}", versions::ETCD)));
    }
}
