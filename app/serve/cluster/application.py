"""The Ray Serve application: one deployment that answers HTTP and has the queue, and one whose
replicas hold a model each."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from functools import partial
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from ...provenance.options import Disclosure, Rules
from ..application import create_app
from ..settings import ServeSettings
from ..store.queue import QueueLimits
from ..webhooks.receiver import SECRET, Webhook
from .model_replica import ModelReplica
from .replicas import ReplicaPool

NAME = "kinetoscope"
REPLICAS = "Model"
MANY = 10_000  # HTTP requests at a time; the server itself says when it has too much
PARTS = {"limits": QueueLimits, "disclosure": Disclosure, "rules": Rules}


def application(
    settings: ServeSettings, hosts: tuple[str, ...] | None, queue_on: str | None = None
) -> Application:
    """What `ray.serve.run` takes.

    Args:
        settings: `workers` is the number of replicas and must be given.
        hosts: names under which the server may be asked; None for any, and then a key is needed.
        queue_on: a resource of Ray that only the machine with the folder has.
    """
    ending = settings.grace + 15.0
    is_on_gpu = (settings.device or "").startswith("cuda")
    replicas = serve.deployment(
        name=REPLICAS,
        num_replicas=settings.workers,
        max_ongoing_requests=1,  # a seat has a replica of its own
        graceful_shutdown_timeout_s=ending,
        ray_actor_options={"num_cpus": 1, "num_gpus": 1 if is_on_gpu else 0},
    )(ModelReplica)

    def build_app() -> FastAPI:
        handle = serve.get_deployment_handle(REPLICAS)
        here = ray.util.get_node_ip_address()
        return create_app(settings, hosts, partial(ReplicaPool, handle=handle, host=here))

    server = serve.deployment(
        name="Server",
        num_replicas=1,  # the queue is in one place
        max_ongoing_requests=MANY,
        graceful_shutdown_timeout_s=ending,
        ray_actor_options={"num_cpus": 0, "resources": {queue_on: 0.001} if queue_on else {}},
    )(serve.ingress(build_app)())
    return server.bind(replicas.bind(replace(settings, webhook=None)))


def build(arguments: dict[str, Any]) -> Application:
    """The application for a configuration file of Ray Serve. Nobody may ask it without a key.

    Args:
        arguments: fields of `ServeSettings`, of which `folder` and `workers` are needed; those that
            have fields themselves are given as mappings. `webhook` is an address, and `queue_on` is
            that of `application`.

    Raises:
        ValueError: an argument is not known, is of the wrong kind, or is missing.
    """
    given = dict(arguments)
    queue_on = given.pop("queue_on", None)
    kinds = {each.name: each.default for each in fields(ServeSettings)}
    for name, value in given.items():
        if name not in kinds:
            known = ", ".join((*kinds, "queue_on"))
            raise ValueError(f"there is no argument '{name}'; there are {known}")
        if isinstance(kinds[name], int | float) and not isinstance(value, int | float):
            raise ValueError(f"the argument '{name}' must be a number; got '{value}'")
    for name in ("folder", "workers"):
        if not given.get(name):
            raise ValueError(f"the argument '{name}' must be given")
    for name, kind in PARTS.items():
        if name in given:
            given[name] = _part(name, kind, given[name])
    if (address := given.get("webhook")) is not None:
        given["webhook"] = Webhook(address, os.environ.get(SECRET, ""))
    return application(ServeSettings(**given), None, queue_on)


def _part(name: str, kind: Any, given: Any) -> Any:
    try:
        return kind(**given)
    except TypeError:
        known = ", ".join(each.name for each in fields(kind))
        raise ValueError(f"the argument '{name}' must be a mapping of {known}") from None
