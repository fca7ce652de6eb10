"""What docs/deployment.md and the RayService say of images, ports, paths and names is what the code
has."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
CONTAINER = (ROOT / "Containerfile").read_text(encoding="utf-8")


@pytest.fixture
def service() -> dict[str, Any]:
    text = (ROOT / "examples" / "rayservice.yaml").read_text(encoding="utf-8")
    (claim, service) = yaml.safe_load_all(text)
    assert (claim["kind"], service["kind"]) == ("PersistentVolumeClaim", "RayService")
    assert service["apiVersion"] == "ray.io/v1"
    return service["spec"]


@pytest.fixture
def pods(service) -> dict[str, dict[str, Any]]:
    cluster = service["rayClusterConfig"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"], **groups}


def page_file() -> dict[str, Any]:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    return yaml.safe_load(block)


def check_application(config: dict[str, Any]) -> None:
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    from ray.serve.schema import ServeDeploySchema

    ServeDeploySchema(**config)
    (application,) = config["applications"]
    (module, _, name) = application["import_path"].partition(":")
    build = getattr(importlib.import_module(module), name)
    assert build(application["args"]) is not None


def test_ray_and_our_code_take_the_files(service):
    check_application(page_file())
    check_application(yaml.safe_load(service["serveConfigV2"]))


def test_the_service_uses_one_image_and_the_port_of_the_container_file(service, pods):
    containers = [pod["template"]["spec"]["containers"] for pod in pods.values()]
    images = {each["image"] for (each,) in containers}
    (image,) = images
    assert f"podman build -t {image} --build-arg EXTRAS=serve,ray" in PAGE
    assert f"podman push {image}" in PAGE and not image.endswith("latest")
    assert "ARG EXTRAS=" in CONTAINER
    (port,) = re.findall(r"^EXPOSE (\d+)$", CONTAINER, re.M)
    config = yaml.safe_load(service["serveConfigV2"])
    (head,) = pods["head"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in head["ports"]}
    assert config["http_options"]["port"] == ports["serve"] == int(port)
    assert f"kinetoscope-serve-svc {port}:{port}" in PAGE


def test_the_queue_is_on_the_head_which_has_the_volume(service, pods):
    (application,) = yaml.safe_load(service["serveConfigV2"])["applications"]
    arguments = application["args"]
    resources = pods["head"]["rayStartParams"]["resources"]
    assert yaml.safe_load(yaml.safe_load(resources)) == {arguments["queue_on"]: 1}
    assert pods["head"]["rayStartParams"]["num-cpus"] == "0"
    for name, pod in pods.items():
        (container,) = pod["template"]["spec"]["containers"]
        places = [each["mountPath"] for each in container["volumeMounts"]]
        assert (arguments["folder"] in places) == (name == "head")
        assert name == "head" or "resources" not in pod["rayStartParams"]


def test_there_are_as_many_cores_as_workers_and_one_cluster_at_a_time(service, pods):
    (application,) = yaml.safe_load(service["serveConfigV2"])["applications"]
    drawing = pods["models"]
    (container,) = drawing["template"]["spec"]["containers"]
    cores = drawing["replicas"] * int(container["resources"]["limits"]["cpu"])
    assert cores == application["args"]["workers"]
    assert service["upgradeStrategy"]["type"] == "None"


def test_no_pod_has_rights(pods):
    (user,) = re.findall(r"^USER (\d+):", CONTAINER, re.M)
    for pod in pods.values():
        spec = pod["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == int(user)
        (container,) = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        volumes = {each["name"] for each in spec["volumes"]}
        assert {each["name"] for each in container["volumeMounts"]} <= volumes
        assert "/tmp" in [each["mountPath"] for each in container["volumeMounts"]]
