"""What an agent written in Python does: list, watch and exec, with the official client and its defaults.

    client.py NAMESPACE POD WATCHED      KUBECONFIG names the kubeconfig; prints one JSON document
"""

import json
import sys

from kubernetes import client, config, watch
from kubernetes.stream import stream

namespace, pod, watched = sys.argv[1:]
config.load_kube_config()
core = client.CoreV1Api()

listed = [item.metadata.name for item in core.list_namespaced_pod(namespace).items]
version = client.VersionApi().get_code().git_version

events = []
watcher = watch.Watch()
for event in watcher.stream(core.list_namespaced_config_map, namespace, field_selector=f"metadata.name={watched}", timeout_seconds=60):
    events.append([event["type"], event["object"].data.get("step")])
    print(json.dumps({"watching": len(events)}), file=sys.stderr, flush=True)
    if event["object"].data.get("step") == "2":
        watcher.stop()

answer = stream(core.connect_get_namespaced_pod_exec, pod, namespace, command=["sh", "-c", "echo from python; echo complaint >&2; exit 3"],
                stderr=True, stdin=False, stdout=True, tty=False, _preload_content=False)
answer.run_forever(timeout=60)

print(json.dumps({
    "listed": listed, "version": version, "events": events,
    "stdout": answer.read_stdout(), "stderr": answer.read_stderr(), "exit": answer.returncode,
}))
