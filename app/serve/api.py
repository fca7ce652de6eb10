"""`/v1/videos`, as OpenAI's clients speak it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from ..decode_apart import Limits
from ..provenance.policy import Refused
from ..provenance.policy import Request as Wish
from .errors import ApiError, wrong_field
from .request import VideoRequest, condition_of, read_request
from .server_state import ServerState
from .store.keys import Client
from .store.queue import Video, new_id
from .workers.uploads import UploadFolder, from_data_url

MOST_FIELDS = 100
REFUSED = "content_policy_violation"
POLL_AFTER = "500"  # milliseconds after which a client that waits should ask again


def video_object(video: Video, state: ServerState) -> dict[str, Any]:
    """A video as a client sees it."""
    request = VideoRequest.from_json(video.request)
    model = state.model
    error = None
    if video.error_code is not None:
        error = {"code": video.error_code, "message": video.error_message}
    return {
        "id": video.id,
        "object": "video",
        "model": model.name,
        "status": video.status,
        "progress": 100 * video.frames_done // video.frames,
        "created_at": int(video.created_at),
        "completed_at": None if video.completed_at is None else int(video.completed_at),
        "expires_at": int(video.expires_at) if video.status == "completed" else None,
        "prompt": request.prompt,
        "seconds": f"{video.frames / request.fps:g}",
        "size": f"{model.width * request.scale}x{model.height * request.scale}",
        "error": error,
        "remixed_from_video_id": None,
        "frames": video.frames,
        "fps": request.fps,
        "seed": request.seed,
    }


def make_router(state: ServerState) -> APIRouter:
    """The routes of a server."""
    router = APIRouter(prefix="/v1")
    queue = state.queue

    def client_of(request: Request) -> Client:
        return state.keys.client(request.headers.get("authorization"))

    def found(video_id: str, client: Client) -> Video:
        video = queue.get(video_id, client.name)
        if video is None:
            raise ApiError(404, f"there is no video '{video_id[:64]}'", "video_id", "not_found")
        return video

    @router.post("/videos", openapi_extra={"requestBody": _body(state)})
    async def create(request: Request) -> JSONResponse:
        """Ask for a video. It is kept from the moment on in which this answers."""
        client = await run_in_threadpool(client_of, request)
        state.keys.count(client)
        (raw, files) = await _read_body(request)
        retry_key = request.headers.get("idempotency-key")
        if retry_key is not None and len(retry_key) > 200:
            raise wrong_field("Idempotency-Key", "it must have at most 200 letters")
        video = await run_in_threadpool(accept, state, client, raw, files, retry_key)
        state.pool.wake()
        return JSONResponse(video_object(video, state))

    @router.get("/videos")
    def page(
        request: Request,
        limit: int = Query(20, ge=1, le=100, description="videos of a page"),
        after: str | None = Query(None, description="the last video of the page before"),
        order: Literal["asc", "desc"] = Query("desc", description="desc: the newest first"),
    ) -> dict[str, Any]:
        """Your videos, page by page."""
        client = client_of(request)
        videos = queue.page(client.name, limit + 1, after, newest_first=order == "desc")
        data = [video_object(video, state) for video in videos[:limit]]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(videos) > limit,
        }

    @router.get("/videos/{video_id}")
    def retrieve(video_id: str, request: Request, response: Response) -> dict[str, Any]:
        """One video: how far it is, and what came of it."""
        response.headers["openai-poll-after-ms"] = POLL_AFTER
        return video_object(found(video_id, client_of(request)), state)

    @router.get("/videos/{video_id}/content", response_class=FileResponse)
    def content(video_id: str, request: Request, variant: str = "video") -> FileResponse:
        """The MP4 file, or a range of it."""
        video = found(video_id, client_of(request))
        if variant != "video":
            raise wrong_field("variant", f"variant must be video; got '{variant[:40]}'")
        if video.status != "completed":
            message = f"the video is {video.status}; its content comes when it is completed"
            raise ApiError(409, message, "video_id", "video_not_ready")
        name = f"{video.id}.mp4"
        return FileResponse(state.video_path(video.id), media_type="video/mp4", filename=name)

    @router.post("/videos/{video_id}/cancel")
    def cancel(video_id: str, request: Request) -> dict[str, Any]:
        """End a video that is not completed; it has failed with the code "cancelled"."""
        client = client_of(request)
        found(video_id, client)
        video = queue.cancel(video_id, client.name)
        return video_object(video or found(video_id, client), state)

    @router.delete("/videos/{video_id}")
    def delete(video_id: str, request: Request) -> dict[str, Any]:
        """Forget a video and remove its file, in whatever state it is."""
        client = client_of(request)
        found(video_id, client)
        deleted = queue.delete(video_id, client.name)
        state.remove_files(video_id)
        return {"id": video_id, "object": "video.deleted", "deleted": deleted}

    @router.get("/models")
    def models(request: Request) -> dict[str, Any]:
        """The model that this server draws with."""
        client_of(request)
        data = [{"id": state.model.name, "object": "model", "owned_by": "kinetoscope"}]
        return {"object": "list", "data": data}

    return router


def accept(
    state: ServerState,
    client: Client,
    raw: Mapping[str, Any],
    files: Mapping[str, bytes],
    retry_key: str | None = None,
) -> Video:
    """Check a request, decode its files, and put it into the queue.

    Raises:
        ApiError: it cannot be taken.
    """
    rest = dict(raw)
    contents = {condition_of(name): content for name, content in files.items()}
    for field in state.model.fields:
        for name in {field.name, *(["input_reference"] if field.name == "init" else [])}:
            if field.is_file and name in rest:
                contents[field.name] = from_data_url(name, rest.pop(name))
    takes = {field.name for field in state.model.fields if field.is_file}
    for name in contents:
        if name not in takes:
            known = ", ".join(sorted(takes))
            raise wrong_field(name[:100], f"there is no file '{name[:100]}'; files are {known}")
    video_id = new_id()
    uploads = UploadFolder(state.folder, video_id)
    try:
        for name, content in contents.items():
            uploads.add(name, content)
        (request, priority) = read_request(rest, uploads.files, state.model, state.schema)
        _check_limits(request, priority, state, client)
        check_policy(request, state, client)
        if contents:
            canvas = state.model.canvas(request.fps, request.frames)
            limits = Limits(state.settings.upload_time, state.settings.upload_memory)
            uploads.decode(canvas, limits)
        video = state.queue.accept(
            client.name,
            request.to_json(),
            request.frames,
            priority,
            client.max_active,
            retry_key,
            video_id,
        )
    except BaseException:
        uploads.remove()
        raise
    if video.id != video_id:  # it was asked for before
        uploads.remove()
    return video


def _check_limits(request: VideoRequest, priority: int, state: ServerState, client: Client) -> None:
    most = state.settings.max_frames
    if request.frames > most:
        message = f"a video may have at most {most} frames here; got {request.frames}"
        raise wrong_field("frames", message)
    if not 0 <= priority <= client.max_priority:
        message = f"priority must be 0 to {client.max_priority} for you; got {priority}"
        raise wrong_field("priority", message)


def check_policy(request: VideoRequest, state: ServerState, client: Client) -> None:
    """Ask the operator's policy about the sentence, before anything waits for it. Workers ask
    again, with all that is given.

    Raises:
        ApiError: 400.
    """
    try:
        state.gate.check(Wish(request.prompt, {}, client.name))
    except Refused as refusal:
        raise ApiError(400, str(refusal), "prompt", REFUSED) from None


async def _read_body(request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The fields of JSON or of a form, and the files of a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            raw = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise ApiError(400, "the body is no JSON", code="invalid_json") from None
        if not isinstance(raw, dict):
            raise ApiError(400, "the body must be a JSON object", code="invalid_json")
        return raw, {}
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        message = "send application/json or multipart/form-data"
        raise ApiError(400, message, "Content-Type", "invalid_value")
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=8, max_fields=MOST_FIELDS) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                _add(fields, name, value)
    return fields, files


def _add(fields: dict[str, Any], name: str, value: str) -> None:
    """A field of a form; `name[]` is an item of a list, and `name[key]` one of an object."""
    (base, bracket, key) = name.partition("[")
    if not bracket:
        fields[name] = value
    elif key == "]":
        fields.setdefault(base, []).append(value)
    else:
        inside = fields.setdefault(base, {})
        if isinstance(inside, dict):
            inside[key.rstrip("]")] = value


def _body(state: ServerState) -> dict[str, Any]:
    """What the page that documents the interface says of a request's body."""
    schema = state.schema.model_json_schema()
    kinds = ("application/json", "multipart/form-data")
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}
