//! The named list of what may differ between two runs of the same command, one straight to the cluster and one through the gateway.
//!
//! Nothing else may: exit code, standard output and standard error are compared byte for byte after these.

use regex_automata::meta::Regex;

/// One thing that differs between any two runs, whatever is between client and cluster.
pub struct Normalisation {
    pub name: &'static str,
    /// Why two runs cannot agree on it.
    pub because: &'static str,
    pattern: &'static str,
    with: &'static str,
}

/// Applied to every text.
pub const ALWAYS: &[Normalisation] = &[
    Normalisation {
        name: "timestamp",
        because: "each run makes its own objects",
        pattern: r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)",
        with: "<time>",
    },
    Normalisation {
        name: "date",
        because: "as above, in the form of `describe`",
        pattern: r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
        with: "<date>",
    },
    Normalisation {
        name: "uid",
        because: "the API server chooses it",
        pattern: r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        with: "<uid>",
    },
    Normalisation {
        name: "resource version",
        because: "etcd counts every write of the cluster",
        pattern: r#"(?:resourceVersion|ResourceVersion)(?:"|\\")?(?::|%3D|=) ?(?:"|\\")?\d+(?:"|\\")?"#,
        with: "resourceVersion: <n>",
    },
    Normalisation {
        name: "temporary directory",
        because: "kubectl diff makes one with a random number, which can look like a template hash",
        pattern: r"/tmp/(LIVE|MERGED)-\d+",
        with: "/tmp/<diff>",
    },
    Normalisation {
        name: "pod name",
        because: "the API server appends five random characters to generated names",
        pattern: r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}(?-u:\b)",
        with: "-<hash>-<pod>",
    },
    Normalisation {
        name: "template hash",
        because: "a restart puts the time into the template",
        pattern: r"(?:-|pod-template-hash=|pod-template-hash: )[bcdfghjklmnpqrstvwxz2456789]{8,10}(?-u:\b)",
        with: "-<hash>",
    },
    Normalisation {
        name: "volume name",
        because: "as above",
        pattern: r"kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}",
        with: "kube-api-access-<volume>",
    },
    Normalisation {
        name: "exec",
        because: "the container runtime chooses it",
        pattern: r#"exec \"[0-9a-f]{64}\""#,
        with: "exec <id>",
    },
    Normalisation {
        name: "container",
        because: "the container runtime chooses it",
        pattern: r"containerd://[0-9a-f]{64}",
        with: "containerd://<id>",
    },
    Normalisation {
        name: "pod address",
        because: "the network plugin hands out the next one",
        pattern: r"(?-u:\b)10\.\d+\.\d+\.\d+",
        with: "<pod address>",
    },
    Normalisation {
        name: "port",
        because: "kubectl binds a free one",
        pattern: r"127\.0\.0\.1:\d+",
        with: "127.0.0.1:<port>",
    },
];

/// Applied to tables and to `describe`, which show how long ago something was.
pub const AGES: &[Normalisation] = &[
    Normalisation {
        name: "age",
        because: "time goes on between the runs",
        pattern: r"(?-u:\b)(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?\d+[smhdy](?-u:\b)|<invalid>",
        with: "<age>",
    },
    Normalisation {
        name: "padding",
        because: "columns are as wide as their widest age",
        pattern: r" {2,}",
        with: "  ",
    },
    Normalisation { name: "trailing blanks", because: "as above", pattern: r" +\n", with: "\n" },
];

/// The text after the normalisations of these lists, in order.
///
/// # Panics
/// If a pattern is no regular expression.
pub fn normalise(text: &str, lists: &[&[Normalisation]]) -> String {
    let mut text = text.to_owned();
    for normalisation in lists.iter().flat_map(|list| list.iter()) {
        let pattern = Regex::new(normalisation.pattern).expect(normalisation.name);
        let mut normal = String::with_capacity(text.len());
        let mut end = 0;
        for found in pattern.find_iter(&text) {
            normal.push_str(&text[end..found.start()]);
            normal.push_str(normalisation.with);
            end = found.end();
        }
        normal.push_str(&text[end..]);
        text = normal;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_made_equal_and_nothing_else() {
        let one = "web-5d8f9c7b6d-x2lzq  1/1  Running  0  12s\n";
        let other = "web-5d8f9c7b6d-bq7vd  1/1  Running  0  3m4s\n";
        assert_eq!(normalise(one, &[ALWAYS, AGES]), normalise(other, &[ALWAYS, AGES]));
        let pending = "web-5d8f9c7b6d-bq7vd  0/1  Pending  0  3m4s\n";
        assert_ne!(normalise(one, &[ALWAYS, AGES]), normalise(pending, &[ALWAYS, AGES]));
        for (text, normal) in [
            (r#"{"resourceVersion":"123","replicas":3}"#, r#"{"resourceVersion: <n>,"replicas":3}"#),
            ("resourceVersion: \"77\"\nreplicas: 3", "resourceVersion: <n>\nreplicas: 3"),
            ("at 2026-11-25T02:03:04Z", "at <time>"),
            ("Wed, 25 Nov 2026 02:37:39 +0000", "<date>"),
            // A number of the digits that hashes are made of.
            ("/tmp/MERGED-245678924/v1.ConfigMap", "/tmp/<diff>/v1.ConfigMap"),
            ("Forwarding from 127.0.0.1:40123 -> 8080", "Forwarding from 127.0.0.1:<port> -> 8080"),
        ] {
            assert_eq!(normalise(text, &[ALWAYS]), normal);
        }
    }
}
