"""What the chart gives Kubernetes."""

import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

EVERYTHING: dict[str, Any] = {
    "image": {"digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "server": {
        "flags": {"audit-log": "/audit/audit.jsonl", "audit-key": "/audit-key/audit.pem"},
        "threads": 3,
    },
    "extraEnv": [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4317"},
    ],
    "extraVolumes": [
        {"name": "audit", "persistentVolumeClaim": {"claimName": "hunique-audit"}},
        {"name": "audit-key", "secret": {"secretName": "audit-key", "defaultMode": 0o440}},
    ],
    "extraVolumeMounts": [
        {"name": "audit", "mountPath": "/audit", "subPathExpr": "$(POD_NAME)"},
        {"name": "audit-key", "mountPath": "/audit-key", "readOnly": True},
    ],
    "tls": {"secretName": "hunique-tls", "clientCertificates": True},
    "auth": {"tokensSecretName": "hunique-tokens"},
    "model": {"volume": {"persistentVolumeClaim": {"claimName": "model"}}, "subPath": "v3"},
    "modelRepository": {
        "volume": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        "subPath": "hands",
        "load": ["hand-features", "nails:1.2.0"],
    },
    "gpu": {"enabled": True, "runtimeClassName": "nvidia"},
    "autoscaling": {"enabled": True, "metric": "queueTime"},
    "serviceAccount": {"annotations": {"note": "x"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"enabled": True},
    "podAnnotations": {"note": "x"},
    "podLabels": {"team": "x"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "x", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
}
# Deliberate: a CPU limit would throttle a server that sizes itself by its request.
ACCEPTED_MISTAKES = {"KSV011 CPU not limited"}
UNKNOWN_TO_KUBERNETES = {"ServiceMonitor"}


@pytest.mark.parametrize("values", [{}, {"autoscaling": {"enabled": True}}, EVERYTHING])
def test_manifests_follow_kubernetes_schemas(render: Any, values: dict[str, Any]) -> None:
    """Every manifest is valid, unknown fields counted as mistakes."""
    manifests = render(**values).manifests
    assert manifests
    for manifest in manifests:
        if manifest["kind"] not in UNKNOWN_TO_KUBERNETES:
            kubernetes_validate.validate(manifest, "1.33", strict=True)


@pytest.mark.parametrize("values", [{}, EVERYTHING])
def test_policies_find_no_mistake(render: Any, values: dict[str, Any]) -> None:
    """Trivy's checks of Kubernetes manifests pass, but for one deliberate choice."""
    assert set(render(**values).mistakes) <= ACCEPTED_MISTAKES


def test_default_is_the_least(render: Any) -> None:
    """Without values: the service, and nothing that needs something of the cluster."""
    kinds = render().kinds()
    assert kinds == ["Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"]


def test_options_add_their_manifests(render: Any) -> None:
    """Each option brings its own kind of manifest."""
    assert set(render(**EVERYTHING).kinds()) - set(render().kinds()) == {
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "ServiceMonitor",
    }


def test_service_is_headless_and_finds_the_pods(render: Any) -> None:
    """Clients see every pod, and no other."""
    service, deployment = render().one("Service"), render().one("Deployment")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    names = {port["name"] for port in render().container()["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == names


def test_probes_ask_over_grpc(render: Any) -> None:
    """Start and readiness ask for the service, liveness for the process; all by gRPC health."""
    container = render(server={"grpcPort": 6000}).container()
    named = {"port": 6000, "service": "hunique.v1.HandFeatures"}
    assert container["startupProbe"]["grpc"] == named
    assert container["readinessProbe"]["grpc"] == named
    assert container["livenessProbe"]["grpc"] == {"port": 6000}


SECURE: dict[str, Any] = {
    "tls": {"secretName": "hunique-tls", "clientCertificates": True},
    "auth": {"tokensSecretName": "hunique-tokens"},
}


def test_secrets_are_mounted_where_the_server_looks(render: Any) -> None:
    """Each file that the server is told of lies in a read-only mount of the Secret that has it."""
    rendering = render(**SECURE)
    container = rendering.container()
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = rendering.one("Deployment")["spec"]["template"]["spec"]["volumes"]
    secrets = {v["name"]: v["secret"]["secretName"] for v in volumes if "secret" in v}
    assert secrets == {"tls": "hunique-tls", "tokens": "hunique-tokens"}
    for name in secrets:
        assert mounts[name]["readOnly"]
        assert "subPath" not in mounts[name]  # which would keep new certificates out
    arguments = dict(a.removeprefix("--").partition("=")[::2] for a in container["args"])
    assert arguments["tls-cert"] == f"{mounts['tls']['mountPath']}/tls.crt"
    assert arguments["tls-key"] == f"{mounts['tls']['mountPath']}/tls.key"
    assert arguments["tls-client-ca"] == f"{mounts['tls']['mountPath']}/ca.crt"
    assert arguments["tokens"] == f"{mounts['tokens']['mountPath']}/tokens.jsonl"
    assert "tls-client-crl" not in arguments
    listed = render(tls={**SECURE["tls"], "revocationLists": True}).container()["args"]
    assert f"--tls-client-crl={mounts['tls']['mountPath']}/ca.crl" in listed
    assert "insecure" not in arguments
    assert "--insecure" in render().container()["args"]
    only_tls = render(tls={"secretName": "x"}).container()["args"]
    assert not [a for a in only_tls if "client-ca" in a or "tokens" in a]


def test_encrypted_server_is_probed_by_its_admin_port(render: Any) -> None:
    """Kubernetes' gRPC probes cannot encrypt, so HTTP ones ask the same; the protocol is told."""
    rendering = render(**SECURE)
    container = rendering.container()
    assert container["startupProbe"]["httpGet"] == {"port": "admin", "path": "/readyz"}
    assert container["readinessProbe"]["httpGet"] == {"port": "admin", "path": "/readyz"}
    assert container["livenessProbe"]["httpGet"] == {"port": "admin", "path": "/healthz"}
    assert not [p for p in ("startup", "readiness", "liveness") if "grpc" in container[f"{p}Probe"]]
    protocols = [r.one("Service")["spec"]["ports"][0]["appProtocol"] for r in (rendering, render())]
    assert protocols == ["https", "kubernetes.io/h2c"]


def test_pod_has_time_to_drain(render: Any) -> None:
    """Kubernetes waits longer than the pause and the drain together."""
    rendering = render(server={"drainSeconds": 90, "preStopSeconds": 7})
    spec = rendering.one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 97
    assert rendering.container()["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert "--drain-s=90" in rendering.container()["args"]


def test_start_may_take_its_limit(render: Any) -> None:
    """The start-up probe allows what the value says."""
    probe = render(startup={"limitSeconds": 601}).container()["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] in (601, 602)


def test_server_has_no_rights(render: Any) -> None:
    """Not root, nothing to write but /tmp, no capabilities, no token."""
    spec = render().one("Deployment")["spec"]["template"]["spec"]
    container = render().container()
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] >= 10000
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108


def test_threads_follow_the_cpu_request(render: Any) -> None:
    """A server without a CPU limit does not start a thread for every core of its node."""
    (variable,) = render().container()["env"]
    assert variable["name"] == "HUNIQUE_SERVER_THREADS"
    assert variable["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
    assert render(server={"threads": 3}).container()["env"][0]["value"] == "3"


def test_gpu_asks_for_a_device_and_the_gpu_image(render: Any) -> None:
    """One switch gives resource, image, device and toleration."""
    container = render(gpu={"enabled": True, "count": 2}).container()
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert container["resources"]["limits"]["memory"] == "4Gi"
    assert container["image"].endswith("-gpu")
    assert "--device=cuda" in container["args"]
    spec = render(gpu={"enabled": True, "count": 2}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nvidia.com/gpu" not in json.dumps(render().manifests)


def test_model_from_a_volume(render: Any) -> None:
    """A bundle on a volume is mounted read-only and named to the server."""
    container = render(**EVERYTHING).container()
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "model")
    assert mount == {"name": "model", "mountPath": "/model", "readOnly": True, "subPath": "v3"}
    assert "--bundle=/model" in container["args"]
    assert not [argument for argument in render().container()["args"] if "--bundle" in argument]


REPOSITORIES: list[dict[str, Any]] = [
    {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
    {"image": {"reference": "models/hunique:3", "pullPolicy": "IfNotPresent"}},
    {"nfs": {"server": "nfs.example", "path": "/models", "readOnly": True}},
]


@pytest.mark.parametrize("volume", REPOSITORIES, ids=lambda volume: next(iter(volume)))
def test_models_from_a_repository(render: Any, volume: dict[str, Any]) -> None:
    """Any volume is mounted read-only where the server looks, which begins with what is named."""
    repository = {"volume": volume, "load": ["hand-features", "nails:1.2.0"]}
    rendering = render(modelRepository=repository)
    deployment = rendering.one("Deployment")
    kubernetes_validate.validate(deployment, "1.33", strict=True)
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert {"name": "models", **volume} in volumes
    container = rendering.container()
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/models", "readOnly": True}
    assert [a for a in container["args"] if "model" in a or "load" in a or "bundle" in a] == [
        "--model-repository=/models", "--load=hand-features", "--load=nails:1.2.0",
    ]  # fmt: skip


def test_repository_may_be_a_folder_of_its_volume(render: Any) -> None:
    """Beside a bundle, which stays the default; without a list nothing is said of what to load."""
    everything = render(**EVERYTHING).container()
    (mount,) = (m for m in everything["volumeMounts"] if m["name"] == "models")
    assert mount["subPath"] == "hands"
    assert {"--bundle=/model", "--model-repository=/models"} <= set(everything["args"])
    bare = render(modelRepository={"volume": {"emptyDir": {}}}).container()
    assert "--model-repository=/models" in bare["args"]
    assert not [argument for argument in bare["args"] if argument.startswith("--load")]
    assert not [argument for argument in render().container()["args"] if "repository" in argument]


def test_what_flags_name_can_be_there(render: Any) -> None:
    """Variables, volumes and mounts of one's own stand beside those of the chart."""
    rendering = render(**EVERYTHING)
    spec = rendering.one("Deployment")["spec"]["template"]["spec"]
    for own, all_of_them in (
        ("extraEnv", rendering.container()["env"]),
        ("extraVolumeMounts", rendering.container()["volumeMounts"]),
        ("extraVolumes", spec["volumes"]),
    ):
        names = [entry["name"] for entry in all_of_them]
        assert len(set(names)) == len(names) > len(EVERYTHING[own])
        assert [entry for entry in all_of_them if entry in EVERYTHING[own]] == EVERYTHING[own]


def test_autoscaler_owns_the_number_of_replicas(render: Any) -> None:
    """An upgrade of the release does not reset what the autoscaler decided."""
    scaled = render(autoscaling={"enabled": True})
    assert "replicas" not in scaled.one("Deployment")["spec"]
    assert render().one("Deployment")["spec"]["replicas"] == 2
    target = scaled.one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == scaled.one("Deployment")["metadata"]["name"]


def test_autoscaler_on_queue_time_asks_for_the_adapter_metric(render: Any, deploy: Any) -> None:
    """The metric that the autoscaler reads is the one that the adapter rule makes."""
    spec = render(**EVERYTHING).one("HorizontalPodAutoscaler")["spec"]
    (metric,) = spec["metrics"]
    assert metric["pods"]["target"] == {"averageValue": "150m", "type": "AverageValue"}
    adapter = (deploy / "prometheus" / "adapter.yaml").read_text(encoding="utf-8")
    assert f"as: {metric['pods']['metric']['name']}\n" in adapter


def test_network_policy_lets_nothing_out(render: Any) -> None:
    """The server calls nobody, and only named callers reach it."""
    clients = [{"podSelector": {"matchLabels": {"may": "call"}}}]
    spec = render(networkPolicy={"enabled": True, "clients": clients}).one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not spec.get("egress")
    assert spec["ingress"][0]["from"] == clients


def test_monitor_reads_the_admin_port(render: Any) -> None:
    """The service monitor selects our service and a port that it has."""
    rendering = render(**EVERYTHING)
    monitor, service = rendering.one("ServiceMonitor"), rendering.one("Service")
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


NONSENSE: list[dict[str, Any]] = [
    {"replica": 3},
    {"replicas": "three"},
    {"replicas": -1},
    {"server": {"threads": "many"}},
    {"server": {"device": "gpu"}},
    {"server": {"device": "cuda"}},
    {"server": {"device": "cpu"}, "gpu": {"enabled": True}},
    {"server": {"flags": {"no-such-flag": 1}}},
    {"server": {"flags": {"max-batch": 1.5}}},
    {"server": {"flags": {"max-batch": 0}}},
    {"server": {"flags": {"reflection": False}}},
    {"server": {"flags": {"audit-log": "audit.jsonl"}}},
    {"server": {"flags": {"oidc-keys": "http://issuer.example/keys"}}},
    {"server": {"flags": {"listen": "0.0.0.0:1"}}},
    {"extraEnv": [{"name": "X", "value": 1}]},
    {"extraVolumes": [{"emptyDir": {}}]},
    {"extraVolumeMounts": [{"name": "x"}]},
    {"server": {"logFormat": "xml"}},
    {"server": {"grpcPort": 80}},
    {"server": {"preStopSeconds": 0}},
    {"image": {"digest": "latest"}},
    {"image": {"repository": "server:tag"}},
    {"autoscaling": {"metric": "moon"}},
    {"podDisruptionBudget": {"maxUnavailable": "half"}},
    {"networkPolicy": {"clients": "all"}},
    {"resources": {"request": {}}},
    {"tls": {"clientCertificates": True}},
    {"tls": {"secretName": "cert", "revocationLists": True}},
    {"tls": {"secretName": "Not A Name"}},
    {"tls": {"cert": "x"}},
    {"auth": {"tokens": "x"}},
    {"modelRepository": {"load": ["hand-features"]}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "load": "hand-features"}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "load": ["Hand Features"]}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "load": ["hand-features:3"]}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "load": ["nails", "nails"]}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "subPath": "/models"}},
    {"modelRepository": {"existingClaim": "models"}},
]


@pytest.mark.parametrize("values", NONSENSE, ids=json.dumps)
def test_schema_refuses_nonsense(
    deploy: Any, default_values: dict[str, Any], values: dict[str, Any]
) -> None:
    """A misspelt or senseless value is refused before anything reaches the cluster."""
    schema = json.loads((deploy / "helm/hunique/values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(default_values, schema)
    merged = dict(default_values)
    for key, value in values.items():
        whole = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if whole else value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged, schema)


def test_helm_itself_applies_the_schema(render: Any, refusal: type[Exception]) -> None:
    """Helm reads the schema, so that its users are refused too."""
    with pytest.raises(refusal, match="threads"):
        render(server={"threads": "many"})


def test_every_value_is_in_the_schema(deploy: Any, default_values: dict[str, Any]) -> None:
    """No value of values.yaml is missing from the schema, and none is in the schema alone."""
    schema = json.loads((deploy / "helm/hunique/values.schema.json").read_text(encoding="utf-8"))
    properties = schema["properties"]
    assert set(properties) - {"global"} == set(default_values)
    for name, value in default_values.items():
        nested = properties[name].get("properties")
        if nested:
            assert set(nested) - {"claims"} == set(value), name
