//! The cluster's certificate authority, every certificate it signs, and the kubeconfigs that carry them.

use std::fs;
use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::config::{NODE_ADDRESS, NODE_NAME, SERVICE_ADDRESS};

/// Who a certificate stands for, in Kubernetes' terms: common name is the user, organisation the group.
struct Identity {
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
    names: &'static [&'static str],
    usages: &'static [ExtendedKeyUsagePurpose],
}

const CLIENT: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ClientAuth];
const SERVER: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];
const BOTH: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

const IDENTITIES: &[Identity] = &[
    Identity {
        file: "apiserver",
        user: "kube-apiserver",
        group: None,
        names: &[
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "127.0.0.1",
            SERVICE_ADDRESS,
            NODE_ADDRESS,
        ],
        usages: SERVER,
    },
    Identity {
        file: "kubelet",
        user: "system:node:node-0",
        group: Some("system:nodes"),
        names: &[NODE_NAME, "127.0.0.1", NODE_ADDRESS],
        usages: BOTH,
    },
    client("kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters")),
    client("front-proxy", "front-proxy-client", None),
    client("admin", "admin", Some("system:masters")),
    client("controller-manager", "system:kube-controller-manager", None),
    client("scheduler", "system:kube-scheduler", None),
    client("proxy", "system:kube-proxy", None),
];

/// Those who talk to the API server through a kubeconfig.
const KUBECONFIGS: [&str; 5] = ["admin", "controller-manager", "scheduler", "proxy", "kubelet"];

const fn client(file: &'static str, user: &'static str, group: Option<&'static str>) -> Identity {
    Identity { file, user, group, names: &[], usages: CLIENT }
}

/// Fills `directory` with `ca.{crt,key}`, `NAME.{crt,key}`, `sa.{pub,key}` and `NAME.kubeconfig`. `server` is the URL in the latter.
pub(super) fn write(directory: &Path, cluster: &str, server: &str) -> Result<()> {
    let authority_key = KeyPair::generate()?;
    let authority = authority_parameters(cluster)?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::from_params(&authority, &authority_key);
    fs::write(directory.join("ca.crt"), &authority_certificate)?;
    fs::write(directory.join("ca.key"), authority_key.serialize_pem())?;

    for identity in IDENTITIES {
        let key = KeyPair::generate()?;
        let certificate = leaf_parameters(identity)?.signed_by(&key, &issuer)?.pem();
        fs::write(directory.join(format!("{}.crt", identity.file)), &certificate)?;
        fs::write(directory.join(format!("{}.key", identity.file)), key.serialize_pem())?;
        if KUBECONFIGS.contains(&identity.file) {
            let text =
                kubeconfig(cluster, server, &authority_certificate, identity.file, &certificate, &key.serialize_pem());
            fs::write(directory.join(format!("{}.kubeconfig", identity.file)), text)?;
        }
    }
    let service_accounts = KeyPair::generate()?;
    fs::write(directory.join("sa.key"), service_accounts.serialize_pem())?;
    fs::write(directory.join("sa.pub"), service_accounts.public_key_pem())?;
    Ok(())
}

fn authority_parameters(cluster: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name.push(DnType::CommonName, format!("lockgate cluster {cluster}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut parameters);
    Ok(parameters)
}

fn leaf_parameters(identity: &Identity) -> Result<CertificateParams> {
    let names: Vec<String> = identity.names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, identity.user);
    if let Some(group) = identity.group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = identity.usages.to_vec();
    parameters.use_authority_key_identifier_extension = true;
    set_validity(&mut parameters);
    Ok(parameters)
}

/// Long before and after any test, whatever the machine's clock says.
fn set_validity(parameters: &mut CertificateParams) {
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2060, 1, 1);
}

fn kubeconfig(cluster: &str, server: &str, authority: &str, user: &str, certificate: &str, key: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {}
users:
- name: {user}
  user:
    client-certificate-data: {}
    client-key-data: {}
contexts:
- name: {user}@{cluster}
  context:
    cluster: {cluster}
    user: {user}
current-context: {user}@{cluster}
",
        STANDARD.encode(authority),
        STANDARD.encode(certificate),
        STANDARD.encode(key),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kubeconfig_stands_alone() {
        let directory = std::env::temp_dir().join(format!("lockgate-pki-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        write(&directory, "demo", "https://127.0.0.1:16443").unwrap();
        for name in KUBECONFIGS {
            let text = fs::read_to_string(directory.join(format!("{name}.kubeconfig"))).unwrap();
            assert!(text.contains("server: https://127.0.0.1:16443\n"));
            for (field, file) in [("client-certificate-data: ", "crt"), ("client-key-data: ", "key")] {
                let encoded = text.split(field).nth(1).unwrap().lines().next().unwrap();
                let embedded = STANDARD.decode(encoded).unwrap();
                assert_eq!(embedded, fs::read(directory.join(format!("{name}.{file}"))).unwrap());
            }
        }
        assert!(fs::read_to_string(directory.join("sa.pub")).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
        fs::remove_dir_all(directory).unwrap();
    }
}
