"""What an agent written in Python is told when it is refused: the exception's text, without the HTTP headers, which hold the time.

    refused.py NAMESPACE    KUBECONFIG names the kubeconfig; deletes the namespace
"""

import sys

from kubernetes import client, config
from kubernetes.client.rest import ApiException

config.load_kube_config()
try:
    client.CoreV1Api().delete_namespace(sys.argv[1])
except ApiException as refused:
    print("\n".join(line for line in str(refused).splitlines() if not line.startswith("HTTP response headers")))
else:
    sys.exit("it was let through")
